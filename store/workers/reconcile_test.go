package workers_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/lifecycle"
	"millrace/store/storetest"
	"millrace/store/strategies"
	"millrace/store/tuning"
	"millrace/store/workers"
)

// lost puts work into a state and takes its job away.
type lostWork struct {
	name string
	make func(*storetest.Fixture) (what string, id uuid.UUID, job int64, args river.JobArgs)
}

func lostWorks() []lostWork {
	begun := func(d *storetest.Fixture) (*tuning.Tune, int64) {
		tune, plan := d.Tune("k")
		require.NoError(d.T, d.Store.Tuning.Begin(d.T.Context(), d.Claim(plan, "w"), tune.ID,
			tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}))
		return tune, d.JobOf(`select job_id from tune_shards where tune_id = $1`, tune.ID)
	}
	return []lostWork{
		{"a tune to be planned", func(d *storetest.Fixture) (string, uuid.UUID, int64, river.JobArgs) {
			tune, plan := d.Tune("k")
			return "tune", tune.ID, plan, jobs.TunePlanArgs{WorkspaceID: d.Space.ID, TuneID: tune.ID}
		}},
		{"a shard", func(d *storetest.Fixture) (string, uuid.UUID, int64, river.JobArgs) {
			tune, shard := begun(d)
			return "tune", tune.ID, shard, jobs.TuneShardArgs{WorkspaceID: d.Space.ID, TuneID: tune.ID}
		}},
		{"a tune to be ranked", func(d *storetest.Fixture) (string, uuid.UUID, int64, river.JobArgs) {
			tune, shard := begun(d)
			require.NoError(d.T, d.Store.Tuning.FinishShard(d.T.Context(), d.Claim(shard, "w"), tune.ID,
				tuning.ShardDone{Completed: 4, Columns: []byte{1}}))
			job := d.JobOf(`select collect_job_id from tune_progress where tune_id = $1`, tune.ID)
			return "tune", tune.ID, job, jobs.TuneCollectArgs{WorkspaceID: d.Space.ID, TuneID: tune.ID}
		}},
		{"a fold", func(d *storetest.Fixture) (string, uuid.UUID, int64, river.JobArgs) {
			_, folds := d.WalkForward("k", 2, false)
			id := *folds[0].TuneID
			return "tune", id, d.PlanJob(id), jobs.TunePlanArgs{WorkspaceID: d.Space.ID, TuneID: id, Own: true}
		}},
		{"a walk-forward whose folds have ended", func(d *storetest.Fixture) (string, uuid.UUID, int64, river.JobArgs) {
			wfo, folds := d.WalkForward("k", 2, false)
			for _, fold := range folds {
				d.RunFold(fold, storetest.OutcomeOf(5))
			}
			job := d.JobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID)
			return "wfo", wfo.ID, job, jobs.WFOCandidatesArgs{WorkspaceID: d.Space.ID, WFOID: wfo.ID}
		}},
		{"an ingestion", func(d *storetest.Fixture) (string, uuid.UUID, int64, river.JobArgs) {
			in := d.Ingest("k")
			return "ingestion", in.ID, in.RiverJobID, jobs.IngestArgs{WorkspaceID: d.Space.ID, IngestID: in.ID}
		}},
		{"a script to be examined", func(d *storetest.Fixture) (string, uuid.UUID, int64, river.JobArgs) {
			var id uuid.UUID
			_, err := d.Store.Strategies.Put(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: "k"}, "s", "//@version=6", strategies.Report{},
				func(s *strategies.Script) (store.Response, error) { id = s.ID; return store.Response{Status: 201}, nil })
			require.NoError(d.T, err)
			return "strategy", id, d.JobOf(`select check_job_id from strategies where id = $1`, id), jobs.StrategyCheckArgs{WorkspaceID: d.Space.ID, StrategyID: id}
		}},
		{"a deletion", func(d *storetest.Fixture) (string, uuid.UUID, int64, river.JobArgs) {
			tune, _ := d.Tune("k")
			deletion, err := d.Store.Lifecycle.Delete(d.T.Context(), d.Space.ID, lifecycle.Request{Kind: lifecycle.Tune, IDs: []uuid.UUID{tune.ID}, Cascade: true})
			require.NoError(d.T, err)
			job := d.JobOf(`select river_job_id from deletions where id = $1`, deletion.ID)
			return "deletion", deletion.ID, job, jobs.DeleteArgs{WorkspaceID: d.Space.ID, DeletionID: deletion.ID}
		}},
		{"a re-embedding", func(d *storetest.Fixture) (string, uuid.UUID, int64, river.JobArgs) {
			var id uuid.UUID
			_, err := d.Store.Library.CreateReembed(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: "k"},
				knowledge.PlacementOf(knowledge.Model{Provider: "other", Name: "words", Dimensions: 8}),
				func(r *library.Reembed) (store.Response, error) { id = r.ID; return store.Response{Status: 202}, nil })
			require.NoError(d.T, err)
			job := d.JobOf(`select river_job_id from reembeds where id = $1`, id)
			return "reembed", id, job, jobs.ReembedArgs{WorkspaceID: d.Space.ID, ReembedID: id}
		}},
	}
}

// However its job is lost, active work is found, named, and its job runs again.
func TestActiveWorkThatLostItsJobIsResumed(t *testing.T) {
	t.Parallel()
	losses := map[string]string{
		"discarded": `update river_job set state = 'discarded', finalized_at = now(), attempt = 8 where id = $1`,
		"cancelled": `update river_job set state = 'cancelled', finalized_at = now(), metadata = '{"cancel_attempted_at": "x"}' where id = $1`,
		"deleted":   `delete from river_job where id = $1`,
	}
	for _, work := range lostWorks() {
		for how, loss := range losses {
			t.Run(work.name+" "+how, func(t *testing.T) {
				t.Parallel()
				d := storetest.New(t)
				what, id, job, args := work.make(d)
				lost, err := d.Store.Workers.LostWork(t.Context(), 10)
				require.NoError(t, err)
				require.Empty(t, lost, "while it has its job")
				_, err = d.Owner.Exec(t.Context(), loss, job)
				require.NoError(t, err)
				lost, err = d.Store.Workers.LostWork(t.Context(), 10)
				require.NoError(t, err)
				require.Equal(t, []workers.LostWork{{What: what, ID: id}}, lost)
				done, err := d.Store.Workers.Reconcile(t.Context())
				require.NoError(t, err)
				require.Len(t, done, 1)
				require.Equal(t, workers.Reconciled{LostWork: lost[0], JobID: job, Kind: args.Kind()}, done[0])
				requireJob(d, job, args)
				done, err = d.Store.Workers.Reconcile(t.Context())
				require.NoError(t, err)
				require.Empty(t, done)
			})
		}
	}
}

// requireJob makes sure that the job is what its kind inserts, and can be worked.
func requireJob(d *storetest.Fixture, job int64, args river.JobArgs) {
	d.T.Helper()
	var got struct {
		Kind, Queue, State string
		Args               []byte
		Workable           bool
	}
	require.NoError(d.T, d.Owner.QueryRow(d.T.Context(), `
		select kind, queue, state, args, attempt < max_attempts and scheduled_at <= clock_timestamp() and finalized_at is null
		  from river_job where id = $1`, job).Scan(&got.Kind, &got.Queue, &got.State, &got.Args, &got.Workable))
	want, err := json.Marshal(args)
	require.NoError(d.T, err)
	require.JSONEq(d.T, string(want), string(got.Args))
	require.Equal(d.T, args.Kind(), got.Kind)
	require.Equal(d.T, args.(river.JobArgsWithInsertOpts).InsertOpts().Queue, got.Queue)
	require.Equal(d.T, "available", got.State)
	require.True(d.T, got.Workable)
}

// A job that is lost again and again is run once more to fail its work: its attempt is beyond the last.
func TestWorkThatLosesItsJobAgainAndAgainIsFailed(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	_, plan := d.Tune("k")
	for range 3 {
		_, err := d.Owner.Exec(t.Context(), `update river_job set state = 'discarded', finalized_at = now() where id = $1`, plan)
		require.NoError(t, err)
		done, err := d.Store.Workers.Reconcile(t.Context())
		require.NoError(t, err)
		require.False(t, done[0].Failed)
	}
	_, err := d.Owner.Exec(t.Context(), `update river_job set state = 'discarded', finalized_at = now() where id = $1`, plan)
	require.NoError(t, err)
	done, err := d.Store.Workers.Reconcile(t.Context())
	require.NoError(t, err)
	require.True(t, done[0].Failed)
	require.Equal(t, 1, d.Count(`select count(*) from river_job where id = $1 and state = 'available' and attempt = max_attempts`, plan))
}

// A job that is retried by hand while the reconciler looks at it stays as it was retried.
func TestTheReconcilerLeavesAJobThatIsRetriedMeanwhile(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	_, plan := d.Tune("k")
	_, err := d.Owner.Exec(t.Context(), `update river_job set state = 'discarded', finalized_at = now() where id = $1`, plan)
	require.NoError(t, err)
	retry, err := d.Owner.Begin(t.Context())
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
		done, err := d.Store.Workers.Reconcile(t.Context())
		outcomes <- outcome{done, err}
	}()
	require.Eventually(t, func() bool {
		return d.Count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == 1
	}, time.Minute, 5*time.Millisecond)
	require.NoError(t, retry.Commit(t.Context()))
	got := <-outcomes
	require.NoError(t, got.err)
	require.Empty(t, got.done)
	require.Equal(t, 1, d.Count(`select count(*) from river_job where id = $1 and state = 'available' and max_attempts = 99`, plan))
}

// A tune without any step of it in the queue cannot go on, so it is failed.
func TestATuneWithoutAStepIsFailed(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	tune, plan := d.Tune("k")
	require.NoError(t, d.Store.Tuning.Begin(t.Context(), d.Claim(plan, "w"), tune.ID,
		tuning.Plan{Shards: []sweep.Shard{{Trials: 4}}}))
	_, err := d.Owner.Exec(t.Context(), `update tune_shards set job_id = null`)
	require.NoError(t, err)
	done, err := d.Store.Workers.Reconcile(t.Context())
	require.NoError(t, err)
	require.Len(t, done, 1)
	require.Equal(t, "tune.plan", done[0].Kind)
	require.True(t, done[0].Failed)
	require.Equal(t, 1, d.Count(`select count(*) from river_job where id = $1 and errors[1] ->> 'error' = 'no step of it was queued'`, plan))
}
