//go:build unix

package bm25_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/bm25"
)

// BenchmarkSearch reports the time of a question of six words and the memory of 250,000 chunks of 300
// words, whose frequencies follow Zipf's law as those of language do.
func BenchmarkSearch(b *testing.B) {
	const chunks = 250_000
	r := rand.New(rand.NewPCG(1, 1))
	zipf := rand.NewZipf(r, 1.1, 8, 29_999)
	texts := make([]string, 30_000)
	for i := range texts {
		texts[i] = fmt.Sprint("word", i)
	}
	index := bm25.New()
	counts := map[uint64]int{}
	var words []bm25.Word
	document := uuid.New()
	for n := range chunks {
		if n%20 == 0 {
			document = uuid.New()
		}
		clear(counts)
		for range 300 {
			counts[zipf.Uint64()]++
		}
		words = words[:0]
		for w, count := range counts {
			words = append(words, bm25.Word{Text: texts[w], Body: count})
		}
		index.Add(document, knowledge.SourceText, uuid.New(), words)
	}
	index.Trim()
	var took []time.Duration
	before := processorTime(b)
	for b.Loop() {
		question := make([]string, 6)
		for i := range question {
			question[i] = texts[zipf.Uint64()]
		}
		start := time.Now()
		if _, err := index.Search(b.Context(), question, knowledge.Filter{}, 100); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(index.Bytes())/1e6, "MB")
}

// processorTime is what the process has used: other processes do not count.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
