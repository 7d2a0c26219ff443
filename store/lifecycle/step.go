package lifecycle

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// What one transaction of a deletion's job takes away at most.
const (
	stepRows  = 200 // rows of shards, leaderboards, candidates and the like
	stepItems = 20  // things
)

// children are the tables whose rows of a kind may be many, with the column that refers to it. Those of other tables go
// with the row they refer to.
func children(kind Kind) map[string]string {
	return map[Kind]map[string]string{
		Tune:        {"tune_shards": "tune_id", "tune_leaderboard": "tune_id"},
		WalkForward: {"wfo_candidates": "wfo_id", "wfo_folds": "wfo_id"},
		RunPlan:     {"run_plan_variants": "run_plan_id"},
		Schedule:    {"schedule_slots": "schedule_id"},
	}[kind]
}

// itemsAtOnce is how many things of a kind go in one transaction: bars and equities are wide.
func itemsAtOnce(kind Kind) int {
	switch kind {
	case Dataset:
		return 1
	case Run:
		return 10
	}
	return stepItems
}

// ErrWaits is a step while rows that another deletion is to take away still refer to what goes: it is taken later.
var ErrWaits = errors.New("another deletion comes first")

// Step deletes some rows of a deletion under the lease of its job, and reports whether none are left.
func (s *Store) Step(ctx context.Context, lease store.Lease, id uuid.UUID) (done bool, err error) {
	err = s.db.ContinueUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		if err := see(ctx, tx); err != nil {
			return err
		}
		d, err := readDeletion(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if d.Status == "completed" || d.Status == "failed" {
			return fmt.Errorf("deletion %s: %w", id, &store.EndedError{What: "deletion", State: d.Status})
		}
		done, err = step(ctx, tx, lease.Workspace, id)
		return err
	})
	if store.SQLState(err) != store.ForeignKeyViolation {
		return done, err
	}
	waits, otherErr := s.othersOpen(ctx, lease.Workspace, id)
	if waits {
		return false, fmt.Errorf("%w: %w", ErrWaits, err)
	}
	return false, errors.Join(err, otherErr)
}

// othersOpen reports whether the workspace has another deletion that has not ended.
func (s *Store) othersOpen(ctx context.Context, workspace, id uuid.UUID) (open bool, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `select exists (select from deletions where workspace_id = $1 and id <> $2 and status in ('queued', 'running'))`,
			workspace, id).Scan(&open)
	})
	if err != nil {
		return false, fmt.Errorf("look for other deletions: %w", err)
	}
	return open, nil
}

// step deletes from the first items of one kind.
func step(ctx context.Context, tx *store.Tx, workspace, id uuid.UUID) (done bool, err error) {
	items, last, err := nextItems(ctx, tx, id)
	if err != nil || len(items) == 0 {
		return err == nil, err
	}
	kind, ids := items[0].Kind, idsOf(items, items[0].Kind)
	rows, whole, err := deleteChildren(ctx, tx, kind, ids)
	if err != nil {
		return false, err
	}
	gone := 0
	if whole {
		tag, err := tx.Exec(ctx, `delete from `+kind.table()+` where workspace_id = $1 and id = any($2) and deleted_at is not null`, workspace, ids)
		if err != nil {
			return false, fmt.Errorf("delete %s: %w", kind, err)
		}
		rows += tag.RowsAffected()
		if _, err := tx.Exec(ctx, `delete from deletion_items where deletion_id = $1 and ordinal <= $2`, id, last); err != nil {
			return false, fmt.Errorf("delete what is done: %w", err)
		}
		gone = len(items)
	}
	_, err = tx.Exec(ctx, `
		update deletions set status = 'running', started_at = coalesce(started_at, clock_timestamp()),
		       items_done = items_done + $2, rows_deleted = rows_deleted + $3 where id = $1`, id, gone, rows)
	if err != nil {
		return false, fmt.Errorf("count what is deleted: %w", err)
	}
	if !whole {
		return false, nil
	}
	return false, report(ctx, tx, workspace, id, items, "deleted")
}

// nextItems are the first that are left, all of one kind, and the place of the last of them.
func nextItems(ctx context.Context, tx pgx.Tx, id uuid.UUID) (items []found, last int, err error) {
	rows, err := tx.Query(ctx, `select ordinal, kind, subject_id from deletion_items where deletion_id = $1 order by ordinal limit $2`, id, stepItems)
	if err != nil {
		return nil, 0, fmt.Errorf("read what is left: %w", err)
	}
	var item found
	var ordinal int
	_, err = pgx.ForEachRow(rows, []any{&ordinal, &item.Kind, &item.ID}, func() error {
		if len(items) == 0 || item.Kind == items[0].Kind && len(items) < itemsAtOnce(item.Kind) {
			items, last = append(items, item), ordinal
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read what is left: %w", err)
	}
	return items, last, nil
}

// deleteChildren deletes rows that belong to things, and reports whether those are all.
func deleteChildren(ctx context.Context, tx pgx.Tx, kind Kind, ids []uuid.UUID) (rows int64, whole bool, err error) {
	left := int64(stepRows)
	for table, column := range children(kind) {
		tag, err := tx.Exec(ctx, `delete from `+table+` where ctid = any(array(select ctid from `+table+` where `+column+` = any($1) limit $2))`, ids, left)
		if err != nil {
			return rows, false, fmt.Errorf("delete from %s: %w", table, err)
		}
		rows += tag.RowsAffected()
		if left -= tag.RowsAffected(); left <= 0 {
			return rows, false, nil
		}
	}
	return rows, true, nil
}

// Finish ends a deletion of which nothing is left, and completes its job.
func (s *Store) Finish(ctx context.Context, lease store.Lease, id uuid.UUID) error {
	return s.end(ctx, lease, id, "completed", "")
}

// Fail ends a deletion that could not be worked, with the reason. What is left of it stays hidden; deleting it again
// takes it up.
func (s *Store) Fail(ctx context.Context, lease store.Lease, id uuid.UUID, reason string) error {
	return s.end(ctx, lease, id, "failed", reason)
}

func (s *Store) end(ctx context.Context, lease store.Lease, id uuid.UUID, status, reason string) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tag, err := tx.Exec(ctx, `
			update deletions set status = $2, error = nullif($3, ''), completed_at = clock_timestamp()
			 where id = $1 and status in ('queued', 'running')`, id, status, reason)
		if err != nil {
			return fmt.Errorf("end deletion %s: %w", id, err)
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("deletion %s: %w", id, store.ErrEnded)
		}
		return nil
	})
}

// Failed counts the deletions of all workspaces that failed and were not taken up again.
func (s *Store) Failed(ctx context.Context) (int, error) {
	var n int
	err := s.db.FleetRow(ctx, `select count(*) from deletions where status = 'failed'`, nil, &n)
	if err != nil {
		return 0, fmt.Errorf("count failed deletions: %w", err)
	}
	return n, nil
}
