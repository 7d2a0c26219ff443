package sweep

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkScaling times work on one goroutine and the same work on each of two. "two-of-one" is how much more two do in the
// same time, of the fastest of each; "best-ms" is the work of one alone. Integers and divisions in registers show what the
// machine's second processor is worth; triads over so many bytes, what the caches and the memory are that both share. A shard
// is both, and has the collector beside it, which is free where a processor is idle: with it off, and over so few bars that all
// fits the second cache, the parts are seen apart. The table at the end has all of one run, and each as a part of the integers:
// what the machine's processors would give if they shared nothing.
func BenchmarkScaling(b *testing.B) {
	b.Log("work on one goroutine and on two at once: registers, triads over 24 KB to 96 MB each, cross-validation, and 1,000 trials of sma_cross over 4,000 and over 500 bars, with and without collector")
	found := map[string]float64{}
	defer func() { logScaling(b, found) }()
	b.Run("integers", func(b *testing.B) {
		found["integers"] = benchmarkScaling(b, func(int) {
			x := uint64(1)
			for range 1_000_000 {
				x ^= x << 13
				x ^= x >> 7
				x ^= x << 17
			}
			require.NotZero(b, x)
		})
	})
	b.Run("divisions", func(b *testing.B) {
		found["divisions"] = benchmarkScaling(b, func(int) {
			x, y, z := 1.5, 2.5, 3.5
			for range 300_000 {
				x, y, z = 1+1/x, 1+1/y, 1+1/z
			}
			require.False(b, math.IsNaN(x+y+z))
		})
	})
	for name, size := range map[string]int{"triad-24KB": 1 << 10, "triad-768KB": 1 << 15, "triad-6MB": 1 << 18, "triad-96MB": 1 << 22} {
		b.Run(name, func(b *testing.B) {
			var of [2][3][]float64
			for k := range of {
				for i := range of[k] {
					of[k][i] = slices.Repeat([]float64{1}, size)
				}
			}
			found[name] = benchmarkScaling(b, func(k int) {
				for range 1 + (1<<19)/size {
					to, from, more := of[k][0], of[k][1], of[k][2]
					for i := range to {
						to[i] = from[i] + more[i]
					}
				}
			})
		})
	}
	b.Run("cross-validation", func(b *testing.B) {
		rows := rowsOf(noise(rand.New(rand.NewPCG(1, 1)), 128, 320, func(int) float64 { return 0 }))
		found["cross-validation"] = benchmarkScaling(b, func(int) { crossValidate(rows) })
	})
	for name, bars := range map[string]int{"shard": 4000, "shard-500-bars": 500} {
		b.Run(name, func(b *testing.B) { found[name] = benchmarkScalingShard(b, bars) })
		b.Run(name+"-no-collector", func(b *testing.B) {
			defer debug.SetGCPercent(debug.SetGCPercent(-1))
			found[name+"-no-collector"] = benchmarkScalingShard(b, bars)
		})
	}
}

// logScaling prints the table, the best first.
func logScaling(b *testing.B, found map[string]float64) {
	names := slices.SortedFunc(maps.Keys(found), func(x, y string) int { return cmp.Compare(found[y], found[x]) })
	var table strings.Builder
	for _, name := range names {
		fmt.Fprintf(&table, "\n%-28s two of one %.2f, of integers %.3f", name, found[name], found[name]/found["integers"])
	}
	b.Log(table.String())
}

func benchmarkScalingShard(b *testing.B, bars int) float64 {
	p := plan(b, wideSpec(), randomWalk(b, bars, 1))
	sh := p.Shards(1000)[3]
	return benchmarkScaling(b, func(int) {
		_, err := p.RunShard(b.Context(), sh, func(int) {})
		require.NoError(b, err)
	})
}

// benchmarkScaling has each of two goroutines do work of its own, and returns how much more both do in the same time.
func benchmarkScaling(b *testing.B, work func(k int)) float64 {
	one, two := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		work(0)
		one = min(one, time.Since(start))
		start = time.Now()
		var both sync.WaitGroup
		for k := range 2 {
			both.Go(func() { work(k) })
		}
		both.Wait()
		two = min(two, time.Since(start))
	}
	b.ReportMetric(2*one.Seconds()/two.Seconds(), "two-of-one")
	b.ReportMetric(float64(one.Microseconds())/1000, "best-ms")
	return 2 * one.Seconds() / two.Seconds()
}
