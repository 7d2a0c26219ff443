package main

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/walkforward"
)

// BenchmarkWFO times a walk-forward of 100 folds × 1,000 trials of sma_cross, each fold 8,000 hourly
// bars of training and 2,000 of test, from submission to the judged candidates: on one and on two trial slots,
// and as the same trials computed in a loop without queue or database. Tunes have the two slots that they have by default.
func BenchmarkWFO(b *testing.B) {
	b.Log("walk-forward of 100 folds x 1,000 trials of sma_cross, each 8,000 hourly bars of training and 2,000 of test; compute is the same trials in a loop on one core")
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: (333 + 100*83) * 24, Interval: time.Hour})
	require.NoError(b, err)
	spec := sweep.Spec{
		StrategyName: "sma_cross", Gates: sweep.GateLimits{MaxDrawdownPct: new(95.0)},
		ParamSpace: map[string]sweep.Range{"fast": {Low: new(2.0), High: new(26.0)}, "slow": {Low: new(30.0), High: new(187.0), Step: new(4.0)}},
	}
	spec.Normalize()
	config := sweep.WFOConfig{TrainDays: new(333), TestDays: new(83)}
	config.Normalize()
	folds, _, errs := config.Folds(bars)
	require.Empty(b, errs)
	require.Len(b, folds, 100)
	b.Run("compute", func(b *testing.B) {
		for b.Loop() {
			for _, fold := range folds {
				plan, errs := sweep.NewPlan(spec.OfFold(fold), bars, backtest.CalendarContinuous)
				require.Empty(b, errs)
				require.Equal(b, 1000, plan.Trials())
				_, err := plan.RunShard(b.Context(), plan.Shards(1000)[0], func(int) {})
				require.NoError(b, err)
			}
		}
		b.ReportMetric(100*1000*float64(b.N)/b.Elapsed().Seconds(), "trials/s")
	})
	for _, slots := range []int{1, 2} {
		b.Run("slots="+strconv.Itoa(slots), func(b *testing.B) {
			benchmarkWFO(b, newBenchStore(b, bars), slots, walkforward.NewRun{Spec: spec, Config: config, Folds: folds, Trials: 1000})
		})
	}
}

func benchmarkWFO(b *testing.B, s *benchStore, slots int, in walkforward.NewRun) {
	in.DatasetID, in.Dataset = s.dataset.ID, s.dataset.Name
	s.work(b, slots)
	before := s.used(b)
	for i := 0; b.Loop(); i++ {
		ended := s.ended()
		id := s.submitWFO(b, in, strconv.Itoa(i))
		s.awaitEnded(b, ended, len(in.Folds)+1)
		got, err := s.store.WalkForward.Get(b.Context(), s.space.ID, id)
		require.NoError(b, err)
		require.Equal(b, walkforward.Completed, got.Status, got.Error)
	}
	before.report(b, s.used(b))
	b.ReportMetric(100*1000*float64(b.N)/b.Elapsed().Seconds(), "trials/s")
}

func (s *benchStore) submitWFO(b *testing.B, in walkforward.NewRun, key string) uuid.UUID {
	b.Helper()
	var id uuid.UUID
	_, err := s.store.WalkForward.Create(b.Context(), store.Submission{Workspace: s.space.ID, Route: "bench", Key: key}, in,
		func(w *walkforward.Run, _ []walkforward.Fold) (store.Response, error) {
			id = w.ID
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(b, err)
	return id
}
