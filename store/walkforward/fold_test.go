package walkforward_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// fold reads the tune of a fold.
func fold(d *storetest.Fixture, f walkforward.Fold) *tuning.Tune {
	d.T.Helper()
	tune, err := d.Store.Tuning.Get(d.T.Context(), d.Space.ID, *f.TuneID)
	require.NoError(d.T, err)
	return tune
}

// begin begins a fold of one shard, which its plan job works.
func begin(d *storetest.Fixture, lease store.Lease, tune *tuning.Tune) error {
	return d.Store.Tuning.BeginFirst(d.T.Context(), lease, tune, tuning.Plan{Shards: []sweep.Shard{{Trials: 4, Cost: 1}}, Rounds: 1, Work: 4}, true)
}

// events are the types of a walk-forward's events and its tunes', in order, with what they say.
func events(d *storetest.Fixture, wfo uuid.UUID) []string {
	d.T.Helper()
	rows, err := d.Owner.Query(d.T.Context(), `
		select type || ' ' || (payload - 'tune_id' - 'eta_seconds')::text from event_log
		 where entity_id = $1::uuid::text or entity_id in (select id::text from tunes where wfo_id = $1) order by xid, id`, wfo)
	require.NoError(d.T, err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(d.T, err)
	return all
}

// A fold that one job works leaves what the jobs of plan, shard and ranking leave, and says so by the same events.
func TestAFoldOfOneJobLeavesWhatThreeJobsLeave(t *testing.T) {
	t.Parallel()
	left := func(one bool) (said []string, kept string) {
		d := storetest.New(t)
		ctx := t.Context()
		wfo, folds := d.WalkForward("w", 3, false)
		for i, f := range folds {
			best, trial := float64(i), 1
			done := tuning.ShardDone{Completed: 3, Skipped: 1, BestScore: &best, BestTrial: &trial, Columns: []byte{1}, Top: []byte{2}, Stats: []byte{3}}
			tune, lease := fold(d, f), d.Claim(d.PlanJob(*f.TuneID), "w")
			d.Exec(`update wfo_progress set told_at = null`) // or progress is recorded four times a second at most
			if one {
				require.NoError(t, begin(d, lease, tune))
				require.Equal(t, lease.JobID, d.ShardJob(tune.ID, 0))
				require.NoError(t, d.Store.Tuning.CompleteFold(ctx, lease, tune, &done, storetest.OutcomeOf(5, 10)))
			} else {
				require.NoError(t, d.Store.Tuning.Begin(ctx, lease, tune.ID, tuning.Plan{Shards: []sweep.Shard{{Trials: 4, Cost: 1}}, Rounds: 1, Work: 4}))
				require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(d.ShardJob(tune.ID, 0), "w"), tune.ID, done))
				collect := d.Claim(d.JobOf(`select collect_job_id from tune_progress where tune_id = $1`, tune.ID), "w")
				require.NoError(t, d.Store.Tuning.Complete(ctx, collect, tune.ID, storetest.OutcomeOf(5, 10)))
			}
			require.Equal(t, "completed", d.JobState(lease.JobID))
			require.Equal(t, i+1, d.WalkForwardNow(wfo.ID).FoldsDone)
		}
		require.Equal(t, "available", d.JobState(d.JobOf(`select candidates_job_id from wfo_runs where id = $1`, wfo.ID)))
		require.NoError(t, d.Owner.QueryRow(ctx, `
			select string_agg(jsonb_build_array(t.status, t.outcome, t.ranking, t.warnings, t.regime, t.error, to_jsonb(s) - 'job_id' - 'tune_id' - 'workspace_id',
			                  to_jsonb(p) - 'tune_id' - 'workspace_id' - 'collect_job_id' - 'updated_at', f.status, f.top,
			                  (select jsonb_agg(jsonb_build_array(l.rank, l.trial_index, l.score, l.entry, l.fold, l.strategy, l.objective) order by l.rank)
			                     from tune_leaderboard l where l.tune_id = t.id),
			                  t.manifest is not null, t.started_at is not null, t.completed_at is not null)::text, e'\n' order by t.wfo_fold)
			  from tunes t join tune_shards s on s.tune_id = t.id join tune_progress p on p.tune_id = t.id
			  join wfo_folds f on f.tune_id = t.id where t.wfo_id = $1`, wfo.ID).Scan(&kept))
		return events(d, wfo.ID), kept
	}
	said, kept := left(true)
	saidByThree, keptByThree := left(false)
	require.Equal(t, keptByThree, kept)
	require.Equal(t, saidByThree, said)
}

// A worker that gets the second attempt may be older than folds of one job: to it the job is that of any shard, and what
// it finds is ranked by a job of its own.
func TestAFoldOfOneJobIsContinuedAsAnyShard(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	wfo, folds := d.WalkForward("w", 2, false)
	tune := fold(d, folds[0])
	job := d.PlanJob(tune.ID)
	require.NoError(t, begin(d, d.Claim(job, "lost"), tune))
	var kind string
	var args jobs.TuneShardArgs
	require.NoError(t, d.Owner.QueryRow(ctx, `select kind, args from river_job where id = $1`, job).Scan(&kind, &args))
	require.Equal(t, args.Kind(), kind)
	require.Equal(t, jobs.TuneShardArgs{WorkspaceID: d.Space.ID, TuneID: tune.ID}, args)

	work, err := d.Store.Tuning.ShardWork(ctx, args.WorkspaceID, args.TuneID, args.Shard)
	require.NoError(t, err)
	require.NoError(t, d.Store.Tuning.FinishShard(ctx, d.Claim(job, "older"), tune.ID, tuning.ShardDone{Shard: work.Shard.Index, Completed: 4, Columns: []byte{1}}))
	collect := d.Claim(d.JobOf(`select collect_job_id from tune_progress where tune_id = $1`, tune.ID), "older")
	require.NoError(t, d.Store.Tuning.Complete(ctx, collect, tune.ID, storetest.OutcomeOf(5)))
	require.Equal(t, 1, d.WalkForwardNow(wfo.ID).FoldsDone)
	lost, err := d.Store.Workers.LostWork(ctx, 10)
	require.NoError(t, err)
	require.Empty(t, lost)
}

// What a fold's job saves is written by the attempt that has the job, once, and while the fold is running.
func TestAFoldOfOneJobIsFenced(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	wfo, folds := d.WalkForward("w", 3, false)
	job := d.PlanJob(*folds[0].TuneID)
	zombie := d.Claim(job, "first")
	tune := fold(d, folds[0])
	require.NoError(t, begin(d, zombie, tune))
	require.ErrorIs(t, begin(d, zombie, tune), store.ErrEnded, "it is begun once")
	successor := d.Claim(job, "second")
	done := &tuning.ShardDone{Completed: 4, Columns: []byte{1}}
	complete := func(lease store.Lease) error {
		return d.Store.Tuning.CompleteFold(ctx, lease, tune, done, storetest.OutcomeOf(5))
	}
	require.ErrorIs(t, begin(d, zombie, tune), store.ErrFenced)
	require.ErrorIs(t, complete(zombie), store.ErrFenced)
	other := *tune
	other.Stamp.Engine = "98"
	require.ErrorIs(t, d.Store.Tuning.CompleteFold(ctx, successor, &other, nil, storetest.OutcomeOf(5)), store.ErrEnded, "by other rules")
	require.Equal(t, 0, d.WalkForwardNow(wfo.ID).FoldsDone)
	require.Equal(t, tuning.Running, d.TuneStatus(tune.ID))
	require.NoError(t, complete(successor))
	require.ErrorIs(t, complete(successor), store.ErrFenced)
	require.Equal(t, 1, d.WalkForwardNow(wfo.ID).FoldsDone)

	ended := fold(d, folds[2])
	held := d.Claim(d.PlanJob(ended.ID), "w")
	require.NoError(t, begin(d, held, ended))
	d.Exec(`update tunes set status = 'failed' where id = $1`, ended.ID)
	require.ErrorIs(t, d.Store.Tuning.CompleteFold(ctx, held, ended, done, storetest.OutcomeOf(5)), store.ErrEnded, "it has ended though its job runs")
	require.Equal(t, tuning.Failed, d.TuneStatus(ended.ID))

	second := fold(d, folds[1])
	lease := d.Claim(d.PlanJob(second.ID), "w")
	require.NoError(t, begin(d, lease, second))
	_, err := d.Store.WalkForward.Cancel(ctx, d.Space.ID, wfo.ID)
	require.NoError(t, err)
	require.ErrorIs(t, d.Store.Tuning.CompleteFold(ctx, lease, second, done, storetest.OutcomeOf(5)), store.ErrEnded)
	require.Equal(t, tuning.Canceled, d.TuneStatus(second.ID))
}
