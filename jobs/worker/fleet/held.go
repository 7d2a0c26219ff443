package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/jobs/worker/attempt"
	"millrace/ops"
	"millrace/ops/routine"
	"millrace/store"
	"millrace/store/workers"
)

// errCancelled is why a job is stopped whose cancellation was asked for.
var errCancelled = errors.New("cancelled")

// held knows the jobs this process holds. A job stays a while after its work ended, because River
// writes outcomes in batches a moment later. One that is known to be completed does not: thousands a second would be
// in each heartbeat else.
type held struct {
	mu   sync.Mutex
	jobs map[workers.Held]*hold
}

type hold struct {
	stop  context.CancelCauseFunc
	until time.Time // zero: running
}

// completionGrace is longer than River takes to record an outcome that it must try again.
const completionGrace = 10 * time.Second

func newHeld() *held { return &held{jobs: map[workers.Held]*hold{}} }

func (h *held) begin(job workers.Held, stop context.CancelCauseFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jobs[job] = &hold{stop: stop}
}

func (h *held) end(job workers.Held, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jobs[job].until = now.Add(completionGrace)
}

// recorded forgets a job whose work has ended and whose completion is stored.
func (h *held) recorded(job *rivertype.JobRow) {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := workers.Held{JobID: job.ID, Attempt: job.Attempt}
	if hold := h.jobs[id]; hold != nil && !hold.until.IsZero() && job.State == rivertype.JobStateCompleted {
		delete(h.jobs, id)
	}
}

// extend lets no hold run out while no heartbeat goes through: neither can the outcome be recorded.
func (h *held) extend(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, hold := range h.jobs {
		if !hold.until.IsZero() {
			hold.until = now.Add(completionGrace)
		}
	}
}

// now lists what is running, and the jobs that have ended lately.
func (h *held) now(at time.Time) (running []workers.Held, unrecorded []int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for job, hold := range h.jobs {
		switch {
		case hold.until.IsZero():
			running = append(running, job)
		case at.After(hold.until):
			delete(h.jobs, job)
		default:
			unrecorded = append(unrecorded, job.JobID)
		}
	}
	return running, unrecorded
}

// recall stops the work at jobs that are cancelled or lost.
func (h *held) recall(recalls []workers.Recall) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range recalls {
		if hold := h.jobs[r.Held]; hold != nil {
			why := store.ErrFenced
			if r.Cancelled {
				why = errCancelled
			}
			hold.stop(why)
		}
	}
}

// watch is the middleware around every job: it notes what is held, measures, and stops the work at
// a job that is recalled.
type watch struct {
	river.MiddlewareDefaults
	fleet *Fleet
}

// Work implements rivertype.WorkerMiddleware.
func (w *watch) Work(ctx context.Context, job *rivertype.JobRow, next func(context.Context) error) error {
	start := time.Now()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	id := workers.Held{JobID: job.ID, Attempt: job.Attempt}
	w.fleet.held.begin(id, stop)
	defer func() { w.fleet.held.end(id, time.Now()) }() // also after a panic
	ctx, finish := w.watched(ctx, job)
	ctx, ended := attempt.Watch(ctx)
	w.fleet.opts.Metrics.RiverJobWait.WithLabelValues(job.Queue).Observe(max(0, w.fleet.store.Clock().Now().Sub(job.ScheduledAt).Seconds()))
	err := routine.Do(func() error { return next(ctx) }) // River would hide a panic from what follows
	if err != nil {
		switch why := context.Cause(ctx); {
		case errors.Is(why, errCancelled):
			err = river.JobCancel(errCancelled)
		case errors.Is(why, store.ErrFenced):
			err = fmt.Errorf("job %d attempt %d: %w", job.ID, job.Attempt, store.ErrFenced)
		}
	}
	if err != nil {
		if waiting := notNow(err, job, w.fleet.store.LostConnectionSince(start)); waiting != err {
			w.fleet.opts.Logger.WarnContext(ctx, "the database says not now; the job waits", "error", err)
			err = waiting
		}
	}
	w.fleet.opts.Metrics.RiverJobRun.WithLabelValues(job.Kind, outcome(err)).Observe(time.Since(start).Seconds())
	finish(w.judge(ctx, job, ended(), err))
	return err
}

// judge logs and reports a job that has failed for good, once. What a user's own input brought about is
// not our failure: it is logged for those who look for it, and counted by what it ended.
func (w *watch) judge(ctx context.Context, job *rivertype.JobRow, ended *attempt.Ended, err error) ops.Outcome {
	var cancelled *river.JobCancelError
	switch {
	case ended != nil && ended.Cause == nil:
		w.fleet.opts.Logger.InfoContext(ctx, "job refused its input", "id", ended.ID, "reason", ended.Reason)
		return ops.OutcomeRefused
	case ended != nil:
		w.fleet.failures.Report(ctx, "job failed for good", ended.Cause, slog.Any("id", ended.ID), slog.String("reason", ended.Reason))
		return ops.OutcomeFailed
	case errors.As(err, &cancelled):
		cause := cancelled.Unwrap()
		if errors.Is(cause, errCancelled) || errors.Is(cause, errors.Unwrap(rivertype.ErrJobCancelledRemotely)) || errors.Is(cause, store.ErrEnded) || errors.Is(cause, store.ErrNotFound) {
			return ops.OutcomeCanceled
		}
		w.fleet.failures.Report(ctx, "job failed for good", cause)
		return ops.OutcomeFailed
	case outcome(err) == "error" && errors.Is(context.Cause(ctx), context.Canceled): // the process stops
		return ops.OutcomeCanceled
	case outcome(err) == "error" && job.Attempt >= job.MaxAttempts:
		w.fleet.failures.Report(ctx, "job failed for good", err)
		return ops.OutcomeFailed
	}
	switch outcome(err) {
	case "ok":
		return ops.OutcomeOK
	case "snoozed":
		return ops.OutcomeWaits
	case "fenced":
		return ops.OutcomeFenced
	}
	return ops.OutcomeFailed // and runs again
}

// watched has what is logged and reported of the job name it.
func (w *watch) watched(ctx context.Context, job *rivertype.JobRow) (context.Context, func(ops.Outcome)) {
	space := spaceOf(job.EncodedArgs)
	ctx = named(ops.OfJob(ctx, job.Metadata), job, space)
	ctx, finish := w.fleet.opts.Reporter.Begin(ctx, "queue.process", job.Kind)
	ops.Tag(ctx, "workspace_id", space)
	return ctx, finish
}

// spaceOf is the workspace that a job's arguments name; empty for a kind without one. Arguments without nesting and
// escapes, as most have, are searched for it: to decode them once more takes a tenth of what a small job does.
func spaceOf(args []byte) string {
	const key = `"workspace_id": "` // as jsonb is printed
	if len(args) > 0 && bytes.IndexByte(args[1:], '{') < 0 && bytes.IndexByte(args, '[') < 0 && bytes.IndexByte(args, '\\') < 0 {
		if _, after, ok := bytes.Cut(args, []byte(key)); ok {
			if space, _, ok := bytes.Cut(after, []byte{'"'}); ok {
				return string(space)
			}
		}
	}
	var named struct {
		WorkspaceID string `json:"workspace_id"`
	}
	_ = json.Unmarshal(args, &named)
	return named.WorkspaceID
}

// named has what is logged and reported with a context name its job.
func named(ctx context.Context, job *rivertype.JobRow, workspace string) context.Context {
	ctx = ops.With(ctx, slog.Int64("job_id", job.ID), slog.String("kind", job.Kind), slog.Int("attempt", job.Attempt))
	if workspace != "" {
		ctx = ops.With(ctx, slog.String("workspace_id", workspace))
	}
	return ctx
}

func outcome(err error) string {
	var cancelled *river.JobCancelError
	var snoozed *river.JobSnoozeError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &cancelled):
		return "cancelled"
	case errors.As(err, &snoozed):
		return "snoozed"
	case errors.Is(err, store.ErrFenced):
		return "fenced"
	default:
		return "error"
	}
}
