package tune_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/pine"
	"millrace/jobs/sweep"
	"millrace/jobs/worker/tune"
	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// ofAWorker leaves out what River and the heartbeats send.
func ofAWorker(sql string) bool {
	return strings.Contains(sql, "millrace_workspace") || strings.Contains(sql, "fleet_slots") || strings.Contains(sql, "join datasets d")
}

// folds submits a walk-forward and returns the tunes of its folds.
func (f *fixture) folds(key string) (tunes []uuid.UUID) {
	f.t.Helper()
	spec := sweep.Spec{StrategyName: "sma_cross", Gates: sweep.GateLimits{MinTrades: new(1), MaxDrawdownPct: new(60.0)},
		ParamSpace: map[string]sweep.Range{"fast": {Low: new(2.0), High: new(11.0)}, "slow": {Low: new(20.0), High: new(60.0), Step: new(10.0)}}}
	spec.Normalize()
	config := sweep.WFOConfig{TrainDays: new(400), TestDays: new(100)}
	config.Normalize()
	bars, calendar, err := f.store.Market.Bars(f.t.Context(), f.space.ID, f.dataset.ID)
	require.NoError(f.t, err)
	folds, _, problems := config.Folds(bars)
	require.Empty(f.t, problems)
	plan, faults := sweep.NewPlan(spec.OfFold(folds[0]), bars, calendar)
	require.Empty(f.t, faults)
	in := walkforward.NewRun{DatasetID: f.dataset.ID, Dataset: f.dataset.Name, Spec: spec, Config: config, Folds: folds, Trials: plan.Trials()}
	_, err = f.store.WalkForward.Create(f.t.Context(), store.Submission{Workspace: f.space.ID, Route: "test", Key: key}, in,
		func(_ *walkforward.Run, made []walkforward.Fold) (store.Response, error) {
			for _, fold := range made {
				tunes = append(tunes, *fold.TuneID)
			}
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(f.t, err)
	return tunes
}

// A fold costs a worker few round trips: its tune, the fleet's slots, what it begins, what its manifest names, and what it
// found. Two of them are transactions that hold the lock of the walk-forward.
func TestAFoldTakesFewRoundTripsAndTwoTransactions(t *testing.T) {
	f := newFixture(t)
	trips := &storetest.RoundTrips{Only: ofAWorker}
	tunes := f.folds("k")
	require.Greater(t, len(tunes), 8)
	f.spans = trips
	stop := f.work(1, tune.Options{ShardTime: time.Minute})
	for _, id := range tunes {
		f.result(id)
	}
	stop()
	sent := trips.Take()
	locked, all := 0, len(sent)
	for i, sql := range sent {
		if strings.Contains(sql, "hold_job") {
			locked++
		}
		if strings.HasPrefix(sql, "begin; ") && !strings.HasSuffix(sql, "; commit") {
			all++ // its commit
		}
		sent[i] = sql[:min(len(sql), 160)]
	}
	const once = 6 // the bars, which are kept
	require.Equal(t, 2*len(tunes), locked, strings.Join(sent, "\n"))
	require.LessOrEqual(t, all, 5*len(tunes)+once, strings.Join(sent, "\n"))
}

// One job finds what jobs of plan, shards and ranking find.
func TestAFoldOfOneJobFindsWhatSeveralFind(t *testing.T) {
	f := newFixture(t)
	one := f.folds("one")
	stop := f.work(2, tune.Options{ShardTime: time.Minute})
	var found []string
	for _, id := range one {
		found = append(found, f.result(id))
	}
	stop()
	several := f.folds("several")
	f.work(2, tune.Options{ShardTime: time.Nanosecond})
	for i, id := range several {
		require.Equal(t, found[i], f.result(id), "fold %d", i)
	}
	const ofTunes = `select count(*) from river_job where args ->> 'tune_id' = any ($1)`
	require.Equal(t, len(one), f.count(ofTunes, texts(one)))
	require.Equal(t, len(one), f.count(ofTunes+` and kind = 'tune.plan' and args ? 'own' and not args ? 'shard'`, texts(one)))
	require.Equal(t, 2*len(one), f.count(`
		select count(*) from event_log l, unnest(l.job_ids) j (id)
		 where type in ('job.running', 'job.completed') and payload ->> 'kind' = 'tune.plan'
		   and j.id in (select id from river_job where args ->> 'tune_id' = any ($1))`, texts(one)), "the events of a job name one kind")
	require.Greater(t, f.count(ofTunes, texts(several)), 2*len(several))
}

func texts(ids []uuid.UUID) (all []string) {
	for _, id := range ids {
		all = append(all, id.String())
	}
	return all
}

func (f *fixture) count(sql string, args ...any) (n int) {
	f.t.Helper()
	require.NoError(f.t, f.store.InFleet(f.t.Context(), func(tx *store.Tx) error { return tx.QueryRow(f.t.Context(), sql, args...).Scan(&n) }))
	return n
}

// A job whose worker is lost after it began a fold runs the fold when it runs again, also the job of a revision in which it
// stayed that of the plan.
func TestAFoldThatLosesItsWorkerIsContinued(t *testing.T) {
	f := newFixture(t)
	tunes := f.folds("k")
	shard, plan := f.begunAndLost(tunes[0]), f.begunAndLost(tunes[1])
	f.count(`update river_job set kind = 'tune.plan', args = args - 'shard' || '{"own": true}' where id = $1 returning 1`, plan)
	f.work(1, tune.Options{ShardTime: time.Minute})
	for _, id := range tunes {
		f.result(id)
	}
	require.Equal(t, 2, f.count(`select attempt from river_job where id = $1 and state = 'completed' and kind = 'tune.shard'`, shard))
	require.Equal(t, 2, f.count(`select attempt from river_job where id = $1 and state = 'completed'`, plan))
}

// begunAndLost begins a fold of one shard as a worker does that is lost then, and returns its job.
func (f *fixture) begunAndLost(id uuid.UUID) (job int) {
	f.t.Helper()
	ctx := f.t.Context()
	got, err := f.store.Tuning.Get(ctx, f.space.ID, id)
	require.NoError(f.t, err)
	job = f.count(`
		update river_job set state = 'running', attempt = 1, attempted_at = now(), attempted_by = '{gone}'
		 where id = (select plan_job_id from tunes where id = $1) returning id`, id)
	stamp := got.Spec.Stamp(backtest.Stamp{Engine: backtest.Engine, Semantics: pine.Semantics})
	require.NoError(f.t, f.store.Tuning.BeginFirst(ctx, store.Lease{Workspace: f.space.ID, JobID: int64(job), Attempt: 1}, got, tuning.Plan{
		Shards: []sweep.Shard{{Trials: got.Trials, Cost: 1}}, Rounds: 1, Work: float64(got.Trials), Stamp: stamp,
	}, true))
	return f.count(`update river_job set state = 'available', attempted_at = null where id = $1 returning id`, job)
}
