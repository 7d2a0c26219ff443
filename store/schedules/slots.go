package schedules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/store"
)

// Cause is why a slot is there.
type Cause string

// The causes.
const (
	ByCron Cause = "cron"
	ByBars Cause = "bars"   // a new version of the dataset
	Manual Cause = "manual" // someone asked for it
)

// Causes lists them all.
func Causes() []Cause { return []Cause{ByCron, ByBars, Manual} }

// State is where a slot is; the last four are final.
type State string

// The states of a slot.
const (
	Due       State = "due"     // its work is about to be submitted
	Running   State = "running" // its work was submitted
	Completed State = "completed"
	Failed    State = "failed" // with its reason
	Canceled  State = "canceled"
	Skipped   State = "skipped" // it was missed, and stays so by the schedule's policy
)

// States lists them all.
func States() []State { return []State{Due, Running, Completed, Failed, Canceled, Skipped} }

// Slot is one time that a schedule was to run, or a gap of several that were missed.
type Slot struct {
	ID          uuid.UUID
	ScheduleID  uuid.UUID
	WorkspaceID uuid.UUID
	Cause       Cause
	SlotAt      time.Time  // of a gap its last slot
	DatasetID   *uuid.UUID // the new version
	State       State
	Slots       int       // of a gap; else 1
	FirstAt     time.Time // of a gap its first slot
	Reason      *string
	JobID       *int64
	EntityID    *uuid.UUID // the tune, walk-forward or ingestion
	Result      *Result
	Changes     []Difference // against the result before; nil where there is none
	ComparedID  *uuid.UUID   // the slot of that
	CreatedAt   time.Time
	EndedAt     *time.Time
}

const slotColumns = `
	x.id, x.schedule_id, x.workspace_id, x.cause, x.slot_at, x.dataset_id, x.state, x.slots, x.first_at, x.reason, x.job_id, x.entity_id,
	x.result, x.changes, x.compared_id, x.created_at, x.ended_at`

// History lists the slots of a schedule, newest first, from before one; uuid.Nil: from the newest.
func (s *Store) History(ctx context.Context, workspace, schedule, before uuid.UUID, limit int) ([]*Slot, error) {
	var slots []*Slot
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		if _, err = read(ctx, tx, workspace, schedule); err != nil {
			return err
		}
		slots, err = store.ReadAll(ctx, tx, "slots", pgx.RowToAddrOfStructByName[Slot], `
			select `+slotColumns+` from schedule_slots x
			 where x.schedule_id = $1 and ($2 = '00000000-0000-0000-0000-000000000000'::uuid or x.id < $2)
			 order by x.id desc limit $3`, schedule, before, limit)
		return err
	})
	return slots, err
}

// Slot reads one slot with its schedule, or ErrNotFound.
func (s *Store) Slot(ctx context.Context, workspace, id uuid.UUID) (*Schedule, *Slot, error) {
	var schedule *Schedule
	var slot *Slot
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		schedule, slot, err = readSlot(ctx, tx, workspace, id)
		return err
	})
	return schedule, slot, err
}

func readSlot(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (*Schedule, *Slot, error) {
	slot, err := store.ReadOne(ctx, tx, "slot "+id.String(), pgx.RowToAddrOfStructByName[Slot],
		`select `+slotColumns+` from schedule_slots x where x.workspace_id = $1 and x.id = $2`, workspace, id)
	if err != nil {
		return nil, nil, err
	}
	schedule, err := read(ctx, tx, workspace, slot.ScheduleID)
	return schedule, slot, err
}

// RunNow makes a slot of now that is due at once, also of a schedule that is paused. ErrQueueFull beyond MostOpen.
func (s *Store) RunNow(ctx context.Context, sub store.Submission, id uuid.UUID, render func(*Slot) (store.Response, error)) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		if err := store.Lock(ctx, tx, id); err != nil {
			return store.Response{}, err
		}
		schedule, err := read(ctx, tx, sub.Workspace, id)
		if err != nil {
			return store.Response{}, err
		}
		open, err := openSlots(ctx, tx, id)
		if err != nil {
			return store.Response{}, err
		}
		if open >= MostOpen {
			return store.Response{}, fmt.Errorf("%d runs of schedule %s are open: %w", open, id, store.ErrQueueFull)
		}
		now, err := s.clock(ctx, tx)
		if err != nil {
			return store.Response{}, err
		}
		slot, err := s.makeDue(ctx, tx, schedule, Slot{Cause: Manual, SlotAt: now})
		if err != nil {
			return store.Response{}, err
		}
		if err := trim(ctx, tx, id); err != nil {
			return store.Response{}, err
		}
		store.AuditEntityOf(ctx, "schedule", id.String())
		return render(slot)
	})
}

func openSlots(ctx context.Context, tx pgx.Tx, schedule uuid.UUID) (open int, err error) {
	err = tx.QueryRow(ctx, `select count(*) from schedule_slots where schedule_id = $1 and state in ('due', 'running')`, schedule).Scan(&open)
	if err != nil {
		return 0, fmt.Errorf("count the runs of schedule %s: %w", schedule, err)
	}
	return open, nil
}

// makeDue stores a slot and the job that submits its work; nil when the schedule has had that slot.
func (s *Store) makeDue(ctx context.Context, tx *store.Tx, schedule *Schedule, slot Slot) (*Slot, error) {
	var err error
	if slot.ID, err = uuid.NewV7(); err != nil {
		return nil, fmt.Errorf("slot id: %w", err)
	}
	job, err := s.db.River().InsertTx(ctx, tx, jobs.ScheduleSubmitArgs{WorkspaceID: schedule.WorkspaceID, SlotID: slot.ID}, nil)
	if err != nil {
		return nil, fmt.Errorf("insert the job of a slot: %w", err)
	}
	slot.State, slot.Slots, slot.FirstAt, slot.JobID = Due, 1, slot.SlotAt, &job.Job.ID
	made, err := s.insert(ctx, tx, schedule, &slot)
	if err != nil {
		return nil, err
	}
	if !made {
		if _, err := s.db.River().JobCancelTx(ctx, tx, job.Job.ID); err != nil {
			return nil, fmt.Errorf("cancel the job of a slot that was there: %w", err)
		}
		return nil, nil
	}
	return &slot, nil
}

// insert stores a slot, unless the schedule has had it.
func (s *Store) insert(ctx context.Context, tx *store.Tx, schedule *Schedule, slot *Slot) (made bool, err error) {
	if slot.ID == uuid.Nil {
		if slot.ID, err = uuid.NewV7(); err != nil {
			return false, fmt.Errorf("slot id: %w", err)
		}
	}
	slot.ScheduleID, slot.WorkspaceID = schedule.ID, schedule.WorkspaceID
	err = tx.QueryRow(ctx, `
		insert into schedule_slots (id, schedule_id, workspace_id, cause, slot_at, dataset_id, state, slots, first_at, reason, job_id, ended_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, case when $7 <> 'due' then clock_timestamp() end)
		on conflict do nothing returning created_at`,
		slot.ID, slot.ScheduleID, slot.WorkspaceID, slot.Cause, slot.SlotAt, slot.DatasetID, string(slot.State), slot.Slots, slot.FirstAt, slot.Reason, slot.JobID).Scan(&slot.CreatedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("insert slot: %w", err)
	}
	if slot.State == Skipped {
		s.count(tx, schedule, Skipped)
		return true, s.appendEvent(ctx, tx, schedule, slot, "skipped")
	}
	return true, nil
}

func (s *Store) count(tx *store.Tx, schedule *Schedule, state State) {
	tx.AfterCommit(func() { s.db.Recorder().ScheduleSlot(string(schedule.Kind), string(state)) })
}

// event is the payload of schedule.* events.
type event struct {
	Schedule string          `json:"schedule"` // name
	Kind     Kind            `json:"kind"`
	SlotID   uuid.UUID       `json:"slot_id"`
	Cause    Cause           `json:"cause"`
	SlotAt   time.Time       `json:"slot_at"`
	Slots    int             `json:"slots"` // that it stands for
	State    State           `json:"state"`
	EntityID *uuid.UUID      `json:"result_id,omitempty"`
	Reason   *string         `json:"reason,omitempty"`
	Failures int             `json:"failures,omitempty"`
	Changes  json.RawMessage `json:"changes,omitempty"`
}

func (s *Store) appendEvent(ctx context.Context, tx pgx.Tx, schedule *Schedule, slot *Slot, what string) error {
	said := event{
		Schedule: schedule.Name, Kind: schedule.Kind, SlotID: slot.ID, Cause: slot.Cause, SlotAt: slot.SlotAt.UTC(), Slots: slot.Slots, State: slot.State,
		EntityID: slot.EntityID, Reason: slot.Reason, Failures: schedule.Failures,
	}
	if what == "result_changed" {
		var err error
		if said.Changes, err = json.Marshal(slot.Changes); err != nil {
			return fmt.Errorf("encode changes: %w", err)
		}
	}
	return store.AppendEvent(ctx, tx, schedule.WorkspaceID, "schedules", "schedule."+what, schedule.ID.String(), said)
}
