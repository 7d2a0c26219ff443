package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// openWork is one row for each piece of work of a workspace that has not ended. What a walk-forward or
// another parent submits on its own behalf is not counted beside it. Every branch has an index of
// open rows only, so that a long history costs nothing.
const openWork = `
	select from tunes where workspace_id = $1 and not admitted and status = 'queued' and wfo_id is null
	union all
	select from tunes where workspace_id = $1 and admitted and status in ('queued', 'running') and wfo_id is null
	union all
	select from wfo_runs where workspace_id = $1 and status in ('pending', 'running')
	union all
	select from ingest_jobs where workspace_id = $1 and status in ('queued', 'running', 'retrying')`

// checkQueue is ErrQueueFull when the submission would take the workspace beyond its queue's depth.
// It locks the workspace's row, so that concurrent submissions count one after the other.
func checkQueue(ctx context.Context, tx pgx.Tx, sub Submission) error {
	if sub.QueueDepth < 1 || sub.Workspace == uuid.Nil {
		return nil
	}
	return CheckQueue(ctx, tx, sub.Workspace, sub.QueueDepth, false)
}

// CheckQueue is ErrQueueFull when one more piece of work would take the workspace beyond a depth; with own, beyond
// that of the workspace where it has one. 0 is any.
func CheckQueue(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, depth int, own bool) error {
	var limit *int
	err := tx.QueryRow(ctx, `select queue_depth from workspaces where id = $1 for no key update`, workspace).Scan(&limit)
	if err != nil {
		return fmt.Errorf("lock workspace %s: %w", workspace, err)
	}
	if own && limit != nil {
		depth = *limit
	}
	if depth < 1 {
		return nil
	}
	var open int
	err = tx.QueryRow(ctx, `select count(*) from (`+openWork+` limit $2) w`, workspace, depth).Scan(&open)
	if err != nil {
		return fmt.Errorf("count open work: %w", err)
	}
	if open >= depth {
		return fmt.Errorf("%d pieces of work are open: %w", open, ErrQueueFull)
	}
	return nil
}
