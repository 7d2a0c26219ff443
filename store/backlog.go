package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ActiveWork counts what of workspace $1 is admitted and has not ended.
const ActiveWork = `
	(select count(*) from tunes
	  where workspace_id = $1 and admitted and status in ('queued', 'running') and wfo_id is null)
	+ (select count(*) from wfo_runs
	    where workspace_id = $1 and admitted and status in ('pending', 'running'))`

// CheckQueue is ErrQueueFull when one more piece of work would take the workspace beyond a depth; with own, beyond
// that of the workspace where it has one. 0 is any. No other transaction is admitted meanwhile.
func CheckQueue(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, depth int, own bool) error {
	e := entry{alone: true, depth: depth, own: own}
	if err := e.enter(ctx, tx, workspace); err != nil {
		return err
	}
	return e.full()
}

// CheckQueueFor is CheckQueue of several pieces of work more, by the workspace's own depth where it has one.
func CheckQueueFor(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, depth, more int) error {
	e := entry{alone: true, depth: depth}
	if err := e.enter(ctx, tx, workspace); err != nil {
		return err
	}
	if e.most > 0 && e.open+more > e.most {
		return fmt.Errorf("%d pieces of work are open, and %d more would be beyond %d: %w", e.open, more, e.most, ErrQueueFull)
	}
	return nil
}

// Room is how many more tunes a workspace may have running, and how many it has. No other transaction is admitted,
// nor one that ends something, until this one ends.
func Room(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) (Place, error) {
	e := entry{alone: true}
	err := e.enter(ctx, tx, workspace)
	return e.Place, err
}

// QueueRoom is Room as a statement of a batch; what it returns says what was found, once the batch has run.
func QueueRoom(batch *pgx.Batch, workspace uuid.UUID) func() (Place, error) {
	e := &entry{alone: true}
	e.queue(batch, workspace)
	return func() (Place, error) { return e.Place, e.judge(workspace) }
}
