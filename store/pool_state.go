package store

import (
	"slices"
	"sync"
	"time"
)

// recentFor is how far back the pool's recent waits go.
const recentFor = 5 * time.Minute

// recent keeps the latest waits for a connection.
type recent struct {
	mu    sync.Mutex
	waits [1024]struct {
		at   time.Time
		took time.Duration
	}
	next int
}

func (r *recent) add(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waits[r.next%len(r.waits)].at, r.waits[r.next%len(r.waits)].took = time.Now(), took
	r.next++
}

// tooFew waits say nothing of a percentile: the first of them opened the connections.
const tooFew = 20

// p95 is the wait that 95 % of the recent ones did not exceed; zero when there were too few.
func (r *recent) p95() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	var took []time.Duration
	since := time.Now().Add(-recentFor)
	for _, w := range r.waits {
		if w.at.After(since) {
			took = append(took, w.took)
		}
	}
	if len(took) < tooFew {
		return 0
	}
	slices.Sort(took)
	return took[(len(took)-1)*95/100]
}

// PoolState is how the pool is doing, from memory.
type PoolState struct {
	Max        int
	Size       int // connections open
	Available  int // connections that a caller would get at once, those yet to be opened included
	AcquireP95 time.Duration
}

// PoolState reports on the pool; the wait is that of the past five minutes.
func (s *DB) PoolState() PoolState {
	stat := s.pool.Stat()
	state := PoolState{
		Max: int(stat.MaxConns()), Size: int(stat.TotalConns()),
		Available: int(stat.MaxConns() - stat.AcquiredConns()),
	}
	if s.spaces != s.pool {
		stat := s.spaces.Stat()
		state.Max, state.Size = state.Max+int(stat.MaxConns()), state.Size+int(stat.TotalConns())
		// A caller needs one of each.
		state.Available = min(state.Available, int(stat.MaxConns()-stat.AcquiredConns()))
	}
	if tracer, ok := s.pool.Config().ConnConfig.Tracer.(*poolTracer); ok {
		state.AcquireP95 = tracer.recent.p95()
	}
	return state
}

// TakeConnErrors takes the failed connection attempts that nobody has counted yet.
func (s *DB) TakeConnErrors() int64 {
	tracer, ok := s.pool.Config().ConnConfig.Tracer.(*poolTracer)
	if !ok {
		return 0
	}
	return tracer.uncounted.Swap(0)
}

// PutBackConnErrors returns those that could not be counted after all.
func (s *DB) PutBackConnErrors(n int64) {
	if tracer, ok := s.pool.Config().ConnConfig.Tracer.(*poolTracer); ok {
		tracer.uncounted.Add(n)
	}
}
