package sweep

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkPBO times cross-validation of 1,000 trials in all 12,870 splits: of noise, whose trials have nothing in
// common, and of a sweep, whose neighbours are alike; and the block sums of one tune's returns.
func BenchmarkPBO(b *testing.B) {
	b.Log("cross-validation of 1,000 trials in all 12,870 splits: of noise, and of sma_cross over 2,000 daily bars; sums are the block sums of 1,000 trials over 2,000 daily returns")
	returns := noise(rand.New(rand.NewPCG(1, 1)), 1000, 2000, func(int) float64 { return 0 })
	b.Run("sums", func(b *testing.B) {
		for b.Loop() {
			rowsOf(returns)
		}
	})
	validate := func(rows []blockRow) func(*testing.B) {
		return func(b *testing.B) {
			for b.Loop() {
				_, missing := crossValidate(rows)
				require.Empty(b, missing)
			}
		}
	}
	b.Run("noise", validate(rowsOf(returns)))
	b.Run("sweep", validate(sampleOf(b, plan(b, wideSpec(), randomWalk(b, 2000, 1)))))
}

// sampleOf are the block sums that cross-validation of a plan is computed on.
func sampleOf(tb testing.TB, p *Plan) []blockRow {
	tb.Helper()
	shards := p.Shards(1000)
	results := runAll(tb, p, shards)
	all, err := gather(p, shards, nil, func(i int) ([]byte, []byte, []byte, error) {
		return results[i].columns, results[i].top, results[i].stats, nil
	})
	require.NoError(tb, err)
	return cutSample(all.blocks, p.evidenceSample())
}

// wideSpec is a grid of 10,000 pairs of averages.
func wideSpec() Spec {
	spec := crossSpec()
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(101.0)}, "slow": {Low: new(102.0), High: new(201.0)}}
	return spec
}

// BenchmarkShard times 1,000 trials of sma_cross over 2,000 daily bars with a split, on one core.
func BenchmarkShard(b *testing.B) {
	b.Log("1,000 trials of sma_cross over 2,000 daily bars of a random walk, split 70:30; one core")
	p := plan(b, wideSpec(), randomWalk(b, 2000, 1))
	sh := p.Shards(1000)[3]
	b.ReportAllocs()
	for b.Loop() {
		_, err := p.RunShard(b.Context(), sh, func(int) {})
		require.NoError(b, err)
	}
	trials := float64(b.N) * 1000
	b.ReportMetric(trials/b.Elapsed().Seconds(), "trials/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/trials/2000, "ns/bar")
}

// BenchmarkGrid times a grid of 100,000 trials over 100,000 bars on one core, shard by shard: each
// iteration is the next 200 trials, so that seconds measure what takes a minute.
func BenchmarkGrid(b *testing.B) {
	b.Log("sma_cross, fast 2..201 x slow 202..701, over 100,000 daily bars of a random walk, split 70:30; one core, 200 trials an iteration; indicator arrays shared within 96 MB")
	spec := crossSpec()
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(201.0)}, "slow": {Low: new(202.0), High: new(701.0)}}
	p := plan(b, spec, randomWalk(b, 100_000, 1))
	require.Equal(b, 100_000, p.Trials())
	shards, next := p.Shards(200), 0
	for b.Loop() {
		_, err := p.RunShard(b.Context(), shards[next%len(shards)], func(int) {})
		require.NoError(b, err)
		next++
	}
	trials := 200 * float64(b.N)
	b.ReportMetric(trials/b.Elapsed().Seconds(), "trials/s")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/trials/100_000, "ns/bar")
	b.ReportMetric(b.Elapsed().Seconds()/trials*100_000, "s/grid")
}

// BenchmarkPermutation times one permutation of a search of 1,000 trials over 5,000 bars, and beside it the
// search alone on bars that it has not seen: what is more is the permuting and the bookkeeping.
func BenchmarkPermutation(b *testing.B) {
	b.Log("1,000 trials of sma_cross over 5,000 daily bars, split 70:30; one core")
	spec := crossSpec()
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(21.0)}, "slow": {Low: new(22.0), High: new(71.0)}}
	spec.Evidence = &EvidenceSpec{Permutations: 1000}
	p := plan(b, spec, randomWalk(b, 5000, 1))
	require.Equal(b, 1000, p.Trials())
	spec.Evidence = nil
	var alone, permuted time.Duration
	for i := 0; b.Loop(); i++ {
		q := plan(b, spec, randomWalk(b, 5000, uint64(i)))
		start := time.Now()
		_, err := q.RunShard(b.Context(), q.Shards(1000)[0], func(int) {})
		require.NoError(b, err)
		alone += time.Since(start)
		start = time.Now()
		_, err = p.RunShard(b.Context(), Shard{First: i, Trials: 1, Rung: PermutedRung}, func(int) {})
		require.NoError(b, err)
		permuted += time.Since(start)
	}
	b.ReportMetric(permuted.Seconds()/float64(b.N), "s/permutation")
	b.ReportMetric(permuted.Seconds()/alone.Seconds(), "of-alone")
}

// BenchmarkCollect times the ranking and the evidence of 10,000 trials in ten shards.
func BenchmarkCollect(b *testing.B) {
	b.Log("ranking and evidence of 10,000 trials of sma_cross over 2,000 daily bars, in ten shards")
	p := plan(b, wideSpec(), randomWalk(b, 2000, 1))
	shards := p.Shards(1000)
	results := runAll(b, p, shards)
	for b.Loop() {
		_, err := Collect(p, shards, func(i int) ([]byte, []byte, []byte, error) {
			return results[i].columns, results[i].top, results[i].stats, nil
		})
		require.NoError(b, err)
	}
}

// BenchmarkSize times the counting of a constrained grid of 920,000 points.
func BenchmarkSize(b *testing.B) {
	b.Log("counting a constrained grid of 920,000 points")
	spec := Spec{
		StrategyName: "macd_cross", Constraints: []string{"fast < slow", "signal < slow"},
		ParamSpace: map[string]Range{
			"fast": {Low: new(2.0), High: new(101.0)}, "slow": {Low: new(3.0), High: new(202.0)}, "signal": {Low: new(2.0), High: new(47.0)},
		},
	}
	for b.Loop() {
		_, errs := Size(spec)
		require.Empty(b, errs)
	}
}
