package storetest

import (
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/walkforward"
)

// WalkForward submits a walk-forward of so many folds of four trials each.
func (d *Fixture) WalkForward(key string, folds int, partial bool) (*walkforward.Run, []walkforward.Fold) {
	d.T.Helper()
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10, 15, 20}}}}
	spec.Normalize()
	config := sweep.WFOConfig{TrainDays: new(100), TestDays: new(50), AllowPartial: &partial, MinFolds: new(2)}
	config.Normalize()
	in := walkforward.NewRun{DatasetID: d.Dataset.ID, Dataset: d.Dataset.Name, Spec: spec, Config: config, Trials: 4}
	for i := range folds {
		start := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, 50*i)
		in.Folds = append(in.Folds, sweep.Fold{Index: i, TrainBars: 100, TestBars: 50,
			TrainTest: sweep.TrainTest{TrainStart: start, TrainEnd: start.AddDate(0, 0, 100), TestEnd: start.AddDate(0, 0, 150)}})
	}
	var wfo *walkforward.Run
	var made []walkforward.Fold
	_, err := d.Store.WalkForward.Create(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: key}, in,
		func(w *walkforward.Run, folds []walkforward.Fold) (store.Response, error) {
			wfo, made = w, folds
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(d.T, err)
	return wfo, made
}

// WalkForwardNow is a walk-forward as it stands.
func (d *Fixture) WalkForwardNow(id uuid.UUID) *walkforward.Run {
	d.T.Helper()
	now, err := d.Store.WalkForward.Get(d.T.Context(), d.Space.ID, id)
	require.NoError(d.T, err)
	return now
}

// RunFold takes a fold's tune to its end: planned into one shard, run, collected.
func (d *Fixture) RunFold(fold walkforward.Fold, found *sweep.Outcome) {
	d.T.Helper()
	ctx, id := d.T.Context(), *fold.TuneID
	require.Equal(d.T, "available", d.JobState(d.PlanJob(id)), "fold %d has not been enqueued", fold.Index)
	require.NoError(d.T, d.Store.Tuning.Complete(ctx, d.ToCollect(id), id, found))
}

// OutcomeOf is the outcome of a tune of four trials whose leaders have these values of fast.
func OutcomeOf(fast ...float64) *sweep.Outcome {
	out := &sweep.Outcome{Counts: sweep.Counts{Completed: 4}}
	for i, v := range fast {
		oos := backtest.Metrics{ReturnPct: 1}
		out.Leaderboard = append(out.Leaderboard, sweep.Entry{
			Rank: i + 1, TrialIndex: i, Params: map[string]float64{"fast": v, "slow": 50}, Score: 1, MetricsIS: backtest.Metrics{ReturnPct: 2}, MetricsOOS: &oos,
		})
	}
	return out
}
