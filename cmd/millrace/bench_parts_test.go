package main

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/worker/tune"
)

// timeline is what the parts of tunes took, one tune after the other.
type timeline struct {
	mu   sync.Mutex
	of   map[tune.Part][]stretch
	ends chan struct{} // a tune that completed
}

type stretch struct{ began, ended time.Time }

func newTimeline() *timeline {
	return &timeline{of: map[tune.Part][]stretch{}, ends: make(chan struct{}, 1)}
}

func (l *timeline) watch(part tune.Part, began, ended time.Time) {
	l.mu.Lock()
	l.of[part] = append(l.of[part], stretch{began, ended})
	l.mu.Unlock()
	if part == tune.PartEnd {
		l.ends <- struct{}{}
	}
}

// await waits until a tune has completed. Nothing polls meanwhile, which would be work beside what is timed.
func (l *timeline) await(b *testing.B) {
	b.Helper()
	select {
	case <-l.ends:
	case <-time.After(5 * time.Minute):
		require.Fail(b, "the tune does not end")
	}
}

// report prints the milliseconds of each part of a tune on one slot: before the first trial and after the last one, and between
// them while no trial ran; and what each part took, beside the trials or not.
func (l *timeline) report(b *testing.B, submitted, seen []time.Time) {
	b.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	shards := l.of[tune.PartCompute]
	slices.SortFunc(shards, func(x, y stretch) int { return x.began.Compare(y.began) })
	var head, between, tail time.Duration
	for i := range submitted {
		var of []stretch
		for _, s := range shards {
			if s.began.After(submitted[i]) && s.ended.Before(seen[i]) {
				of = append(of, s)
			}
		}
		require.NotEmpty(b, of)
		head += of[0].began.Sub(submitted[i])
		for k := range of[1:] {
			between += max(0, of[k+1].began.Sub(of[k].ended))
		}
		tail += seen[i].Sub(of[len(of)-1].ended)
	}
	rounds := float64(len(submitted))
	ms := func(name string, d time.Duration) { b.ReportMetric(d.Seconds()*1000/rounds, name) }
	ms("before-ms", head)
	ms("between-ms", between)
	ms("after-ms", tail)
	b.ReportMetric(float64(len(shards))/rounds, "shards")
	for part, of := range l.of {
		var sum time.Duration
		for _, s := range of {
			sum += s.ended.Sub(s.began)
		}
		ms(string(part)+"-ms", sum)
	}
}
