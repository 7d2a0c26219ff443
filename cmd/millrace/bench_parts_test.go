package main

import (
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

// tuneParts is where the time of one tune went.
type tuneParts struct {
	before, after time.Duration // the first trial and the last one
	between       time.Duration // of each slot, without trials between the first and the last one
	shards        int
	of            map[tune.Part]time.Duration // what each part took, beside the trials or not
}

// parts are those of the tune that ran on so many slots between two moments.
func (l *timeline) parts(b *testing.B, slots int, submitted, seen time.Time) tuneParts {
	b.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	p := tuneParts{of: map[tune.Part]time.Duration{}}
	first, last := seen, submitted
	for part, of := range l.of {
		for _, s := range of {
			if s.began.Before(submitted) || s.ended.After(seen) {
				continue
			}
			p.of[part] += s.ended.Sub(s.began)
			if part != tune.PartCompute {
				continue
			}
			p.shards++
			if s.began.Before(first) {
				first = s.began
			}
			if s.ended.After(last) {
				last = s.ended
			}
		}
	}
	require.Positive(b, p.shards)
	p.before, p.after = first.Sub(submitted), seen.Sub(last)
	p.between = last.Sub(first) - p.of[tune.PartCompute]/time.Duration(slots)
	return p
}
