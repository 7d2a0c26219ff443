package schedule

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/worker/attempt"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/requests"
	"millrace/store/schedules"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

const (
	// jobTimeout bounds one attempt; reading the bars of a large dataset is in it.
	jobTimeout = 5 * time.Minute
	// fullPause is how long a slot waits before it asks again whether the workspace's queue has room, and patience how
	// long it asks.
	fullPause = 15 * time.Second
	patience  = time.Hour
)

// Stores are what the workers need of the database.
type Stores struct {
	DB          *store.DB
	Requests    requests.Checker
	Library     *library.Store
	Schedules   *schedules.Store
	Tuning      *tuning.Store
	WalkForward *walkforward.Store
}

// Workers work the jobs of schedules.
type Workers struct {
	Stores
	save   *attempt.Saver
	depth  int
	logger *slog.Logger
}

// New makes the workers. depth is how much work of a workspace that has no limit of its own may be open; 0: any.
func New(st Stores, depth int, logger *slog.Logger) *Workers {
	return &Workers{Stores: st, save: attempt.NewSaver(st.DB, logger), depth: depth, logger: logger}
}

// Register adds the workers to those of the process.
func (w *Workers) Register(to *river.Workers) {
	river.AddWorker(to, &attempt.Worker[jobs.ScheduleFireArgs]{
		Saver: w.save, Limit: jobTimeout, Do: w.fire, Fail: w.failFire,
		Of: func(a jobs.ScheduleFireArgs) (workspace, id uuid.UUID) { return a.WorkspaceID, a.ScheduleID },
	})
	river.AddWorker(to, &attempt.Worker[jobs.ScheduleSubmitArgs]{
		Saver: w.save, Limit: jobTimeout, Do: w.submit, Fail: w.failSubmit,
		Of: func(a jobs.ScheduleSubmitArgs) (workspace, id uuid.UUID) { return a.WorkspaceID, a.SlotID },
	})
	river.AddWorker(to, &attempt.Worker[jobs.ScheduleCompareArgs]{
		Saver: w.save, Limit: jobTimeout, Do: w.compare, Fail: w.failCompare,
		Of: func(a jobs.ScheduleCompareArgs) (workspace, id uuid.UUID) { return a.WorkspaceID, a.SlotID },
	})
}

func (w *Workers) fire(ctx context.Context, args jobs.ScheduleFireArgs, lease store.Lease) error {
	err := w.save.Save(ctx, lease, func() error {
		_, err := w.Schedules.Fire(ctx, lease, args.ScheduleID)
		return err
	})
	var early *schedules.EarlyError
	if errors.As(err, &early) {
		return river.JobSnooze(early.Wait)
	}
	return err
}

func (w *Workers) failFire(ctx context.Context, args jobs.ScheduleFireArgs, lease store.Lease, failure store.Failure) error {
	return w.Schedules.FailFire(ctx, lease, args.ScheduleID, failure.Reason)
}

// submit submits the work of a slot. What is wrong with the request now is the slot's end, and no error of the job.
func (w *Workers) submit(ctx context.Context, args jobs.ScheduleSubmitArgs, lease store.Lease) error {
	schedule, slot, err := w.Schedules.Slot(ctx, args.WorkspaceID, args.SlotID)
	if err != nil {
		return err
	}
	if slot.State == schedules.Running {
		return w.save.Save(ctx, lease, func() error { return w.Schedules.Await(ctx, lease, slot) })
	}
	create, err := w.prepare(ctx, schedule)
	if err == nil {
		err = w.save.Save(ctx, lease, func() error { return w.Schedules.Submit(ctx, lease, slot, w.depth, create) })
	}
	reason := ""
	switch {
	case errors.Is(err, store.ErrQueueFull):
		if w.DB.Clock().Now().Sub(slot.CreatedAt) < patience {
			return river.JobSnooze(fullPause)
		}
		reason = fmt.Sprintf("the workspace had as much work open as its limit allows for %v", patience)
	case errors.As(err, new(*requests.Fault)), errors.As(err, new(*store.RefusedScriptError)), errors.As(err, new(*store.ScriptGoneError)), errors.As(err, new(*store.QuotaError)):
		reason = err.Error()
	default:
		return err
	}
	w.logger.WarnContext(ctx, "a schedule's work could not be submitted", "schedule_id", schedule.ID, "slot_id", slot.ID, "reason", reason)
	return w.save.Save(ctx, lease, func() error { return w.Schedules.Fail(ctx, lease, slot.ID, reason) })
}

// prepare holds a schedule's request against its rules and datasets as they are now, as the API does, and returns what
// creates its work.
func (w *Workers) prepare(ctx context.Context, schedule *schedules.Schedule) (func(context.Context, *store.Tx) (uuid.UUID, error), error) {
	workspace := schedule.WorkspaceID
	switch schedule.Kind {
	case schedules.Tune:
		var req requests.Tune
		if err := json.Unmarshal(schedule.Request, &req); err != nil {
			return nil, &requests.Fault{Detail: "The stored request cannot be read: " + err.Error()}
		}
		tune, err := w.Requests.Tune(ctx, workspace, req)
		return func(ctx context.Context, tx *store.Tx) (uuid.UUID, error) {
			made, err := w.Tuning.CreateIn(ctx, tx, workspace, tune)
			if err != nil {
				return uuid.Nil, gone(err)
			}
			return made.ID, nil
		}, err
	case schedules.WalkForward:
		var req requests.WalkForward
		if err := json.Unmarshal(schedule.Request, &req); err != nil {
			return nil, &requests.Fault{Detail: "The stored request cannot be read: " + err.Error()}
		}
		wfo, err := w.Requests.WalkForward(ctx, workspace, req)
		return func(ctx context.Context, tx *store.Tx) (uuid.UUID, error) {
			made, err := w.WalkForward.CreateIn(ctx, tx, workspace, wfo)
			if err != nil {
				return uuid.Nil, gone(err)
			}
			return made.ID, nil
		}, err
	}
	var in library.NewIngest
	if err := json.Unmarshal(schedule.Prepared, &in); err != nil {
		return nil, fmt.Errorf("decode the ingestion of schedule %s: %w", schedule.ID, err)
	}
	return func(ctx context.Context, tx *store.Tx) (uuid.UUID, error) {
		made, err := w.Library.CreateIngestIn(ctx, tx, workspace, in)
		if err != nil {
			return uuid.Nil, err
		}
		return made.ID, nil
	}, nil
}

// gone is the fault of a request for what was deleted since it was checked.
func gone(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return &requests.Fault{Detail: "What the request names was deleted.", Missing: true}
	}
	return err
}

func (w *Workers) failSubmit(ctx context.Context, args jobs.ScheduleSubmitArgs, lease store.Lease, failure store.Failure) error {
	return w.Schedules.Fail(ctx, lease, args.SlotID, failure.Reason)
}

func (w *Workers) failCompare(ctx context.Context, args jobs.ScheduleCompareArgs, lease store.Lease, failure store.Failure) error {
	return w.Schedules.Fail(ctx, lease, args.SlotID, failure.Reason)
}
