package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// admissible is how many more tunes the workspace may have at work, and how many it has. A
// walk-forward counts as one, whatever the number of its folds, and these do not count: it can neither
// wait for itself nor take more than its place. It locks the workspace's row, so that concurrent
// submissions and endings count one after the other.
func admissible(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) (room, active int, err error) {
	var limit int
	err = tx.QueryRow(ctx, `select tune_cap from workspaces where id = $1 for no key update`, workspace).Scan(&limit)
	if err != nil {
		return 0, 0, fmt.Errorf("lock workspace %s: %w", workspace, err)
	}
	err = tx.QueryRow(ctx, `select `+activeWork, workspace).Scan(&active)
	if err != nil {
		return 0, 0, fmt.Errorf("count active tunes: %w", err)
	}
	return limit - active, active, nil
}

// activeWork counts what of workspace $1 is admitted and has not ended.
const activeWork = `
	(select count(*) from tunes
	  where workspace_id = $1 and admitted and status in ('queued', 'running') and wfo_id is null)
	+ (select count(*) from wfo_runs
	    where workspace_id = $1 and admitted and status in ('pending', 'running'))`

// River works jobs of a lower number first. What a workspace with nothing at work begins goes ahead of
// what others have queued, so that it waits for no queue of a huge neighbour; all else takes its turn.
const (
	priorityFirst = 1
	priorityTurn  = 2
)

// admitNext lets in the workspace's oldest waiting tunes and walk-forwards while its cap has room.
func (s *Store) admitNext(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) error {
	room, active, err := admissible(ctx, tx, workspace)
	if err != nil || room < 1 {
		return err
	}
	rows, err := tx.Query(ctx, `
		with line as (
			select id, created_at from tunes
			 where workspace_id = $1 and not admitted and status = 'queued' and wfo_id is null
			union all
			select id, created_at from wfo_runs where workspace_id = $1 and not admitted and status = 'pending'
			 order by created_at, id limit $2),
		tune as (update tunes t set admitted = true from line where line.id = t.id returning t.plan_job_id),
		wfo as (update wfo_runs w set admitted = true from line where line.id = w.id returning w.id)
		select plan_job_id, null::uuid from tune union all select null::bigint, id from wfo`, workspace, room)
	if err != nil {
		return fmt.Errorf("admit: %w", err)
	}
	var plans []int64
	var wfos []uuid.UUID
	var plan *int64
	var wfo *uuid.UUID
	_, err = pgx.ForEachRow(rows, []any{&plan, &wfo}, func() error {
		if plan != nil {
			plans = append(plans, *plan)
		} else {
			wfos = append(wfos, *wfo)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("admit: %w", err)
	}
	for _, id := range wfos {
		if err := s.letInFolds(ctx, tx, id, active == 0); err != nil {
			return err
		}
		active++
	}
	return promote(ctx, tx, plans, active == 0)
}

// promote makes jobs that were held back available. River wakes its fetchers for inserts only; a
// promoted job would wait for their slow poll. With first, the first of them goes ahead.
func promote(ctx context.Context, tx pgx.Tx, held []int64, first bool) error {
	if len(held) == 0 {
		return nil
	}
	ahead := int64(0)
	if first {
		ahead = held[0]
	}
	_, err := tx.Exec(ctx, `
		with promoted as (
			update river_job
			   set state = 'available', scheduled_at = now(), priority = case when id = $2 then $3 else priority end
			 where id = any($1) and state = 'pending'
			returning queue)
		select pg_notify(current_schema() || '.river_insert', json_build_object('queue', queue)::text)
		  from promoted`, held, ahead, priorityFirst)
	if err != nil {
		return fmt.Errorf("promote jobs: %w", err)
	}
	return nil
}

// endTune gives a tune its final status, tells of it, and lets in the next; the end of a fold goes on
// to its walk-forward. The caller holds the tune's lock. It reports false, and changes nothing, when the tune had ended before.
func (s *Store) endTune(ctx context.Context, tx pgx.Tx, tune *Tune, status TuneStatus, reason string) (bool, error) {
	// Before the tune's row, in the order in which admission takes them.
	if _, _, err := admissible(ctx, tx, tune.WorkspaceID); err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, `
		update tunes set status = $2, error = nullif($3, ''), completed_at = clock_timestamp()
		 where id = $1 and status in ('queued', 'running')`, tune.ID, status, reason)
	if err != nil {
		return false, fmt.Errorf("end tune %s: %w", tune.ID, err)
	}
	if tag.RowsAffected() == 0 {
		return false, nil
	}
	now := time.Now().UTC()
	tune.Status, tune.Error, tune.CompletedAt = status, reason, &now
	if err := appendTuneEvent(ctx, tx, tune, string(status), nil); err != nil {
		return false, err
	}
	if tune.Fold != nil {
		return true, s.foldEnded(ctx, tx, tune)
	}
	if err := variantEnded(ctx, tx, tune); err != nil {
		return false, err
	}
	return true, s.admitNext(ctx, tx, tune.WorkspaceID)
}

// CancelTune ends a tune for its user: jobs that wait are cancelled, and those at work are told to
// stop. ErrEnded when it had ended before.
func (s *Store) CancelTune(ctx context.Context, workspace, id uuid.UUID) (*Tune, error) {
	var tune *Tune
	err := s.inWorkspace(ctx, workspace, func(tx pgx.Tx) (err error) {
		if err := lockTune(ctx, tx, id); err != nil {
			return err
		}
		if tune, err = readTune(ctx, tx, workspace, id); err != nil {
			return err
		}
		ended, err := s.endTune(ctx, tx, tune, TuneCanceled, "")
		if err != nil {
			return err
		}
		if !ended {
			return fmt.Errorf("tune %s is %s: %w", id, tune.Status, ErrEnded)
		}
		return s.cancelOtherJobs(ctx, tx, id, 0)
	})
	return tune, err
}

// cancelOtherJobs cancels every job the tune still has, but for the one that asks.
func (s *Store) cancelOtherJobs(ctx context.Context, tx pgx.Tx, tune uuid.UUID, asking int64) error {
	rows, err := tx.Query(ctx, `
		select j.id from river_job j
		  join (select plan_job_id as id from tunes where id = $1
		        union all
		        select job_id from tune_shards where tune_id = $1 and job_id is not null and not done
		        union all
		        select collect_job_id from tune_progress where tune_id = $1) own on own.id = j.id
		 where j.finalized_at is null and j.id <> $2
		 order by j.id`, tune, asking)
	if err != nil {
		return fmt.Errorf("list jobs of tune %s: %w", tune, err)
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("list jobs of tune %s: %w", tune, err)
	}
	for _, job := range open {
		if _, err := s.jobs.JobCancelTx(ctx, tx, job); err != nil {
			return fmt.Errorf("cancel job %d: %w", job, err)
		}
	}
	return nil
}
