package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/store"
)

// held knows the jobs this process holds. A job stays a while after its work ended, because River
// writes the outcome of failures in batches a moment later.
type held struct {
	mu    sync.Mutex
	until map[int64]time.Time // zero: at work
}

const afterglow = 5 * time.Second

func newHeld() *held { return &held{until: map[int64]time.Time{}} }

func (h *held) begin(job int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until[job] = time.Time{}
}

func (h *held) end(job int64, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.until[job] = now.Add(afterglow)
}

func (h *held) ids(now time.Time) []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := make([]int64, 0, len(h.until))
	for job, until := range h.until {
		if !until.IsZero() && now.After(until) {
			delete(h.until, job)
			continue
		}
		ids = append(ids, job)
	}
	return ids
}

// watch is the middleware around every job: it notes what is held, measures, and keeps a zombie
// from touching its successor.
type watch struct {
	river.MiddlewareDefaults
	fleet *Fleet
}

// Work implements rivertype.WorkerMiddleware.
func (w *watch) Work(ctx context.Context, job *rivertype.JobRow, next func(context.Context) error) error {
	start := time.Now()
	w.fleet.held.begin(job.ID)
	w.fleet.opts.Metrics.RiverJobWait.WithLabelValues(job.Queue).Observe(max(0, start.Sub(job.ScheduledAt).Seconds()))
	err := next(ctx)
	if err != nil {
		w.outlive(ctx, job)
	}
	w.fleet.held.end(job.ID, time.Now())
	w.fleet.opts.Metrics.RiverJobRun.WithLabelValues(job.Kind, outcome(err)).Observe(time.Since(start).Seconds())
	return err
}

func outcome(err error) string {
	var cancelled *river.JobCancelError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &cancelled):
		return "cancelled"
	case errors.Is(err, store.ErrFenced):
		return "fenced"
	default:
		return "error"
	}
}

// outlive waits while a later attempt of the job runs elsewhere. River records a failure by job id
// for whichever attempt is running, so a zombie that returned now would fail its successor.
func (w *watch) outlive(ctx context.Context, job *rivertype.JobRow) {
	pause := 100 * time.Millisecond
	ctx = context.WithoutCancel(ctx)
	deadline := time.Now().Add(time.Minute)
	for time.Now().Before(deadline) {
		ask, cancel := context.WithTimeout(ctx, 5*time.Second)
		attempt, state, err := w.fleet.store.JobState(ask, job.ID)
		cancel()
		superseded := err == nil && attempt != job.Attempt && state == rivertype.JobStateRunning
		if errors.Is(err, store.ErrNotFound) || err == nil && !superseded {
			return
		}
		time.Sleep(pause)
		pause = min(2*pause, 2*time.Second)
	}
}
