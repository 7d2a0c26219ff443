package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river/rivertype"

	"millrace/jobs"
	"millrace/store"
)

// WorkspaceDeletion is the record of a workspace that was deleted, which stays when the workspace is gone.
type WorkspaceDeletion struct {
	ID          uuid.UUID // of the workspace
	Name        string
	DeletedBy   string
	Status      string // queued, running, completed or failed
	Error       string
	RowsDeleted int64
	CreatedAt   time.Time
	StartedAt   *time.Time
	CompletedAt *time.Time
}

const workspaceDeletionColumns = `id, name, deleted_by, status, coalesce(error, '') as error, rows_deleted, created_at, started_at, completed_at`

// Content is what a workspace has of a kind.
type Content struct {
	Kind  string
	Count int64
	Rows  int64 // with those of their parts, as the shards of a tune
	Bytes int64 // as they are stored, without indexes
}

// Contents is what a workspace's deletion takes away.
type Contents struct {
	Name   string
	Kinds  []Content // of which there are some
	Active int64     // jobs that have not ended
}

// NameError is a deletion of a workspace that was confirmed by another name than it has.
type NameError struct{ Name string }

// Error implements error.
func (e *NameError) Error() string { return "the workspace is named " + e.Name }

// PreviewWorkspace measures what the deletion of a workspace takes away, or is store.ErrNotFound.
func (s *Store) PreviewWorkspace(ctx context.Context, workspace uuid.UUID) (Contents, error) {
	var all Contents
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `
			select name, (select count(*) from river_job
			               where args @> jsonb_build_object('workspace_id', $1::uuid) and state not in ('completed', 'cancelled', 'discarded'))
			  from workspaces where id = $1`, workspace).Scan(&all.Name, &all.Active)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("workspace %s: %w", workspace, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read workspace: %w", err)
		}
		return nil
	})
	if err != nil {
		return all, err
	}
	for _, h := range holdings() {
		// Each in a transaction of its own: none is long.
		err := s.db.InFleet(ctx, func(tx *store.Tx) error {
			of, err := h.measure(ctx, tx, workspace)
			if err == nil && of.Count > 0 {
				all.Kinds = append(all.Kinds, of)
			}
			return err
		})
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// DeleteWorkspace has a workspace be there for nobody from its commit on, and a job take its rows away. named is the
// name that confirms it, else it is a *NameError; by is who deletes it. One that is being deleted already is the
// deletion that does so, which is taken up again if it had failed.
func (s *Store) DeleteWorkspace(ctx context.Context, workspace uuid.UUID, named, by string) (*WorkspaceDeletion, error) {
	var made *WorkspaceDeletion
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		if err := store.BeforeChange(ctx, tx, workspace); err != nil {
			return err
		}
		if err := see(ctx, tx); err != nil {
			return err
		}
		var name string
		var gone bool
		err := tx.QueryRow(ctx, `select name, deleted_at is not null from workspaces where id = $1`, workspace).Scan(&name, &gone)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("read workspace: %w", err)
		}
		if err != nil || gone {
			made, err = s.deleteWorkspaceAgain(ctx, tx, workspace)
			return err
		}
		if name != named {
			return &NameError{name}
		}
		made, err = s.acceptWorkspace(ctx, tx, workspace, name, by)
		return err
	})
	return made, err
}

// deleteWorkspaceAgain is the deletion of a workspace that is being deleted, or was.
func (s *Store) deleteWorkspaceAgain(ctx context.Context, tx *store.Tx, workspace uuid.UUID) (*WorkspaceDeletion, error) {
	d, err := readWorkspaceDeletion(ctx, tx, workspace, `for update`)
	if err != nil || d.Status != "failed" {
		tx.Unaudited()
		return d, err
	}
	job, err := s.db.River().InsertTx(ctx, tx, jobs.DeleteWorkspaceArgs{ID: workspace}, nil)
	if err != nil {
		return nil, fmt.Errorf("insert deletion job: %w", err)
	}
	_, err = tx.Exec(ctx, `
		update workspace_deletions set status = 'queued', error = null, completed_at = null, river_job_id = $2 where id = $1`, workspace, job.Job.ID)
	if err != nil {
		return nil, fmt.Errorf("requeue deletion of workspace %s: %w", workspace, err)
	}
	return readWorkspaceDeletion(ctx, tx, workspace, "")
}

// acceptWorkspace hides the workspace, ends what opens it, and cancels what runs. The rest is for the job: it is many.
func (s *Store) acceptWorkspace(ctx context.Context, tx *store.Tx, workspace uuid.UUID, name, by string) (*WorkspaceDeletion, error) {
	// Before the workspace's row: a job that saves holds its own row, and then needs a share of that of its workspace.
	running, err := store.ReadAll(ctx, tx, "jobs that run", pgx.RowTo[int64], `
		select id from river_job where state = 'running' and `+jobsOfWorkspace+` order by id`, workspace)
	if err != nil {
		return nil, err
	}
	for _, job := range running {
		if _, err := s.db.River().JobCancelTx(ctx, tx, job); err != nil && !errors.Is(err, rivertype.ErrNotFound) {
			return nil, fmt.Errorf("cancel job %d: %w", job, err)
		}
	}
	for _, step := range []string{
		`update workspaces set deleted_at = clock_timestamp(), name = 'deleted ' || id where id = $1`, // others may have its name
		`update api_keys set revoked_at = coalesce(revoked_at, clock_timestamp()) where workspace_id = $1`,
		`delete from event_tickets where workspace_id = $1`,
		`update webhooks set state = 'paused' where workspace_id = $1 and state = 'active'`,
	} {
		if _, err := tx.Exec(ctx, step, workspace); err != nil {
			return nil, fmt.Errorf("close workspace %s: %w", workspace, err)
		}
	}
	job, err := s.db.River().InsertTx(ctx, tx, jobs.DeleteWorkspaceArgs{ID: workspace}, nil)
	if err != nil {
		return nil, fmt.Errorf("insert deletion job: %w", err)
	}
	_, err = tx.Exec(ctx, `insert into workspace_deletions (id, name, deleted_by, river_job_id) values ($1, $2, $3, $4)`, workspace, name, by, job.Job.ID)
	if err != nil {
		return nil, fmt.Errorf("insert deletion of workspace %s: %w", workspace, err)
	}
	if err := reportWorkspace(ctx, tx, workspace, name, "deleting"); err != nil {
		return nil, err
	}
	// Of the server: the workspace's own chain is read by nobody's key any more.
	store.AuditIn(ctx, uuid.Nil)
	store.AuditEntityOf(ctx, "workspace", workspace.String())
	store.AuditChange(ctx, map[string]any{"name": name}, nil)
	return readWorkspaceDeletion(ctx, tx, workspace, "")
}

// jobsOfWorkspace finds the jobs of workspace $1. Those that deliver to webhooks name no workspace.
const jobsOfWorkspace = `
	(args @> jsonb_build_object('workspace_id', $1::uuid)
	 or kind = 'webhook.deliver' and args ->> 'webhook_id' in (select w.id::text from webhooks w where w.workspace_id = $1))`

// reportWorkspace appends an event that belongs to no workspace: those of this one are deleted with it.
func reportWorkspace(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, name, what string) error {
	_, err := tx.Exec(ctx, `
		insert into event_log (workspace_id, topic, type, entity_id, payload)
		values (null, 'retention', 'workspace.' || $2::text, $1::uuid::text, jsonb_build_object('name', $3::text))`, workspace, what, name)
	if err != nil {
		return fmt.Errorf("append event of a workspace's deletion: %w", err)
	}
	return nil
}

func readWorkspaceDeletion(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, lock string) (*WorkspaceDeletion, error) {
	return store.ReadOne(ctx, tx, "deletion of workspace "+workspace.String(), pgx.RowToAddrOfStructByName[WorkspaceDeletion],
		`select `+workspaceDeletionColumns+` from workspace_deletions where id = $1 `+lock, workspace)
}

// WorkspaceDeletion reads the deletion of a workspace, or store.ErrNotFound.
func (s *Store) WorkspaceDeletion(ctx context.Context, workspace uuid.UUID) (*WorkspaceDeletion, error) {
	var d *WorkspaceDeletion
	err := s.db.InFleet(ctx, func(tx *store.Tx) (err error) {
		d, err = readWorkspaceDeletion(ctx, tx, workspace, "")
		return err
	})
	return d, err
}

// WorkspaceDeletions lists the deletions of workspaces, newest first, from after the page's place.
func (s *Store) WorkspaceDeletions(ctx context.Context, page store.Page, limit int) ([]*WorkspaceDeletion, error) {
	var list []*WorkspaceDeletion
	err := s.db.InFleet(ctx, func(tx *store.Tx) (err error) {
		list, err = store.ReadAll(ctx, tx, "deletions of workspaces", pgx.RowToAddrOfStructByName[WorkspaceDeletion], `
			select `+workspaceDeletionColumns+` from workspace_deletions
			 where $2 = '00000000-0000-0000-0000-000000000000'::uuid or (created_at, id) < ($1, $2)
			 order by created_at desc, id desc limit $3`, page.Before, page.BeforeID, limit)
		return err
	})
	return list, err
}
