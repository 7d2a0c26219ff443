package schedules

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/calendar"
	"millrace/store"
)

// EarlyError is a schedule whose next slot is still to come.
type EarlyError struct{ Wait time.Duration }

// Error implements error.
func (e *EarlyError) Error() string { return fmt.Sprintf("its slot is in %s", e.Wait) }

// Fire stores the slots that are due of a schedule with the jobs that submit their work, and enqueues the job of the
// next one, all in the transaction that completes the job. A job that is not the schedule's any more does nothing.
// An *EarlyError when nothing is due yet.
func (s *Store) Fire(ctx context.Context, lease store.Lease, id uuid.UUID) (fired int, err error) {
	err = s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		schedule, now, err := s.readNow(ctx, tx, lease.Workspace, id)
		if err != nil || schedule.JobID == nil || *schedule.JobID != lease.JobID {
			return err
		}
		line, err := schedule.Line()
		if err != nil {
			return fmt.Errorf("cron %w", err)
		}
		if wait := schedule.NextAt.Sub(now); wait > 0 {
			return &EarlyError{wait}
		}
		due := line.Between(*schedule.NextAt, now, schedule.Missed)
		if due.Skipped > 0 {
			reason := reasonSkipped(schedule.Missed)
			if _, err := s.insert(ctx, tx, schedule, &Slot{
				Cause: ByCron, State: Skipped, SlotAt: due.Last, FirstAt: due.First, Slots: due.Skipped, Reason: &reason,
			}); err != nil {
				return err
			}
		}
		for _, at := range due.Fire {
			made, err := s.makeDueOrSkip(ctx, tx, schedule, Slot{Cause: ByCron, SlotAt: at})
			if err != nil {
				return err
			}
			if made {
				fired++
			}
		}
		if _, err := s.enqueue(ctx, tx, schedule, due.Next); err != nil {
			return err
		}
		return trim(ctx, tx, id)
	})
	return fired, err
}

// missed begins the reason of slots that no worker was up for, which is our fault and not the schedule's.
const missed = "missed while nothing could run"

func reasonSkipped(policy calendar.Policy) string {
	switch policy {
	case calendar.Once:
		return missed + "; the newest missed slot stands for it (missed: once)"
	case calendar.All:
		return fmt.Sprintf(missed+"; the newest %d missed slots are made up for (missed: all)", calendar.MostMadeUp)
	}
	return missed + " (missed: skip)"
}

// FailFire notes that a slot could not be fired, and continues with the next. A schedule whose cron line cannot be read
// any more is paused.
func (s *Store) FailFire(ctx context.Context, lease store.Lease, id uuid.UUID, reason string) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		schedule, err := read(ctx, tx, lease.Workspace, id)
		if err != nil || schedule.JobID == nil || *schedule.JobID != lease.JobID {
			return err
		}
		slot := &Slot{Cause: ByCron, State: Failed, SlotAt: *schedule.NextAt, FirstAt: *schedule.NextAt, Slots: 1, Reason: &reason}
		made, err := s.insert(ctx, tx, schedule, slot)
		if err != nil {
			return err
		}
		if made {
			if err := s.ended(ctx, tx, schedule, slot); err != nil {
				return err
			}
			if err := trim(ctx, tx, id); err != nil {
				return err
			}
		}
		line, err := schedule.Line()
		if err != nil {
			if _, err := tx.Exec(ctx, `update schedules set paused = true, next_at = null, job_id = null where id = $1`, id); err != nil {
				return fmt.Errorf("pause schedule %s: %w", id, err)
			}
			return nil
		}
		now, err := s.clock(ctx, tx)
		if err != nil {
			return err
		}
		_, err = s.enqueue(ctx, tx, schedule, line.Next(now))
		return err
	})
}

// trim deletes slots beyond mostKept that have ended.
func trim(ctx context.Context, tx *store.Tx, schedule uuid.UUID) error {
	_, err := tx.Exec(ctx, `
		delete from schedule_slots
		 where schedule_id = $1 and state not in ('due', 'running')
		   and id <= (select id from schedule_slots where schedule_id = $1 order by id desc offset $2 limit 1)`, schedule, mostKept)
	if err != nil {
		return fmt.Errorf("trim the history of schedule %s: %w", schedule, err)
	}
	return nil
}

// Submit has submit create the work of a slot that is due, in the transaction that completes the job. ErrQueueFull when
// the workspace has as much work open as its depth, or else the server's, allows.
func (s *Store) Submit(ctx context.Context, lease store.Lease, slot *Slot, depth int, submit func(context.Context, *store.Tx) (uuid.UUID, error)) error {
	return s.db.CompleteUnderLease(ctx, lease, slot.ScheduleID, func(tx *store.Tx) error {
		schedule, now, err := readSlot(ctx, tx, lease.Workspace, slot.ID)
		if err != nil {
			return err
		}
		if now.State != Due {
			return fmt.Errorf("slot %s is %s: %w", slot.ID, now.State, store.ErrEnded)
		}
		if err := store.CheckQueue(ctx, tx, lease.Workspace, depth, true); err != nil {
			return err
		}
		entity, err := submit(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update schedule_slots set state = 'running', entity_id = $2 where id = $1`, slot.ID, entity); err != nil {
			return fmt.Errorf("set the work of slot %s: %w", slot.ID, err)
		}
		now.State, now.EntityID = Running, &entity
		return s.appendEvent(ctx, tx, schedule, now, "fired")
	})
}

// Await has a job compare the result of a slot whose work has ended: the job that submitted it was run again, as the one
// that was to compare it is lost.
func (s *Store) Await(ctx context.Context, lease store.Lease, slot *Slot) error {
	return s.db.CompleteUnderLease(ctx, lease, slot.ScheduleID, func(tx *store.Tx) error {
		if slot.EntityID == nil {
			return nil
		}
		return s.Ended(ctx, tx, lease.Workspace, *slot.EntityID)
	})
}

// Leave leaves a slot as it is: its work runs again, and when it ends another job compares its result.
func (s *Store) Leave(ctx context.Context, lease store.Lease, slot *Slot) error {
	return s.db.CompleteUnderLease(ctx, lease, slot.ScheduleID, func(*store.Tx) error { return nil })
}

// Fail ends a slot whose work could not be submitted or followed, with a reason for its user.
func (s *Store) Fail(ctx context.Context, lease store.Lease, slot uuid.UUID, reason string) error {
	return s.Finish(ctx, lease, slot, Outcome{State: Failed, Reason: reason})
}

// Ended implements store.Schedules: it has jobs compare the results of the tunes, walk-forwards or ingestions that
// schedules have submitted and that end in the transaction.
func (s *Store) Ended(ctx context.Context, tx *store.Tx, workspace uuid.UUID, entities ...uuid.UUID) error {
	slots, err := store.ReadAll(ctx, tx, "the slots of what ends", pgx.RowTo[uuid.UUID],
		`select id from schedule_slots where entity_id = any($1) and workspace_id = $2 and state = 'running' order by id`, entities, workspace)
	if err != nil || len(slots) == 0 {
		return err
	}
	comparisons := make([]river.InsertManyParams, len(slots))
	for i, slot := range slots {
		comparisons[i].Args = jobs.ScheduleCompareArgs{WorkspaceID: workspace, SlotID: slot}
	}
	inserted, err := s.db.River().InsertManyTx(ctx, tx, comparisons)
	if err != nil {
		return fmt.Errorf("insert the jobs that compare: %w", err)
	}
	ids := make([]int64, len(inserted))
	for i, one := range inserted {
		ids[i] = one.Job.ID
	}
	_, err = tx.Exec(ctx, `
		update schedule_slots x set job_id = j.job from unnest($1::uuid[], $2::bigint[]) j (slot, job) where x.id = j.slot`, slots, ids)
	if err != nil {
		return fmt.Errorf("set the jobs that compare: %w", err)
	}
	return nil
}

// NewVersion implements store.Schedules: it makes a slot due of every schedule that runs at new bars of a series.
func (s *Store) NewVersion(ctx context.Context, tx *store.Tx, workspace uuid.UUID, series string, version uuid.UUID) error {
	waiting, err := store.ReadAll(ctx, tx, "schedules of new bars", pgx.RowToAddrOfStructByName[Schedule],
		`select `+scheduleColumns+` from schedules s where s.workspace_id = $1 and s.series = $2 and s.series <> '' and not s.paused order by s.id`, workspace, series)
	if err != nil || len(waiting) == 0 {
		return err
	}
	now, err := s.clock(ctx, tx)
	if err != nil {
		return err
	}
	for _, schedule := range waiting {
		if _, err := s.makeDueOrSkip(ctx, tx, schedule, Slot{Cause: ByBars, SlotAt: now, DatasetID: &version}); err != nil {
			return err
		}
		if err := trim(ctx, tx, schedule.ID); err != nil {
			return err
		}
	}
	return nil
}

// makeDueOrSkip is makeDue, and reports whether the slot is due. While MostOpen runs of the schedule are open it is
// skipped: what takes longer than its slots are apart would else wait in an ever longer queue.
func (s *Store) makeDueOrSkip(ctx context.Context, tx *store.Tx, schedule *Schedule, slot Slot) (made bool, err error) {
	open, err := openSlots(ctx, tx, schedule.ID)
	if err != nil {
		return false, err
	}
	if open < MostOpen {
		stored, err := s.makeDue(ctx, tx, schedule, slot)
		return stored != nil, err
	}
	reason := fmt.Sprintf("%d runs of the schedule were waiting or running", open)
	slot.State, slot.Slots, slot.FirstAt, slot.Reason = Skipped, 1, slot.SlotAt, &reason
	_, err = s.insert(ctx, tx, schedule, &slot)
	return false, err
}
