package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/schedules"
)

// Deletion is one that was accepted: what it took away is seen by nobody, and a job deletes its rows.
type Deletion struct {
	ID          uuid.UUID
	Kind        Kind
	SubjectID   *uuid.UUID // nil: what a filter found
	Items       int        // things that it takes away
	ItemsDone   int
	RowsDeleted int64
	Status      string // queued, running, completed or failed
	Error       string
	CreatedAt   time.Time
	StartedAt   *time.Time
	CompletedAt *time.Time
}

const deletionColumns = `id, kind, subject_id, items, items_done, rows_deleted, status, coalesce(error, '') as error, created_at, started_at, completed_at`

// RefusedError is a deletion of what others depend on, or of what has not ended, that was not to take these too.
type RefusedError struct{ Plan *Plan }

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%d depend on it and %d have not ended", len(e.Plan.Dependants), len(e.Plan.Active))
}

// Request is what to delete.
type Request struct {
	Kind    Kind
	IDs     []uuid.UUID
	Cascade bool // dependants go too, and what has not ended is cancelled
	Bulk    bool // a filter found the ids: the deletion is of no one of them, and those that are gone are left out
}

// Preview finds what a deletion would take away. It is store.ErrNotFound when nothing of it is there.
func (s *Store) Preview(ctx context.Context, workspace uuid.UUID, r Request) (*Plan, error) {
	var p *Plan
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		p, err = plan(ctx, tx, workspace, r.Kind, r.IDs)
		if err == nil && len(p.named) == 0 {
			err = missing(r)
		}
		return err
	})
	return p, err
}

func missing(r Request) error { return fmt.Errorf("%s %v: %w", r.Kind, r.IDs, store.ErrNotFound) }

// Delete hides what is named, and has a job delete its rows; see the package's documentation. What is being deleted
// already is the deletion that does so, which is taken up again if it had failed. A *RefusedError says what is in the
// way.
func (s *Store) Delete(ctx context.Context, workspace uuid.UUID, r Request) (*Deletion, error) {
	for {
		made, err := s.delete(ctx, workspace, r)
		if !errors.Is(err, errRaced) {
			return made, err
		}
	}
}

// errRaced is a deletion of something that another one hid meanwhile, or a retry took up again: the next look sees it as it is.
var errRaced = errors.New("deleted or retried meanwhile")

func (s *Store) delete(ctx context.Context, workspace uuid.UUID, r Request) (*Deletion, error) {
	var made *Deletion
	err := s.db.Change(ctx, workspace, func(tx *store.Tx) (err error) {
		made, err = s.deleteIn(ctx, tx, workspace, r)
		return err
	})
	return made, err
}

func (s *Store) deleteIn(ctx context.Context, tx *store.Tx, workspace uuid.UUID, r Request) (*Deletion, error) {
	if err := holdSeries(ctx, tx, workspace, r); err != nil {
		return nil, err
	}
	p, err := plan(ctx, tx, workspace, r.Kind, r.IDs)
	if err != nil {
		return nil, err
	}
	if len(p.named) == 0 {
		return s.again(ctx, tx, workspace, r)
	}
	if p.Refuses() && !r.Cascade {
		return nil, &RefusedError{Plan: p}
	}
	return s.accept(ctx, tx, workspace, r, p)
}

// holdSeries takes the versions of the datasets named for update, in one order: a submission that pins one of them
// holds it (store.HoldDatasets), so the one of the two that comes later waits.
func holdSeries(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, r Request) error {
	if r.Kind != Dataset {
		return nil
	}
	_, err := tx.Exec(ctx, `
		select from datasets
		 where workspace_id = $1 and coalesce(series, name) in (select coalesce(series, name) from datasets where workspace_id = $1 and id = any($2))
		 order by id for update`, workspace, r.IDs)
	if err != nil {
		return fmt.Errorf("hold datasets: %w", err)
	}
	return nil
}

// again is the deletion that takes away what is named: its job runs once more if it had failed.
func (s *Store) again(ctx context.Context, tx *store.Tx, workspace uuid.UUID, r Request) (*Deletion, error) {
	if r.Bulk || len(r.IDs) == 0 {
		return nil, missing(r)
	}
	var id uuid.UUID
	err := tx.QueryRow(ctx, `
		select deletion_id from deletion_items where workspace_id = $1 and kind = $2 and subject_id = $3`, workspace, r.Kind, r.IDs[0]).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, missing(r)
	}
	if err != nil {
		return nil, fmt.Errorf("find deletion: %w", err)
	}
	if err := store.Lock(ctx, tx, id); err != nil {
		return nil, err
	}
	d, err := readDeletion(ctx, tx, workspace, id)
	if err != nil || d.Status != "failed" {
		tx.Unaudited()
		return d, err
	}
	job, err := s.db.River().InsertTx(ctx, tx, jobs.DeleteArgs{WorkspaceID: workspace, DeletionID: id}, nil)
	if err != nil {
		return nil, fmt.Errorf("insert deletion job: %w", err)
	}
	_, err = tx.Exec(ctx, `update deletions set status = 'queued', error = null, completed_at = null, river_job_id = $2 where id = $1`, id, job.Job.ID)
	if err != nil {
		return nil, fmt.Errorf("requeue deletion %s: %w", id, err)
	}
	return readDeletion(ctx, tx, workspace, id)
}

// accept cancels what has not ended, hides everything, and inserts the deletion with its job.
func (s *Store) accept(ctx context.Context, tx *store.Tx, workspace uuid.UUID, r Request, p *Plan) (*Deletion, error) {
	if err := s.cancel(ctx, tx, workspace, p); err != nil {
		return nil, err
	}
	if err := hide(ctx, tx, workspace, p); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("deletion id: %w", err)
	}
	job, err := s.db.River().InsertTx(ctx, tx, jobs.DeleteArgs{WorkspaceID: workspace, DeletionID: id}, nil)
	if err != nil {
		return nil, fmt.Errorf("insert deletion job: %w", err)
	}
	var subject *uuid.UUID
	if !r.Bulk {
		subject = &r.IDs[0]
	}
	_, err = tx.Exec(ctx, `
		insert into deletions (id, workspace_id, kind, subject_id, items, river_job_id) values ($1, $2, $3, $4, $5, $6)`,
		id, workspace, r.Kind, subject, len(p.items), job.Job.ID)
	if err != nil {
		return nil, fmt.Errorf("insert deletion: %w", err)
	}
	kinds, ids := make([]string, len(p.items)), make([]uuid.UUID, len(p.items))
	for i, item := range p.items {
		kinds[i], ids[i] = string(item.Kind), item.ID
	}
	_, err = tx.Exec(ctx, `
		insert into deletion_items (deletion_id, ordinal, workspace_id, kind, subject_id)
		select $1, n, $2, kind, id from unnest($3::text[], $4::uuid[]) with ordinality u (kind, id, n)`, id, workspace, kinds, ids)
	if err != nil {
		return nil, fmt.Errorf("insert what is deleted: %w", err)
	}
	if err := report(ctx, tx, workspace, id, p.items, "deleting"); err != nil {
		return nil, err
	}
	store.AuditChange(ctx, map[string]any{"deletes": p.Deletes, "cascade": r.Cascade}, nil)
	return readDeletion(ctx, tx, workspace, id)
}

// report appends an event of each thing: what is deleted with a walk-forward or run plan has none of its own.
func report(ctx context.Context, tx pgx.Tx, workspace, deletion uuid.UUID, items []found, what string) error {
	payload, err := json.Marshal(map[string]any{"deletion_id": deletion})
	if err != nil {
		return fmt.Errorf("encode event: %w", err)
	}
	for _, kind := range append(Kinds(), Schedule) {
		var ids []string
		for _, item := range items {
			if item.Kind == kind && !item.part {
				ids = append(ids, item.ID.String())
			}
		}
		topic, prefix := kind.event()
		if len(ids) == 0 {
			continue
		}
		_, err := tx.Exec(ctx, `
			insert into event_log (workspace_id, topic, type, entity_id, payload) select $1, $2, $3, id, $5 from unnest($4::text[]) id`,
			workspace, topic, prefix+what, ids, payload)
		if err != nil {
			return fmt.Errorf("append events of a deletion: %w", err)
		}
	}
	return nil
}

// maxCanceled is how much a deletion cancels at most: it is one transaction.
const maxCanceled = 1000

// cancel ends what has not ended.
func (s *Store) cancel(ctx context.Context, tx *store.Tx, workspace uuid.UUID, p *Plan) error {
	if len(p.Active) > maxCanceled {
		return &TooManyError{maxCanceled}
	}
	var tunes []uuid.UUID
	var walkForwards []uuid.UUID
	for _, ref := range p.Active {
		switch ref.Kind {
		case Tune:
			tunes = append(tunes, ref.ID)
		case WalkForward:
			walkForwards = append(walkForwards, ref.ID)
		}
	}
	// All locks before the first row: what ends meanwhile takes its own, and then enters the workspace's admission.
	if err := store.LockAll(ctx, tx, slices.Concat(walkForwards, tunes)); err != nil {
		return err
	}
	for _, id := range walkForwards {
		if err := s.walkforward.CancelIn(ctx, tx, workspace, id); err != nil && !errors.Is(err, store.ErrEnded) {
			return err
		}
	}
	if len(tunes) == 0 {
		return nil
	}
	_, err := s.tuning.CancelIn(ctx, tx, workspace, tunes)
	return err
}

// hide has nothing but a deletion see what goes. Versions of datasets leave their name, and the newest of those that
// stay goes by it.
func hide(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, p *Plan) error {
	if err := see(ctx, tx); err != nil {
		return err
	}
	// Rows are locked in the order of retries.
	for _, kind := range []Kind{WalkForward, Tune, RunPlan, Run} {
		set, unless := `deleted_at = clock_timestamp()`, `false`
		switch kind { // what ran was cancelled, so what runs now was retried after we looked
		case Tune:
			unless = `wfo_id is null and status in ('queued', 'running')`
		case WalkForward:
			unless = `status in ('pending', 'running')`
		case RunPlan:
			set += `, idempotency_key = null, fingerprint = null` // a plan may be made with the key again
		}
		if ids := idsOf(p.items, kind); len(ids) > 0 {
			tag, err := tx.Exec(ctx, `
				with held as materialized (select id from `+kind.table()+` where workspace_id = $1 and id = any($2) order by created_at, id for update)
				update `+kind.table()+` t set `+set+` from held where t.id = held.id and deleted_at is null and not (`+unless+`)`, workspace, ids)
			if err != nil {
				return fmt.Errorf("hide %s: %w", kind, err)
			}
			if int(tag.RowsAffected()) < len(ids) {
				return errRaced
			}
		}
	}
	if ids := idsOf(p.items, Schedule); len(ids) > 0 {
		hidden, err := schedules.Hide(ctx, tx, workspace, ids)
		if err != nil {
			return err
		}
		if hidden < len(ids) {
			return errRaced
		}
	}
	ids := idsOf(p.items, Dataset)
	if len(ids) == 0 {
		return nil
	}
	var series []string
	var versions []int32
	err := tx.QueryRow(ctx, `
		with gone as (select id, coalesce(series, name) as series, version from datasets where workspace_id = $1 and id = any($2)),
		     hidden as (
			update datasets d
			   set deleted_at = clock_timestamp(), superseded = true, name = 'deleted ' || d.id, series = 'deleted ' || d.id
			  from gone where d.id = gone.id returning gone.series, gone.version)
		select array_agg(series), array_agg(version) from hidden`, workspace, ids).Scan(&series, &versions)
	if err != nil {
		return fmt.Errorf("hide datasets: %w", err)
	}
	if err := store.RetireVersions(ctx, tx, workspace, store.VersionedDataset, series, versions); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		update datasets d set superseded = false
		  from (select distinct on (coalesce(series, name)) id, superseded from datasets
		         where workspace_id = $1 and coalesce(series, name) = any($2) and deleted_at is null
		         order by coalesce(series, name), version desc) newest
		 where d.id = newest.id and newest.superseded`, workspace, series)
	if err != nil {
		return fmt.Errorf("make the version before the newest: %w", err)
	}
	return nil
}

// see has the transaction see what is being deleted.
func see(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `set local millrace.deleting = 'on'`); err != nil {
		return fmt.Errorf("see what is being deleted: %w", err)
	}
	return nil
}

func readDeletion(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (*Deletion, error) {
	return store.ReadOne(ctx, tx, "deletion "+id.String(), pgx.RowToAddrOfStructByName[Deletion],
		`select `+deletionColumns+` from deletions where workspace_id = $1 and id = $2`, workspace, id)
}

// Deletion reads a deletion of the workspace, or store.ErrNotFound.
func (s *Store) Deletion(ctx context.Context, workspace, id uuid.UUID) (*Deletion, error) {
	var d *Deletion
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		d, err = readDeletion(ctx, tx, workspace, id)
		return err
	})
	return d, err
}

// Deletions lists the workspace's deletions, newest first, from after the page's place.
func (s *Store) Deletions(ctx context.Context, workspace uuid.UUID, page store.Page, limit int) ([]*Deletion, error) {
	var list []*Deletion
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		list, err = store.ReadAll(ctx, tx, "deletions", pgx.RowToAddrOfStructByName[Deletion], `
			select `+deletionColumns+` from deletions
			 where workspace_id = $1 and ($3 = '00000000-0000-0000-0000-000000000000'::uuid or (created_at, id) < ($2, $3))
			 order by created_at desc, id desc limit $4`, workspace, page.Before, page.BeforeID, limit)
		return err
	})
	return list, err
}
