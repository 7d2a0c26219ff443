package store_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/stores"
	"millrace/store/storetest"
)

const (
	pastWork = 3000 // ended pieces of work of each kind in the workspace
	mostRead = 400  // rows of a table that all of a round's work may read; a plan that reads what has ended reads thousands
)

// A submission counts the open work of its workspace without reading what has ended, also on a server whose tables have no
// statistics: a new one, or one that was restored. There all indexes of a table seem to cost the same, and each of those that
// begin with the workspace can serve what names a workspace, as the policies do.
func TestOpenWorkIsReadWithoutWhatHasEnded(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]string{
		"never analysed":                 ``,
		"analysed, and planned for many": `analyze`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			unattended(d)
			if before != "" {
				endedWork(d)
				d.Exec(before)
			}
			d.Alone(1)
			at, end := fresh(d)
			for n := range 8 { // until all statements have the plans that they keep
				round(d, at, fmt.Sprint("early ", n))
				d.Alone(1)
				d.Exec(`update ingest_jobs set status = 'canceled', completed_at = now()`)
			}
			endedWork(d)
			countReads(d, at)
			requireFewRead(d, "with plans made when there was little", func() {
				round(d, at, "late")
				end()
			})
			d.Alone(1)
			at, end = fresh(d)
			requireFewRead(d, "with plans made now", func() {
				round(d, at, "later")
				end()
			})
		})
	}
}

// unattended has Postgres collect no statistics by itself.
func unattended(d *storetest.Fixture) {
	d.T.Helper()
	rows, err := d.Owner.Query(d.T.Context(), `
		select relname from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace and not relispartition`)
	require.NoError(d.T, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(d.T, err)
	for _, table := range tables {
		d.Exec(`alter table ` + table + ` set (autovacuum_enabled = off)`)
	}
}

// endedWork gives the workspace a past.
func endedWork(d *storetest.Fixture) {
	d.T.Helper()
	d.Exec(`
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, admitted, n_trials, status, completed_at)
		select gen_random_uuid(), $1, $2, 'sma_cross', 'sharpe', 'grid', '{}', true, 4, 'completed', now() from generate_series(1, $3)`,
		d.Space.ID, d.Dataset.ID, pastWork)
	d.Exec(`
		with walks as (
			insert into wfo_runs (id, workspace_id, dataset_id, strategy, objective, search_type, spec, config, admitted, n_folds, n_trials,
			                      min_folds, top_k, allow_partial, candidates_job_id, status, completed_at)
			select gen_random_uuid(), $1, $2, 'sma_cross', 'sharpe', 'grid', '{}', '{}', true, 1, 4, 1, 1, false, 0, 'completed', now()
			  from generate_series(1, $3) returning id)
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, admitted, n_trials, status, completed_at, wfo_id, wfo_fold)
		select gen_random_uuid(), $1, $2, 'sma_cross', 'sharpe', 'grid', '{}', true, 4, 'completed', now(), id, 0 from walks`,
		d.Space.ID, d.Dataset.ID, pastWork)
	d.Exec(`
		with made as (
			insert into documents (id, workspace_id, source_type, canonical_url)
			select gen_random_uuid(), $1, 'article', u from (select 'https://past.example/' || gen_random_uuid() from generate_series(1, $2)) s (u) returning id, canonical_url)
		insert into ingest_jobs (id, workspace_id, source_type, detected, document_id, url, status, river_job_id, completed_at)
		select gen_random_uuid(), $1, 'article', true, id, canonical_url, 'completed', 0, now() from made`, d.Space.ID, pastWork)
	d.Exec(`insert into idempotency_keys (workspace_id, route, key, fingerprint, status)
		select $1, 'test', gen_random_uuid()::text, sha256('x'), 202 from generate_series(1, $2)`, d.Space.ID, pastWork)
	d.Exec(`insert into river_job (kind, args, queue, max_attempts, state, finalized_at)
		select 'tune_plan', jsonb_build_object('workspace_id', $1::text), 'trials', 3, 'completed', now() from generate_series(1, $2)`,
		d.Space.ID, pastWork)
}

// fresh is a process of its own, and what ends its sessions: it plans everything itself.
func fresh(d *storetest.Fixture) (at *stores.Set, end func()) {
	d.T.Helper()
	pool, err := store.OpenPool(d.T.Context(), store.PoolOptions{DatabaseURL: d.Store.Pool().Config().ConnString(), MaxConns: 1, Name: "unanalysed"})
	require.NoError(d.T, err)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(d.T, err)
	spaces, err := store.OpenWorkspaces(d.T.Context(), pool, store.Login{DatabaseURL: d.Store.Workspaces().Config().ConnString()}, 1)
	require.NoError(d.T, err)
	at = stores.New(pool, client)
	at.SetWorkspaces(spaces)
	end = func() {
		spaces.Close()
		pool.Close()
		require.Eventually(d.T, func() bool {
			return d.Count(`select count(*) from pg_stat_activity where datname = current_database() and application_name = 'unanalysed'`) == 0
		}, time.Minute, 5*time.Millisecond)
	}
	d.T.Cleanup(func() { spaces.Close(); pool.Close() })
	return at, end
}

// round submits a tune that runs, one that waits, one by a process that knows that it has to, a walk-forward and an ingestion.
func round(d *storetest.Fixture, at *stores.Set, key string) {
	d.T.Helper()
	ctx := d.T.Context()
	own := *d
	own.Store = at
	for n := range 3 {
		_, err := submitTune(ctx, &own, at, fmt.Sprint(key, n), 1000)
		require.NoError(d.T, err)
	}
	own.WalkForward(key, 2, false)
	_, err := at.Library.CreateIngest(ctx, store.Submission{Workspace: d.Space.ID, Route: "test", Key: key + " ingest", QueueDepth: 1000},
		library.NewIngest{URL: "https://example.com/" + key, CanonicalURL: "https://example.com/" + key, SourceType: "article"},
		func(*library.Ingest) (store.Response, error) { return store.Response{Status: http.StatusAccepted}, nil })
	require.NoError(d.T, err)
	require.NoError(d.T, at.InWorkspace(ctx, d.Space.ID, func(tx *store.Tx) error {
		place, err := store.Room(ctx, tx, d.Space.ID)
		require.Equal(d.T, 1, place.Active)
		return err
	}))
}

// countReads has Postgres count what was read so far. It counts what a session reads at the end of a transaction, but not twice a
// second.
func countReads(d *storetest.Fixture, at *stores.Set) {
	d.T.Helper()
	d.Owner.Reset()
	time.Sleep(1100 * time.Millisecond)
	for _, pool := range []*pgxpool.Pool{at.Pool(), at.Workspaces()} {
		_, err := pool.Exec(d.T.Context(), `select 1`)
		require.NoError(d.T, err)
	}
}

// requireFewRead requires that what runs reads few rows of any table. Postgres counts them when a session ends.
func requireFewRead(d *storetest.Fixture, what string, run func()) {
	d.T.Helper()
	before := rowsRead(d)
	run()
	var many []string
	for table, n := range rowsRead(d) {
		if n -= before[table]; n > mostRead {
			many = append(many, fmt.Sprintf("%d rows of %s", n, table))
		}
	}
	require.Empty(d.T, many, "%s: %s", what, strings.Join(many, ", "))
}

// rowsRead are the rows of each table that were read so far.
func rowsRead(d *storetest.Fixture) map[string]int64 {
	d.T.Helper()
	conn, err := d.Owner.Acquire(d.T.Context())
	require.NoError(d.T, err)
	defer conn.Release()
	_, err = conn.Exec(d.T.Context(), `select pg_stat_force_next_flush()`)
	require.NoError(d.T, err)
	rows, err := conn.Query(d.T.Context(), `select relname, coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) from pg_stat_user_tables where schemaname = 'public'`)
	require.NoError(d.T, err)
	read := map[string]int64{}
	var table string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&table, &n}, func() error { read[table] = n; return nil })
	require.NoError(d.T, err)
	return read
}
