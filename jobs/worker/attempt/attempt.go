// Package attempt is what the workers of all kinds have in common: one attempt at a job, the lease
// that its result is written under, and what an error means for the thing the job works on.
package attempt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/ops/routine"
	"millrace/store"
)

// Worker works the jobs of one kind.
type Worker[A river.JobArgs] struct {
	river.WorkerDefaults[A]
	Saver *Saver
	// Limit bounds one attempt; below River's own rescue age.
	Limit time.Duration
	// Of is the workspace of a job and the id of the thing it works on.
	Of func(args A) (workspace, id uuid.UUID)
	// Do is the work. It saves its result under the lease, which completes the job.
	Do func(ctx context.Context, args A, lease store.Lease) error
	// Fail ends the thing for good under the lease.
	Fail func(ctx context.Context, args A, lease store.Lease, failure store.Failure) error
}

// Timeout implements river.Worker.
func (w *Worker[A]) Timeout(*river.Job[A]) time.Duration { return w.Limit }

// Work implements river.Worker. An error that no later attempt can mend, or that of the last
// attempt, fails the thing with its reason; any other is returned for River to retry.
func (w *Worker[A]) Work(ctx context.Context, job *river.Job[A]) error {
	began := time.Now()
	workspace, id := w.Of(job.Args)
	lease := store.Lease{
		Workspace: workspace, JobID: job.ID, Attempt: job.Attempt, Last: job.Attempt >= job.MaxAttempts,
	}
	var err error
	if job.Attempt > job.MaxAttempts {
		reason := lostBy(job.JobRow)
		err = &PermanentError{Reason: reason, Cause: errors.New(reason)}
	} else {
		err = routine.Do(func() error { return w.Do(ctx, job.Args, lease) })
	}
	switch {
	case err == nil:
		return nil
	case over(err):
		return river.JobCancel(err)
	case errors.Is(err, store.ErrFenced), ctx.Err() != nil, errors.As(err, new(*river.JobSnoozeError)):
		return err // it waits and has not failed, also on the last attempt
	}
	var permanent *PermanentError
	if !errors.As(err, &permanent) && (job.Attempt < job.MaxAttempts || w.Saver.db.NotNow(err, began)) {
		return err // "not now" costs no attempt: package fleet has the job wait
	}
	ended := Ended{ID: id, Reason: reasonOf(err, job.ID), Cause: err}
	failure := store.Failure{Reason: ended.Reason}
	if permanent != nil {
		ended.Cause, failure.Final = permanent.Cause, permanent.Cause == nil && !permanent.Passes
	}
	if err = w.Saver.Save(ctx, lease, func() error { return w.Fail(ctx, job.Args, lease, failure) }); over(err) {
		return river.JobCancel(err)
	}
	if err == nil {
		report(ctx, ended)
	}
	return err
}

// reasonOf is what the user reads of an error. A panic's text is its stack, which is for the log.
func reasonOf(err error, job int64) string {
	if panicked := new(routine.PanicError); errors.As(err, &panicked) {
		return fmt.Sprintf("an error on our side, recorded under job %d", job)
	}
	return err.Error()
}

// over reports whether nothing is left to do: what the job works on has ended or is gone.
func over(err error) bool { return errors.Is(err, store.ErrEnded) || errors.Is(err, store.ErrNotFound) }

// lostBy is why a job is failed instead of worked: every attempt lost its worker, see workers.Rescue,
// or the job itself was lost again and again, see workers.Reconcile, and its last error says how.
func lostBy(job *rivertype.JobRow) string {
	reason := "every attempt at it lost its worker"
	if n := len(job.Errors); n > 0 && !strings.HasPrefix(job.Errors[n-1].Error, "the worker ") {
		reason = "its job was lost: " + job.Errors[n-1].Error
	}
	return reason
}

// PermanentError is an error that every attempt would meet again. Without a Cause the input is at fault:
// a file that cannot be read, a source that is refused. With one the failure is ours or a provider's, and
// is reported.
type PermanentError struct {
	Reason string // for the user
	Cause  error
	Passes bool // the input may be fit another day: a source is away, a quota is full
}

// Error implements error.
func (e *PermanentError) Error() string { return e.Reason }

// Unwrap returns the cause.
func (e *PermanentError) Unwrap() error { return e.Cause }

// Saver saves results.
type Saver struct {
	db     *store.DB
	logger *slog.Logger
}

// NewSaver makes a saver.
func NewSaver(db *store.DB, logger *slog.Logger) *Saver { return &Saver{db, logger} }

// Save saves a result, waiting out a database that is away for a moment: computing again would
// cost more. A save whose commit went through while its answer was lost finds the fence closed by
// its own completion, which counts as saved.
func (s *Saver) Save(ctx context.Context, lease store.Lease, save func() error) error {
	const patience = 2 * time.Minute
	var unsure bool
	pause := 100 * time.Millisecond
	for start := time.Now(); ; pause = min(2*pause, 2*time.Second) {
		err := save()
		if unsure && errors.Is(err, store.ErrFenced) {
			attempt, state, stateErr := s.db.JobState(ctx, lease.JobID)
			if stateErr == nil && attempt == lease.Attempt && state == rivertype.JobStateCompleted {
				return nil
			}
		}
		if !store.Transient(err) || time.Since(start) > patience {
			return err
		}
		unsure = true
		s.logger.WarnContext(ctx, "database is away; saving again", "job_id", lease.JobID, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}
