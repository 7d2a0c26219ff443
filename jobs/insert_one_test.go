package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"millrace/store/pgtest"
)

// statements notes which of the two inserts a pool sends.
type statements struct{ ours, rivers int }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	switch {
	case strings.HasPrefix(data.SQL, insertRow):
		s.ours++
	case strings.HasPrefix(data.SQL, riverInsert):
		s.rivers++
	}
	return ctx
}
func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// inserted is what became of jobs that were inserted one after the other: what was returned, and what is stored.
type inserted struct{ returned, stored, events []string }

// insertEach inserts jobs in transactions of their own.
func insertEach(t *testing.T, pool *pgxpool.Pool, owner *pgxpool.Pool, driver riverdriver.Driver[pgx.Tx], all []riverdriver.JobInsertFastParams) (got inserted) {
	t.Helper()
	ctx := t.Context()
	for i := range all {
		job := all[i]
		tx, err := pool.Begin(ctx)
		require.NoError(t, err)
		made, err := driver.UnwrapExecutor(tx).JobInsertFastMany(ctx, &riverdriver.JobInsertFastManyParams{Jobs: []*riverdriver.JobInsertFastParams{&job}})
		if err != nil {
			got.returned = append(got.returned, err.Error())
			require.NoError(t, tx.Rollback(ctx))
			continue
		}
		require.NoError(t, tx.Commit(ctx))
		require.Len(t, made, 1)
		for _, at := range []*time.Time{&made[0].Job.CreatedAt, &made[0].Job.ScheduledAt} {
			if since := time.Since(*at); since > -time.Minute && since < time.Minute {
				*at = time.Time{}
			}
		}
		text, err := json.Marshal(made[0])
		require.NoError(t, err)
		if len(text) > 2000 {
			text = fmt.Appendf(nil, "%d bytes, %x", len(text), sha256.Sum256(text))
		}
		got.returned = append(got.returned, string(text))
	}
	rows, err := owner.Query(ctx, `
		select (to_jsonb(j) - array['args', 'created_at', 'scheduled_at'])::text || case when length(j.args::text) > 500 then md5(j.args::text) else j.args::text end
		    || case when abs(extract(epoch from now() - j.created_at)) < 60 then 'now' else j.created_at::text end
		    || case when j.scheduled_at = j.created_at then 'then' when abs(extract(epoch from now() - j.scheduled_at)) < 60 then 'now' else j.scheduled_at::text end
		  from river_job j order by id`)
	require.NoError(t, err)
	got.stored, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	rows, err = owner.Query(ctx, `select type || job_ids::text || payload::text || coalesce(workspace_id::text, 'none') from event_log order by xid, id`)
	require.NoError(t, err)
	got.events, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return got
}

// jobsAlone are jobs of every kind, of which few have something that the others lack.
func jobsAlone() (all []riverdriver.JobInsertFastParams) {
	var unset time.Time
	given := time.Date(2001, 2, 3, 4, 5, 6, 789_000_000, time.FixedZone("", 3600))
	id := int64(1) << 40
	space := uuid.MustParse("00000000-0000-0000-0000-0000000000a1")
	for _, change := range []func(*riverdriver.JobInsertFastParams){
		func(*riverdriver.JobInsertFastParams) {},
		func(j *riverdriver.JobInsertFastParams) { j.CreatedAt, j.ScheduledAt = &unset, &unset },
		func(j *riverdriver.JobInsertFastParams) { j.CreatedAt = &given },
		func(j *riverdriver.JobInsertFastParams) {
			j.ScheduledAt, j.State = &given, rivertype.JobStateScheduled
		},
		func(j *riverdriver.JobInsertFastParams) { j.State = rivertype.JobStatePending },
		func(j *riverdriver.JobInsertFastParams) { j.ID = &id },
		func(j *riverdriver.JobInsertFastParams) { j.EncodedArgs = nil },
		func(j *riverdriver.JobInsertFastParams) {
			j.EncodedArgs = []byte(`{"b": 1, "a": "é☃\u0001", "b": 2.50}`)
		},
		func(j *riverdriver.JobInsertFastParams) {
			j.EncodedArgs = fmt.Appendf(nil, `{"workspace_id": %q, "long": %q}`, space, strings.Repeat("lorem ipsum ", 100_000))
		},
		func(j *riverdriver.JobInsertFastParams) { j.EncodedArgs = []byte(`{"not": "JSON`) },
		func(j *riverdriver.JobInsertFastParams) { j.Metadata = nil },
		func(j *riverdriver.JobInsertFastParams) {
			j.Metadata = []byte(`{"request_id": "r\"1", "n": [1, null]}`)
		},
		func(j *riverdriver.JobInsertFastParams) { j.Tags = []string{"one", "two words", "dr'ei"} },
		func(j *riverdriver.JobInsertFastParams) { j.Tags = nil },
		func(j *riverdriver.JobInsertFastParams) { j.Priority, j.MaxAttempts = 4, 1<<20 },
		func(j *riverdriver.JobInsertFastParams) { j.Priority = 5 },
		func(j *riverdriver.JobInsertFastParams) { j.Queue, j.Kind = "other", "öther" },
		func(j *riverdriver.JobInsertFastParams) { j.Queue = "" },
	} {
		job := riverdriver.JobInsertFastParams{
			EncodedArgs: fmt.Appendf(nil, `{"workspace_id": %q}`, space), Kind: "test", MaxAttempts: 25, Metadata: []byte("{}"), Priority: 1, Queue: "default",
			State: rivertype.JobStateAvailable, Tags: []string{},
		}
		change(&job)
		all = append(all, job)
	}
	return all
}

// Our statement for a job that is alone does what River's does. Unique jobs are River's own, and so are all jobs of a pool
// that sends its statements in another way.
func TestAJobAloneIsWhatRiverInserts(t *testing.T) {
	t.Parallel()
	all := jobsAlone()
	for range 2 {
		unique := all[0]
		unique.UniqueKey, unique.UniqueStates = []byte("key"), 0xff
		all = append(all, unique)
	}
	for mode, want := range map[string]statements{
		"cache_statement": {ours: len(all) - 2, rivers: 2}, "exec": {rivers: len(all)}, "simple_protocol": {rivers: len(all)},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			var got [2]inserted
			sent := &statements{}
			for i, make := range []func(*pgxpool.Pool) riverdriver.Driver[pgx.Tx]{
				func(pool *pgxpool.Pool) riverdriver.Driver[pgx.Tx] { return riverpgxv5.New(pool) },
				NewDriver,
			} {
				db := pgtest.New(t)
				cfg, err := pgxpool.ParseConfig(db.URL + "&default_query_exec_mode=" + mode)
				require.NoError(t, err)
				cfg.ConnConfig.RuntimeParams["role"] = "millrace_app"
				if i == 1 {
					cfg.ConnConfig.Tracer = sent
				}
				pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
				require.NoError(t, err)
				t.Cleanup(pool.Close)
				got[i] = insertEach(t, pool, db.OwnerPool(t), make(pool), all)
			}
			require.Equal(t, got[0], got[1])
			stored := len(got[1].stored)
			require.Equal(t, len(all)-4, stored, "two are refused for their priority and queue, one is not JSON, and one is a duplicate")
			require.Contains(t, got[1].returned[len(all)-1], `"UniqueSkippedAsDuplicate":true`)
			require.Equal(t, want, *sent)
		})
	}
}

// A job that is refused at the commit is neither returned nor hinted at.
func TestAJobAloneThatTheCommitRefusesIsRefused(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := db.OwnerPool(t)
	_, err := owner.Exec(t.Context(), `
		create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
		create constraint trigger refuse after insert on river_job deferrable initially deferred for each row execute function refuse()`)
	require.NoError(t, err)
	client, err := NewInsertClient(db.Pool(t), slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for _, every := range []time.Duration{0, time.Hour} {
		client.hints.every = every
		_, err = client.Insert(t.Context(), TunePlanArgs{WorkspaceID: uuid.New(), TuneID: uuid.New()}, nil)
		require.ErrorContains(t, err, "refused")
		require.Empty(t, client.hints.owed)
	}
}
