package schedules

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/calendar"
	"millrace/store"
)

// Kind is what a schedule submits.
type Kind string

// The kinds.
const (
	Tune        Kind = "tune"
	WalkForward Kind = "wfo"
	Ingestion   Kind = "ingestion"
)

// Kinds lists them all.
func Kinds() []Kind { return []Kind{Tune, WalkForward, Ingestion} }

// ErrFull is a schedule beyond MostSchedules.
var ErrFull = errors.New("the workspace has as many schedules as it may")

// Schedule is work that is submitted again and again.
type Schedule struct {
	ID          uuid.UUID
	WorkspaceID uuid.UUID
	Name        string
	Kind        Kind
	Request     json.RawMessage // the body that is submitted
	Prepared    json.RawMessage // of an ingestion: what the request comes to
	Cron        string          // "": at new bars
	TimeZone    string
	Series      string // name of the dataset whose new versions run it; "": by Cron
	Missed      calendar.Policy
	Paused      bool
	NextAt      *time.Time // nil while nothing is to come
	JobID       *int64     // of the job that fires it then
	Failures    int        // runs in a row that have failed
	CreatedBy   string
	CreatedAt   time.Time
	Last        *Slot `db:"-"` // the newest that ran or was to run

	Holds []uuid.UUID `db:"-"` // datasets that it names, which must be there when it is created
}

const scheduleColumns = `
	s.id, s.workspace_id, s.name, s.kind, s.request, s.prepared, s.cron, s.time_zone, s.series, s.missed, s.paused, s.next_at, s.job_id, s.failures,
	s.created_by, s.created_at`

// Line is when the schedule fires.
func (s *Schedule) Line() (calendar.Line, error) {
	zone, err := Zone(s.TimeZone)
	if err != nil {
		return calendar.Line{}, err
	}
	return calendar.Parse(s.Cron, zone)
}

// Zone is a time zone of the IANA database. What a machine may have beside it would be unknown, or another zone, to the
// next worker. The error reads on from the field's name.
func Zone(name string) (*time.Location, error) {
	folder, _, _ := strings.Cut(name, "/")
	zone, err := time.LoadLocation(name)
	if err != nil || slices.Contains([]string{"", "Local", "localtime", "posixrules", "Factory", "posix", "right"}, folder) {
		return nil, fmt.Errorf("%q is not the name of a time zone, as Europe/Berlin or UTC is", name)
	}
	return zone, nil
}

// Create stores a schedule and the job of its first slot in the transaction of the submission. in is checked; its
// id is made. ErrFull beyond MostSchedules, ErrConflict when its name is in use.
func (s *Store) Create(ctx context.Context, sub store.Submission, in Schedule, render func(*Schedule) (store.Response, error)) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		var count int
		var locked bool
		if err := tx.QueryRow(ctx, `select true from workspaces where id = $1 for no key update`, sub.Workspace).Scan(&locked); err != nil {
			return store.Response{}, fmt.Errorf("lock workspace %s: %w", sub.Workspace, err)
		}
		if err := tx.QueryRow(ctx, `select count(*) from schedules where workspace_id = $1`, sub.Workspace).Scan(&count); err != nil {
			return store.Response{}, fmt.Errorf("count schedules: %w", err)
		}
		if count >= MostSchedules {
			return store.Response{}, ErrFull
		}
		if err := store.HoldDatasets(ctx, tx, sub.Workspace, "", in.Holds...); err != nil {
			return store.Response{}, err
		}
		made, err := s.create(ctx, tx, sub.Workspace, in)
		if err != nil {
			return store.Response{}, err
		}
		store.AuditEntityOf(ctx, "schedule", made.ID.String())
		store.AuditChange(ctx, nil, made.summary())
		return render(made)
	})
}

// summary is what the audit log keeps of a schedule.
func (s *Schedule) summary() map[string]any {
	return map[string]any{
		"name": s.Name, "kind": s.Kind, "cron": s.Cron, "time_zone": s.TimeZone, "on_new_bars": s.Series, "missed": s.Missed, "paused": s.Paused,
	}
}

func (s *Store) create(ctx context.Context, tx *store.Tx, workspace uuid.UUID, in Schedule) (*Schedule, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("schedule id: %w", err)
	}
	var made bool
	err = tx.QueryRow(ctx, `
		insert into schedules (id, workspace_id, name, kind, request, prepared, cron, time_zone, series, missed, paused, created_by)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) on conflict (workspace_id, name) do nothing returning true`,
		id, workspace, in.Name, in.Kind, in.Request, in.Prepared, in.Cron, in.TimeZone, in.Series, in.Missed, in.Paused, in.CreatedBy).Scan(&made)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("schedule %q: %w", in.Name, store.ErrConflict)
	}
	if err != nil {
		return nil, fmt.Errorf("insert schedule: %w", err)
	}
	return s.await(ctx, tx, workspace, id)
}

// await enqueues the job of the first slot to come, unless the schedule is paused or has no cron line, in the
// place of the one there was.
func (s *Store) await(ctx context.Context, tx *store.Tx, workspace, id uuid.UUID) (*Schedule, error) {
	schedule, err := read(ctx, tx, workspace, id)
	if err != nil {
		return nil, err
	}
	if schedule.JobID != nil {
		if _, err := s.db.River().JobCancelTx(ctx, tx, *schedule.JobID); err != nil {
			return nil, fmt.Errorf("cancel job %d: %w", *schedule.JobID, err)
		}
	}
	var next time.Time
	if schedule.Cron != "" && !schedule.Paused {
		line, err := schedule.Line()
		if err != nil {
			return nil, fmt.Errorf("schedule %s: cron %w", id, err)
		}
		now, err := s.clock(ctx, tx)
		if err != nil {
			return nil, err
		}
		next = line.Next(now)
	}
	return s.enqueue(ctx, tx, schedule, next)
}

func (s *Store) clock(ctx context.Context, tx pgx.Tx) (now time.Time, err error) {
	if err = tx.QueryRow(ctx, `select `+s.now).Scan(&now); err != nil {
		return now, fmt.Errorf("read the time: %w", err)
	}
	return now, nil
}

// enqueue has a job wait for a slot; of the zero time there is none.
func (s *Store) enqueue(ctx context.Context, tx pgx.Tx, schedule *Schedule, next time.Time) (*Schedule, error) {
	schedule.NextAt, schedule.JobID = nil, nil
	if !next.IsZero() {
		job, err := s.db.River().InsertTx(ctx, tx, jobs.ScheduleFireArgs{WorkspaceID: schedule.WorkspaceID, ScheduleID: schedule.ID}, &river.InsertOpts{ScheduledAt: next})
		if err != nil {
			return nil, fmt.Errorf("insert job of the next slot: %w", err)
		}
		schedule.NextAt, schedule.JobID = &next, &job.Job.ID
	}
	_, err := tx.Exec(ctx, `update schedules set next_at = $2, job_id = $3 where id = $1`, schedule.ID, schedule.NextAt, schedule.JobID)
	if err != nil {
		return nil, fmt.Errorf("set the next slot: %w", err)
	}
	return schedule, nil
}

// Get reads one schedule of the workspace, or ErrNotFound.
func (s *Store) Get(ctx context.Context, workspace, id uuid.UUID) (*Schedule, error) {
	var found *Schedule
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		if found, err = read(ctx, tx, workspace, id); err != nil {
			return err
		}
		return readLast(ctx, tx, []*Schedule{found})
	})
	return found, err
}

// Find is the id of the schedule of a name.
func (s *Store) Find(ctx context.Context, workspace uuid.UUID, name string) (id uuid.UUID, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		id, err = store.ReadOne(ctx, tx, "schedule of that name", pgx.RowTo[uuid.UUID], `select id from schedules where workspace_id = $1 and name = $2`, workspace, name)
		return err
	})
	return id, err
}

func read(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (*Schedule, error) {
	return store.ReadOne(ctx, tx, "schedule "+id.String(), pgx.RowToAddrOfStructByName[Schedule],
		`select `+scheduleColumns+` from schedules s where s.workspace_id = $1 and s.id = $2`, workspace, id)
}

// readNow is read, and the time.
func (s *Store) readNow(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (*Schedule, time.Time, error) {
	found, err := store.ReadOne(ctx, tx, "schedule "+id.String(), pgx.RowToAddrOfStructByName[struct {
		Schedule
		Now time.Time
	}], `select `+scheduleColumns+`, `+s.now+` as now from schedules s where s.workspace_id = $1 and s.id = $2`, workspace, id)
	if err != nil {
		return nil, time.Time{}, err
	}
	return &found.Schedule, found.Now, nil
}

// List lists the workspace's schedules, newest first, from after the page's place.
func (s *Store) List(ctx context.Context, workspace uuid.UUID, page store.Page, limit int) ([]*Schedule, error) {
	var list []*Schedule
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		list, err = store.ReadAll(ctx, tx, "schedules", pgx.RowToAddrOfStructByName[Schedule], `
			select `+scheduleColumns+` from schedules s
			 where s.workspace_id = $1
			   and ($3 = '00000000-0000-0000-0000-000000000000'::uuid or (s.created_at, s.id) < ($2, $3))
			 order by s.created_at desc, s.id desc limit $4`, workspace, page.Before, page.BeforeID, limit)
		if err != nil {
			return err
		}
		return readLast(ctx, tx, list)
	})
	return list, err
}

// readLast sets the newest slot of each that was not skipped.
func readLast(ctx context.Context, tx pgx.Tx, schedules []*Schedule) error {
	byID := map[uuid.UUID]*Schedule{}
	ids := make([]uuid.UUID, len(schedules))
	for i, schedule := range schedules {
		byID[schedule.ID], ids[i] = schedule, schedule.ID
	}
	last, err := store.ReadAll(ctx, tx, "last slots", pgx.RowToAddrOfStructByName[Slot], `
		select `+slotColumns+` from unnest($1::uuid[]) of (id),
		       lateral (select * from schedule_slots x where x.schedule_id = of.id and x.state <> 'skipped' order by x.id desc limit 1) x`, ids)
	for _, slot := range last {
		byID[slot.ScheduleID].Last = slot
	}
	return err
}

// Change is what is to change of a schedule; nil stays.
type Change struct {
	Name     *string
	Cron     *string
	TimeZone *string
	Missed   *calendar.Policy
	Paused   *bool
}

// Change changes a schedule. When it runs at other times than before, its next slot is the first after now: a schedule
// that was paused does not make up for the time of its pause. What passed before the change and was not fired yet is
// in the history as skipped. Any other change leaves the slot that is to come. ErrConflict when the name is in use.
func (s *Store) Change(ctx context.Context, workspace, id uuid.UUID, change Change) (*Schedule, error) {
	var changed *Schedule
	err := s.db.Change(ctx, workspace, func(tx *store.Tx) error {
		if err := store.Lock(ctx, tx, id); err != nil {
			return err
		}
		before, now, err := s.readNow(ctx, tx, workspace, id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			update schedules
			   set name = coalesce($2, name), cron = coalesce($3, cron), time_zone = coalesce($4, time_zone), missed = coalesce($5, missed)
			 where id = $1`, id, change.Name, change.Cron, change.TimeZone, change.Missed)
		if store.SQLState(err) == store.UniqueViolation {
			return fmt.Errorf("schedule %q: %w", *change.Name, store.ErrConflict)
		}
		if err != nil {
			return fmt.Errorf("change schedule %s: %w", id, err)
		}
		if changed, err = read(ctx, tx, workspace, id); err != nil {
			return err
		}
		if change.retimes(before) {
			if changed, err = s.retime(ctx, tx, before, now, change.Paused); err != nil {
				return err
			}
		}
		store.AuditEntityOf(ctx, "schedule", id.String())
		store.AuditChange(ctx, before.summary(), changed.summary())
		return readLast(ctx, tx, []*Schedule{changed})
	})
	return changed, err
}

// retimes reports whether the schedule runs at other times after the change.
func (c Change) retimes(s *Schedule) bool {
	return c.Cron != nil && *c.Cron != s.Cron || c.TimeZone != nil && *c.TimeZone != s.TimeZone || c.Paused != nil && *c.Paused != s.Paused
}

// retime has the job of the next slot take the place of the one that the schedule had before it was changed.
func (s *Store) retime(ctx context.Context, tx *store.Tx, before *Schedule, now time.Time, paused *bool) (*Schedule, error) {
	if err := s.passOver(ctx, tx, before, now); err != nil {
		return nil, err
	}
	_, err := tx.Exec(ctx, `update schedules set paused = coalesce($2, paused), next_at = null, job_id = null where id = $1`, before.ID, paused)
	if err != nil {
		return nil, fmt.Errorf("change schedule %s: %w", before.ID, err)
	}
	if before.JobID != nil {
		if _, err := s.db.River().JobCancelTx(ctx, tx, *before.JobID); err != nil {
			return nil, fmt.Errorf("cancel job %d: %w", *before.JobID, err)
		}
	}
	return s.await(ctx, tx, before.WorkspaceID, before.ID)
}

// passOver stores as skipped the slots of a schedule that passed before it was changed and were not fired yet.
func (s *Store) passOver(ctx context.Context, tx *store.Tx, schedule *Schedule, now time.Time) error {
	if schedule.NextAt == nil || schedule.NextAt.After(now) {
		return nil
	}
	line, err := schedule.Line()
	if err != nil {
		return fmt.Errorf("schedule %s: cron %w", schedule.ID, err)
	}
	due := line.Between(*schedule.NextAt, now, calendar.All)
	first, last := due.First, due.Last
	if len(due.Fire) > 0 {
		if last = due.Fire[len(due.Fire)-1]; due.Skipped == 0 {
			first = due.Fire[0]
		}
	}
	reason := "the schedule was changed or paused before it was fired"
	_, err = s.insert(ctx, tx, schedule, &Slot{
		Cause: ByCron, State: Skipped, SlotAt: last, FirstAt: first, Slots: due.Skipped + len(due.Fire), Reason: &reason,
	})
	return err
}
