package sweep

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkScaling times work on one goroutine and the same work on each of two: integers and divisions in registers, which
// show what the machine's second processor is worth, and a shard, which memory and cache bound as well. "two-of-one" is how
// much more two do in the same time; "best-ms" is the work of one alone.
func BenchmarkScaling(b *testing.B) {
	b.Log("work on one goroutine and on two at once: registers only, and 1,000 trials of sma_cross over 4,000 bars; two cores give 2, two threads of one core less")
	b.Run("integers", func(b *testing.B) {
		benchmarkScaling(b, func() {
			x := uint64(1)
			for range 5_000_000 {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
			}
			require.NotZero(b, x)
		})
	})
	b.Run("divisions", func(b *testing.B) {
		benchmarkScaling(b, func() {
			x, y, z := 1.5, 2.5, 3.5
			for range 1_000_000 {
				x, y, z = 1+1/x, 1+1/y, 1+1/z
			}
			require.False(b, math.IsNaN(x+y+z))
		})
	})
	b.Run("shard", func(b *testing.B) {
		p := plan(b, wideSpec(), randomWalk(b, 4000, 1))
		sh := p.Shards(1000)[3]
		benchmarkScaling(b, func() {
			_, err := p.RunShard(b.Context(), sh, func(int) {})
			require.NoError(b, err)
		})
	})
}

func benchmarkScaling(b *testing.B, work func()) {
	one, two := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		work()
		one = min(one, time.Since(start))
		start = time.Now()
		var both sync.WaitGroup
		for range 2 {
			both.Go(work)
		}
		both.Wait()
		two = min(two, time.Since(start))
	}
	b.ReportMetric(2*one.Seconds()/two.Seconds(), "two-of-one")
	b.ReportMetric(float64(one.Microseconds())/1000, "best-ms")
}
