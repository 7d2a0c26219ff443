package store_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/tuning"
	"millrace/store/workers"
)

func TestErrorsThatSayNotNow(t *testing.T) {
	for code, notNow := range map[string]bool{
		"53100": true, "53200": true, "53300": true, "25006": true, "25P03": true, "57P01": true, "57P03": true,
		"08006": true, "40001": true, "40P01": true, "55P03": true,
		"57014": false, "57P04": false, "23505": false, "42P01": false, "22P05": false, "28P01": false,
	} {
		err := fmt.Errorf("save: %w", &pgconn.PgError{Code: code})
		require.Equal(t, notNow, store.Transient(err), code)
		require.Equal(t, notNow, store.Refused(err), code)
	}
	require.False(t, store.Transient(nil))
	require.False(t, store.Transient(errors.New("no such strategy")))
}

// lost puts work into a state and takes its job away.
type lostWork struct {
	name string
	make func(*fixture) (what string, id uuid.UUID, job int64, args river.JobArgs)
}

func lostWorks() []lostWork {
	begun := func(d *fixture) (*tuning.Tune, int64) {
		tune, plan := d.tune("k")
		require.NoError(d.t, d.store.Tuning.Begin(d.t.Context(), d.claim(plan, "w"), tune.ID,
			tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}))
		return tune, d.jobOf(`select job_id from tune_shards where tune_id = $1`, tune.ID)
	}
	return []lostWork{
		{"a tune to be planned", func(d *fixture) (string, uuid.UUID, int64, river.JobArgs) {
			tune, plan := d.tune("k")
			return "tune", tune.ID, plan, jobs.TunePlanArgs{WorkspaceID: d.space.ID, TuneID: tune.ID}
		}},
		{"a shard", func(d *fixture) (string, uuid.UUID, int64, river.JobArgs) {
			tune, shard := begun(d)
			return "tune", tune.ID, shard, jobs.TuneShardArgs{WorkspaceID: d.space.ID, TuneID: tune.ID}
		}},
		{"a tune to be ranked", func(d *fixture) (string, uuid.UUID, int64, river.JobArgs) {
			tune, shard := begun(d)
			require.NoError(d.t, d.store.Tuning.FinishShard(d.t.Context(), d.claim(shard, "w"), tune.ID,
				tuning.ShardDone{Completed: 4, Columns: []byte{1}}))
			job := d.jobOf(`select collect_job_id from tune_progress where tune_id = $1`, tune.ID)
			return "tune", tune.ID, job, jobs.TuneCollectArgs{WorkspaceID: d.space.ID, TuneID: tune.ID}
		}},
		{"a fold", func(d *fixture) (string, uuid.UUID, int64, river.JobArgs) {
			_, folds := d.wfo("k", 2, false)
			id := *folds[0].TuneID
			return "tune", id, d.planJob(id), jobs.TunePlanArgs{WorkspaceID: d.space.ID, TuneID: id}
		}},
		{"a walk-forward whose folds have ended", func(d *fixture) (string, uuid.UUID, int64, river.JobArgs) {
			wfo, folds := d.wfo("k", 2, false)
			for _, fold := range folds {
				d.runFold(fold, outcomeOf(5))
			}
			job := d.jobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID)
			return "wfo", wfo.ID, job, jobs.WFOCandidatesArgs{WorkspaceID: d.space.ID, WFOID: wfo.ID}
		}},
		{"an ingestion", func(d *fixture) (string, uuid.UUID, int64, river.JobArgs) {
			in := d.ingest("k")
			return "ingestion", in.ID, in.RiverJobID, jobs.IngestArgs{WorkspaceID: d.space.ID, IngestID: in.ID}
		}},
		{"a re-embedding", func(d *fixture) (string, uuid.UUID, int64, river.JobArgs) {
			var id uuid.UUID
			_, err := d.store.Library.CreateReembed(d.t.Context(), store.Submission{Workspace: d.space.ID, Route: "test", Key: "k"},
				knowledge.PlacementOf(knowledge.Model{Provider: "other", Name: "words", Dimensions: 8}),
				func(r *library.Reembed) (store.Response, error) { id = r.ID; return store.Response{Status: 202}, nil })
			require.NoError(d.t, err)
			job := d.jobOf(`select river_job_id from reembeds where id = $1`, id)
			return "reembed", id, job, jobs.ReembedArgs{WorkspaceID: d.space.ID, ReembedID: id}
		}},
	}
}

// However its job is lost, active work is found, named, and its job runs again.
func TestActiveWorkThatLostItsJobIsResumed(t *testing.T) {
	losses := map[string]string{
		"discarded": `update river_job set state = 'discarded', finalized_at = now(), attempt = 8 where id = $1`,
		"cancelled": `update river_job set state = 'cancelled', finalized_at = now(), metadata = '{"cancel_attempted_at": "x"}' where id = $1`,
		"deleted":   `delete from river_job where id = $1`,
	}
	for _, work := range lostWorks() {
		for how, loss := range losses {
			t.Run(work.name+" "+how, func(t *testing.T) {
				t.Parallel()
				d := newFixture(t)
				what, id, job, args := work.make(d)
				lost, err := d.store.Workers.LostWork(t.Context(), 10)
				require.NoError(t, err)
				require.Empty(t, lost, "while it has its job")
				_, err = d.owner.Exec(t.Context(), loss, job)
				require.NoError(t, err)
				lost, err = d.store.Workers.LostWork(t.Context(), 10)
				require.NoError(t, err)
				require.Equal(t, []workers.LostWork{{What: what, ID: id}}, lost)
				done, err := d.store.Workers.Reconcile(t.Context())
				require.NoError(t, err)
				require.Len(t, done, 1)
				require.Equal(t, workers.Reconciled{LostWork: lost[0], JobID: job, Kind: args.Kind()}, done[0])
				d.requireJob(job, args)
				done, err = d.store.Workers.Reconcile(t.Context())
				require.NoError(t, err)
				require.Empty(t, done)
			})
		}
	}
}

// requireJob makes sure that the job is what its kind inserts, and can be worked.
func (d *fixture) requireJob(job int64, args river.JobArgs) {
	d.t.Helper()
	var got struct {
		Kind, Queue, State string
		Args               []byte
		Workable           bool
	}
	require.NoError(d.t, d.owner.QueryRow(d.t.Context(), `
		select kind, queue, state, args, attempt < max_attempts and scheduled_at <= clock_timestamp() and finalized_at is null
		  from river_job where id = $1`, job).Scan(&got.Kind, &got.Queue, &got.State, &got.Args, &got.Workable))
	want, err := json.Marshal(args)
	require.NoError(d.t, err)
	require.JSONEq(d.t, string(want), string(got.Args))
	require.Equal(d.t, args.Kind(), got.Kind)
	require.Equal(d.t, args.(river.JobArgsWithInsertOpts).InsertOpts().Queue, got.Queue)
	require.Equal(d.t, "available", got.State)
	require.True(d.t, got.Workable)
}

// A job that is lost again and again is run once more to fail its work: its attempt is beyond the last.
func TestWorkThatLosesItsJobAgainAndAgainIsFailed(t *testing.T) {
	d := newFixture(t)
	_, plan := d.tune("k")
	for range 3 {
		_, err := d.owner.Exec(t.Context(), `update river_job set state = 'discarded', finalized_at = now() where id = $1`, plan)
		require.NoError(t, err)
		done, err := d.store.Workers.Reconcile(t.Context())
		require.NoError(t, err)
		require.False(t, done[0].Failed)
	}
	_, err := d.owner.Exec(t.Context(), `update river_job set state = 'discarded', finalized_at = now() where id = $1`, plan)
	require.NoError(t, err)
	done, err := d.store.Workers.Reconcile(t.Context())
	require.NoError(t, err)
	require.True(t, done[0].Failed)
	require.Equal(t, 1, d.count(`select count(*) from river_job where id = $1 and state = 'available' and attempt = max_attempts`, plan))
}

// A job that is retried by hand while the reconciler looks at it stays as it was retried.
func TestTheReconcilerLeavesAJobThatIsRetriedMeanwhile(t *testing.T) {
	d := newFixture(t)
	_, plan := d.tune("k")
	_, err := d.owner.Exec(t.Context(), `update river_job set state = 'discarded', finalized_at = now() where id = $1`, plan)
	require.NoError(t, err)
	retry, err := d.owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = retry.Rollback(t.Context()) }()
	_, err = retry.Exec(t.Context(), `update river_job set state = 'available', finalized_at = null, max_attempts = 99 where id = $1`, plan)
	require.NoError(t, err)
	type outcome struct {
		done []workers.Reconciled
		err  error
	}
	outcomes := make(chan outcome, 1)
	go func() {
		done, err := d.store.Workers.Reconcile(t.Context())
		outcomes <- outcome{done, err}
	}()
	require.Eventually(t, func() bool {
		return d.count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == 1
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, retry.Commit(t.Context()))
	got := <-outcomes
	require.NoError(t, got.err)
	require.Empty(t, got.done)
	require.Equal(t, 1, d.count(`select count(*) from river_job where id = $1 and state = 'available' and max_attempts = 99`, plan))
}

// A tune without any step of it in the queue cannot go on, so it is failed.
func TestATuneWithoutAStepIsFailed(t *testing.T) {
	d := newFixture(t)
	tune, plan := d.tune("k")
	require.NoError(t, d.store.Tuning.Begin(t.Context(), d.claim(plan, "w"), tune.ID,
		tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}))
	_, err := d.owner.Exec(t.Context(), `update tune_shards set job_id = null`)
	require.NoError(t, err)
	done, err := d.store.Workers.Reconcile(t.Context())
	require.NoError(t, err)
	require.Len(t, done, 1)
	require.Equal(t, "tune.plan", done[0].Kind)
	require.True(t, done[0].Failed)
	require.Equal(t, 1, d.count(`select count(*) from river_job where id = $1 and errors[1] ->> 'error' = 'no step of it was queued'`, plan))
}

// A job whose worker lives, but no longer holds it, ended in an outcome that was not recorded.
func TestAnOutcomeThatWasNotRecordedCostsNoAttempt(t *testing.T) {
	d := newFixture(t)
	_, forgotten := d.tune("forgotten")
	_, lost := d.tune("lost")
	d.claim(forgotten, "alive")
	d.claim(lost, "dead")
	_, err := d.store.Workers.Beat(t.Context(), workers.Worker{ID: "alive", Queues: map[string]int{}}, nil, nil)
	require.NoError(t, err)
	rescued, err := d.store.Workers.Rescue(t.Context())
	require.NoError(t, err)
	require.Len(t, rescued, 2)
	left := func(job int64) int { return d.count(`select max_attempts - attempt from river_job where id = $1`, job) }
	require.Equal(t, 8, left(forgotten))
	require.Equal(t, 7, left(lost))
}

// Only a silent worker's sessions are ended, whatever else is there.
func TestTheSessionsOfALostWorkerAreEnded(t *testing.T) {
	d := newFixture(t)
	open := func(worker string) *pgx.Conn {
		cfg := d.store.Pool().Config().ConnConfig
		cfg.RuntimeParams["application_name"] = store.WorkerSessions(worker)
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close(t.Context()) })
		_, err = conn.Exec(t.Context(), `select pg_advisory_lock(hashtextextended($1, 0))`, worker)
		require.NoError(t, err)
		return conn
	}
	silent, alive, unknown := open("silent"), open("alive"), open("unknown")
	_, err := d.owner.Exec(t.Context(), `
		insert into workers (id, host, pid, version, queues, beat_at)
		values ('silent', 'h', 1, 'v', '{}', clock_timestamp() - interval '1 minute'), ('alive', 'h', 1, 'v', '{}', clock_timestamp())`)
	require.NoError(t, err)
	ended, err := d.store.Workers.EndLostSessions(t.Context())
	require.NoError(t, err)
	require.Equal(t, []workers.LostSessions{{Worker: "silent", Sessions: 1}}, ended)
	require.Eventually(t, func() bool {
		return d.count(`select count(*) from pg_try_advisory_xact_lock(hashtextextended('silent', 0)) l where l`) == 1
	}, 5*time.Second, 10*time.Millisecond, "its lock is held on")
	require.Error(t, silent.Ping(t.Context()))
	require.NoError(t, alive.Ping(t.Context()))
	require.NoError(t, unknown.Ping(t.Context()))
	// The function cannot be made to end more, nor be called by a tenant's session.
	_, err = alive.Exec(t.Context(), `select * from end_lost_sessions('1 second')`)
	require.Equal(t, "42501", store.SQLState(err))
}

func TestTheWriteProbeSeesADatabaseThatOnlyReads(t *testing.T) {
	d := newFixture(t)
	first, err := d.store.Upkeep.ProbeWrite(t.Context())
	require.NoError(t, err)
	again, err := d.store.Upkeep.ProbeWrite(t.Context())
	require.NoError(t, err)
	require.Equal(t, first, again, "probes soon after one another are one")
	conn, err := d.store.Pool().Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	_, err = conn.Exec(t.Context(), `set default_transaction_read_only = on`)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `select probe_write('2 seconds')`)
	require.True(t, store.ReadOnly(err), "%v", err)
	require.True(t, store.Transient(err))
}
