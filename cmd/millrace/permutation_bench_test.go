package main

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/sweep"
	"millrace/store/tuning"
)

// BenchmarkPermutationTest times a tune of 1,000 trials over 5,000 bars with permutations of its bars, from submission
// to verdict, on two trial slots. "of-compute" is that beside the same trials, permutations and evidence computed by two
// goroutines without queue or database.
func BenchmarkPermutationTest(b *testing.B) {
	b.Log("1,000 trials of sma_cross over 5,000 daily bars, split 70:30, and permutations of them, on two slots")
	for _, permutations := range []int{200, 1000} {
		b.Run(strconv.Itoa(permutations), func(b *testing.B) { benchPermutations(b, permutations) })
	}
}

func benchPermutations(b *testing.B, permutations int) {
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 5000})
	require.NoError(b, err)
	spec := benchSpec()
	spec.ParamSpace = map[string]sweep.Range{"fast": {Low: new(2.0), High: new(21.0)}, "slow": {Low: new(22.0), High: new(71.0)}}
	spec.Evidence = &sweep.EvidenceSpec{Permutations: permutations}
	spec.Normalize()
	s := newBenchStore(b, bars)
	s.work(b, 2)
	var alone, fleet time.Duration
	for b.Loop() {
		began := time.Now()
		permuteAlone(b, spec, bars)
		alone += time.Since(began)
		began = time.Now()
		id := s.submit(b, spec, began.String())
		for {
			got, err := s.store.Tuning.Get(b.Context(), s.space.ID, id)
			require.NoError(b, err)
			if got.Status.Ended() {
				require.Equal(b, tuning.Completed, got.Status, got.Error)
				break
			}
			<-time.After(10 * time.Millisecond)
		}
		fleet += time.Since(began)
	}
	b.ReportMetric(alone.Seconds()/float64(b.N), "s-compute")
	b.ReportMetric(fleet.Seconds()/float64(b.N), "s-fleet")
	b.ReportMetric(fleet.Seconds()/alone.Seconds(), "of-compute")
}

// permuteAlone computes the trials and every permutation with two goroutines, and ranks and weighs them.
func permuteAlone(b *testing.B, spec sweep.Spec, bars *backtest.Bars) {
	b.Helper()
	plan, errs := sweep.NewPlan(spec, bars, backtest.CalendarExchange)
	require.Empty(b, errs)
	shards := plan.Shards(plan.Trials())
	for i := range spec.Evidence.Permutations {
		shards = append(shards, sweep.Shard{Index: len(shards), First: i, Trials: 1, Rung: sweep.PermutedRung})
	}
	type encoded struct{ columns, top, stats []byte }
	results := make([]encoded, len(shards))
	next := make(chan int)
	var computing sync.WaitGroup
	for range 2 {
		computing.Go(func() {
			for i := range next {
				result, err := plan.RunShard(b.Context(), shards[i], func(int) {})
				if err == nil {
					results[i].columns, results[i].top, results[i].stats, err = result.Encode()
				}
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range shards {
		next <- i
	}
	close(next)
	computing.Wait()
	_, err := sweep.Collect(plan, shards, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, results[i].top, results[i].stats, nil
	})
	require.NoError(b, err)
}
