package upkeep_test

import (
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"millrace/store/storetest"
)

// On a server that is new or was restored, a session plans the count of a workspace's open tunes while there are few, by
// an index of all tunes, and keeps that plan as they become many.
func TestPlansOfSmallTablesEndAsTablesGrow(t *testing.T) {
	t.Parallel()
	const many, few = 20_000, 400
	for name, begun := range map[string]struct {
		waiting, running int
		analysed         bool
	}{
		"without statistics":                {waiting: 300},
		"with statistics of a full table":   {running: 60, analysed: true},
		"with statistics of a little table": {waiting: 3, analysed: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			d.Exec(`alter table tunes set (autovacuum_enabled = off)`)
			session, err := d.Owner.Acquire(t.Context())
			require.NoError(t, err)
			defer session.Release()
			addTunes(d, session, begun.waiting, false, "queued")
			addTunes(d, session, begun.running, true, "running")
			if begun.analysed {
				d.Exec(`analyze tunes`)
			}
			readByAdmission(d, session)
			d.Exec(`update tunes set status = 'completed', admitted = true, completed_at = now()`)
			addTunes(d, session, many, true, "completed")

			var analysed []string
			require.Eventually(t, func() bool { // once Postgres has counted the rows
				analysed, err = d.Store.Upkeep.CollectStatistics(t.Context())
				return err != nil || len(analysed) > 0
			}, time.Minute, 20*time.Millisecond)
			require.NoError(t, err)
			require.Contains(t, analysed, "tunes")
			require.Less(t, readByAdmission(d, session), few)
			again, err := d.Store.Upkeep.CollectStatistics(t.Context())
			require.NoError(t, err)
			require.NotContains(t, again, "tunes")
		})
	}
}

// A table that another session holds, or that is large, keeps no other one from its statistics.
func TestATableThatIsHeldOrLargeKeepsNoOtherFromItsStatistics(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	session, err := d.Owner.Acquire(t.Context())
	require.NoError(t, err)
	defer session.Release()
	for _, sql := range []string{
		`create unlogged table held (t text) with (autovacuum_enabled = off)`,
		`create unlogged table small (t text) with (autovacuum_enabled = off)`,
		`create unlogged table large (t text) with (autovacuum_enabled = off)`,
		`alter table large alter t set storage plain`,
		`insert into held select repeat('x', 100) from generate_series(1, 5000)`,
		`insert into small select 'x' from generate_series(1, 1000)`,
		`insert into large select repeat('x', 8000) from generate_series(1, 8300)`,
		`select pg_stat_force_next_flush()`,
	} {
		_, err := session.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	tx, err := session.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	_, err = tx.Exec(t.Context(), `lock table held in share update exclusive mode`)
	require.NoError(t, err)
	var analysed []string
	require.Eventually(t, func() bool {
		var more []string
		more, err = d.Store.Upkeep.CollectStatistics(t.Context())
		analysed = append(analysed, more...)
		return err != nil || slices.Contains(analysed, "small")
	}, time.Minute, 20*time.Millisecond)
	require.NoError(t, err)
	require.NotContains(t, analysed, "held")
	require.NotContains(t, analysed, "large")
	require.NoError(t, tx.Rollback(t.Context()))
	analysed, err = d.Store.Upkeep.CollectStatistics(t.Context())
	require.NoError(t, err)
	require.Contains(t, analysed, "held")
	require.NotContains(t, analysed, "large")
}

// addTunes adds tunes of the workspace, and has the session report at once how many rows it has changed.
func addTunes(d *storetest.Fixture, session *pgxpool.Conn, n int, admitted bool, status string) {
	d.T.Helper()
	_, err := session.Exec(d.T.Context(), `
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, n_trials, admitted, status, completed_at)
		select gen_random_uuid(), $1, $2, 'sma_cross', 'sharpe', 'grid', '{}', 4, $3, $4, case when $4 = 'completed' then now() end
		  from generate_series(1, $5)`, d.Space.ID, d.Dataset.ID, admitted, status, n)
	require.NoError(d.T, err)
	_, err = session.Exec(d.T.Context(), `select pg_stat_force_next_flush()`)
	require.NoError(d.T, err)
}

// readByAdmission is how many tunes a submission's look at the workspace's open work reads.
func readByAdmission(d *storetest.Fixture, session *pgxpool.Conn) (rows int) {
	d.T.Helper()
	tx, err := session.Begin(d.T.Context())
	require.NoError(d.T, err)
	defer func() { require.NoError(d.T, tx.Rollback(d.T.Context())) }()
	_, err = tx.Exec(d.T.Context(), `set local role millrace_workspace`)
	require.NoError(d.T, err)
	_, err = tx.Exec(d.T.Context(), `select set_config('millrace.workspace', $1::text, true), enter_admission($1::uuid, false, true, 100000, false)`, d.Space.ID.String())
	require.NoError(d.T, err)
	require.NoError(d.T, tx.QueryRow(d.T.Context(), `
		select seq_tup_read + coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables where relname = 'tunes'`).Scan(&rows))
	return rows
}
