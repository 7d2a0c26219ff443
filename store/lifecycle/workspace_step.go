package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// WorkspaceNext is what the job of a workspace's deletion does after a step.
type WorkspaceNext int

// What it does.
const (
	WorkspaceContinues WorkspaceNext = iota // the next step
	WorkspaceWaits                          // for what began before, or for the counters: the next step later
	WorkspaceIndex                          // empties the vector index, and calls IndexEmptied
	WorkspaceEmpty                          // nothing is left: FinishWorkspace
)

// cancelWithin is how long jobs that run have to notice that they were cancelled. After it they are deleted: what they
// save is fenced.
const cancelWithin = 30 * time.Second

// openWorkspace is a deletion that has not ended, as a step needs it.
type openWorkspace struct {
	Status     string
	IndexEmpty bool
	Emptied    bool // the workspace's row is gone
	Calm       bool // whatever began before the deletion was accepted has ended
	Overdue    bool // the jobs that run had their time
}

// WorkspaceStep takes some rows of a deleted workspace away, under the lease of the deletion's job.
func (s *Store) WorkspaceStep(ctx context.Context, lease store.Lease, workspace uuid.UUID) (next WorkspaceNext, err error) {
	err = s.db.ContinueInFleet(ctx, lease, workspace, func(tx *store.Tx) error {
		if err := see(ctx, tx); err != nil {
			return err
		}
		open, err := readOpenWorkspace(ctx, tx, workspace)
		if err != nil {
			return err
		}
		var rows int64
		if next, rows, err = stepWorkspace(ctx, tx, workspace, open); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			update workspace_deletions
			   set status = 'running', started_at = coalesce(started_at, clock_timestamp()), rows_deleted = rows_deleted + $2 where id = $1`, workspace, rows)
		if err != nil {
			return fmt.Errorf("count what is deleted: %w", err)
		}
		return nil
	})
	if err == nil && next == WorkspaceWaits {
		err = s.fold(ctx)
	}
	return next, err
}

func readOpenWorkspace(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) (openWorkspace, error) {
	open, err := store.ReadOne(ctx, tx, "deletion of workspace "+workspace.String(), pgx.RowToStructByName[openWorkspace], `
		select status, index_empty, not exists (select from workspaces where id = $1) as emptied,
		       xid < pg_snapshot_xmin(pg_current_snapshot()) as calm,
		       clock_timestamp() > coalesce(started_at, clock_timestamp()) + $2::interval as overdue
		  from workspace_deletions where id = $1`, workspace, cancelWithin)
	if err == nil && (open.Status == "completed" || open.Status == "failed") {
		err = fmt.Errorf("deletion of workspace %s: %w", workspace, &store.EndedError{What: "deletion", State: open.Status})
	}
	return open, err
}

// stepWorkspace deletes from the first that has something: jobs, which would write more, then rows, then the workspace.
func stepWorkspace(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, open openWorkspace) (next WorkspaceNext, rows int64, err error) {
	rows, running, err := deleteJobs(ctx, tx, workspace, open.Overdue)
	switch {
	case err != nil || rows > 0:
		return WorkspaceContinues, rows, err
	case running || !open.Calm:
		return WorkspaceWaits, 0, nil
	case !open.IndexEmpty:
		return WorkspaceIndex, 0, nil
	}
	left := false
	for _, h := range holdings() {
		if rows, err = h.empty(ctx, tx, workspace); err != nil || rows > 0 {
			return WorkspaceContinues, rows, err
		}
		if h.only != "" && !left {
			if left, err = h.left(ctx, tx, workspace); err != nil {
				return WorkspaceContinues, 0, err
			}
		}
	}
	if left {
		return WorkspaceWaits, 0, nil
	}
	if open.Emptied {
		return WorkspaceEmpty, 0, nil
	}
	// What was written meanwhile goes with it, and the step after this one looks once more.
	tag, err := tx.Exec(ctx, `delete from workspaces where id = $1 and deleted_at is not null`, workspace)
	if err != nil {
		return WorkspaceContinues, 0, fmt.Errorf("delete workspace %s: %w", workspace, err)
	}
	return WorkspaceContinues, tag.RowsAffected(), nil
}

// deleteJobs deletes some jobs of the workspace, and reports whether it has others that run. Those that run are left to
// notice that they were cancelled, until all may go.
func deleteJobs(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, all bool) (rows int64, running bool, err error) {
	tag, err := tx.Exec(ctx, `
		delete from river_job where id in (select id from river_job where ($2 or state <> 'running') and `+jobsOfWorkspace+` limit $3)`, workspace, all, stepRows)
	if err != nil {
		return 0, false, fmt.Errorf("delete jobs: %w", err)
	}
	if tag.RowsAffected() > 0 {
		return tag.RowsAffected(), false, nil
	}
	err = tx.QueryRow(ctx, `select exists (select from river_job where `+jobsOfWorkspace+`)`, workspace).Scan(&running)
	if err != nil {
		return 0, false, fmt.Errorf("look for jobs: %w", err)
	}
	return 0, running, nil
}

// fold has the counters read the log: what they have not read is not deleted. Another process may be at it.
func (s *Store) fold(ctx context.Context) error {
	const events = 10_000
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `select counters_fold($1)`, events)
		return err
	})
	if err != nil {
		return fmt.Errorf("bring the counters up to date: %w", err)
	}
	return nil
}

// IndexEmptied notes that the vector index has nothing of the workspace.
func (s *Store) IndexEmptied(ctx context.Context, lease store.Lease, workspace uuid.UUID) error {
	return s.db.ContinueInFleet(ctx, lease, workspace, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `update workspace_deletions set index_empty = true where id = $1`, workspace); err != nil {
			return fmt.Errorf("note the empty index: %w", err)
		}
		return nil
	})
}

// FinishWorkspace ends a deletion of which nothing is left, and completes its job.
func (s *Store) FinishWorkspace(ctx context.Context, lease store.Lease, workspace uuid.UUID) error {
	return s.endWorkspace(ctx, lease, workspace, "completed", "")
}

// FailWorkspace ends a deletion that could not be worked, with the reason. What is left of it stays hidden; deleting the
// workspace again takes it up.
func (s *Store) FailWorkspace(ctx context.Context, lease store.Lease, workspace uuid.UUID, reason string) error {
	return s.endWorkspace(ctx, lease, workspace, "failed", reason)
}

// FailedWorkspaces counts the deletions of workspaces that failed and were not taken up again.
func (s *Store) FailedWorkspaces(ctx context.Context) (int, error) {
	var n int
	err := s.db.FleetRow(ctx, `select count(*) from workspace_deletions where status = 'failed'`, nil, &n)
	if err != nil {
		return 0, fmt.Errorf("count failed deletions of workspaces: %w", err)
	}
	return n, nil
}

func (s *Store) endWorkspace(ctx context.Context, lease store.Lease, workspace uuid.UUID, status, reason string) error {
	return s.db.CompleteInFleet(ctx, lease, workspace, func(tx *store.Tx) error {
		var name string
		err := tx.QueryRow(ctx, `
			update workspace_deletions set status = $2, error = nullif($3, ''), completed_at = clock_timestamp()
			 where id = $1 and status in ('queued', 'running') returning name`, workspace, status, reason).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("deletion of workspace %s: %w", workspace, store.ErrEnded)
		}
		if err != nil {
			return fmt.Errorf("end deletion of workspace %s: %w", workspace, err)
		}
		if status != "completed" {
			return nil
		}
		return reportWorkspace(ctx, tx, workspace, name, "deleted")
	})
}
