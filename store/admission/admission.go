package admission

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/workers"
)

// Room is how many more tunes the workspace may have running, and how many it has. A
// walk-forward counts as one, whatever the number of its folds, and these do not count: it can neither
// wait for itself nor take more than its place. Until the transaction ends no other one is admitted, nor
// one that ends something.
func Room(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) (room, active int, err error) {
	place, err := store.Room(ctx, tx, workspace)
	return place.Room, place.Active, err
}

// Next admits the workspace's oldest waiting tunes and walk-forwards while its cap has room.
func Next(ctx context.Context, tx pgx.Tx, workspace uuid.UUID) error {
	place, err := store.Room(ctx, tx, workspace)
	if err != nil {
		return err
	}
	return NextIn(ctx, tx, workspace, place)
}

// NextIn is Next in a transaction that has found what there is room for, and has ended nothing since.
func NextIn(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, place store.Place) error {
	room, active := place.Room, place.Active
	if room < 1 {
		return nil
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
		if err := EnqueueFolds(ctx, tx, id, active == 0); err != nil {
			return err
		}
		if err := beginJudging(ctx, tx, id); err != nil {
			return err
		}
		active++
	}
	return Release(ctx, tx, plans, active == 0)
}

// beginJudging starts a walk-forward that runs again and whose folds have all ended: nothing else would release its
// candidates job.
func beginJudging(ctx context.Context, tx pgx.Tx, wfo uuid.UUID) error {
	rows, err := tx.Query(ctx, `
		with begun as (
			update wfo_runs r set status = 'running', started_at = clock_timestamp()
			  from wfo_progress p
			 where r.id = $1 and p.wfo_id = r.id and r.status = 'pending' and p.folds_done = r.n_folds
			returning r.*, p.folds_done, p.folds_failed, p.trials_done),
		recorded as (
			insert into event_log (workspace_id, topic, type, entity_id, payload)
			select workspace_id, 'wfo', 'wfo.run.running', id::text, jsonb_build_object(
			           'status', 'running', 'n_folds', n_folds, 'folds_done', folds_done, 'folds_failed', folds_failed, 'folds_scored', 0,
			           'n_trials', n_trials * (n_folds - folds_failed), 'trials_completed', trials_done, 'eta_seconds', null)
			  from begun)
		select candidates_job_id from begun`, wfo)
	if err != nil {
		return fmt.Errorf("begin judging of %s: %w", wfo, err)
	}
	held, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("begin judging of %s: %w", wfo, err)
	}
	return Release(ctx, tx, held, false)
}

// Release makes jobs that were held back available. River wakes its fetchers for inserts only; a
// released job would wait for their slow poll. With first, the first of them goes ahead.
func Release(ctx context.Context, tx pgx.Tx, held []int64, first bool) error {
	if len(held) == 0 {
		return nil
	}
	ahead := int64(0)
	if first {
		ahead = held[0]
	}
	_, err := tx.Exec(ctx, `
		with released as (
			update river_job
			   set state = 'available', scheduled_at = now(), priority = case when id = $2 then $3 else priority end
			 where id = any($1) and state = 'pending'
			returning queue)
		select pg_notify(current_schema() || '.river_insert', json_build_object('queue', queue)::text)
		  from released`, held, ahead, jobs.PriorityFirst)
	if err != nil {
		return fmt.Errorf("release jobs: %w", err)
	}
	return nil
}

// Most folds of one walk-forward that run at once.
const maxRunningFolds = 16

// EnqueueFolds releases the plan jobs of the next folds. The caller holds the walk-forward's lock, or
// that of its workspace while nothing of it is running. With first, the first of them goes ahead.
func EnqueueFolds(ctx context.Context, tx pgx.Tx, wfo uuid.UUID, first bool) error {
	batch := &pgx.Batch{}
	queueFolds(batch, wfo, first)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("enqueue folds of %s: %w", wfo, err)
	}
	return nil
}

// QueueFolds is EnqueueFolds as a statement of a batch.
func QueueFolds(batch *pgx.Batch, wfo uuid.UUID) { queueFolds(batch, wfo, false) }

// EnqueueFoldsLast is EnqueueFolds with the commit.
func EnqueueFoldsLast(tx *store.Tx, wfo uuid.UUID, first bool) {
	tx.Last("enqueue folds of "+wfo.String(), enqueueFolds, ofFolds(wfo, first)...)
}

func queueFolds(batch *pgx.Batch, wfo uuid.UUID, first bool) {
	batch.Queue(enqueueFolds, ofFolds(wfo, first)...)
}

func ofFolds(wfo uuid.UUID, first bool) []any {
	return []any{wfo, jobs.QueueTrials, workers.LeaseSeconds, maxRunningFolds, first, jobs.PriorityFirst}
}

// enqueueFolds has two folds run for each trial slot of the fleet and two more, so that none is idle while folds are planned and
// collected and their jobs change hands: with one more than there are slots, each fold waits for the steps of the others.
// Together they have as many shards in the queue as those would, one each instead of two.
const enqueueFolds = `
		with at as materialized (
			select least(2 * greatest(fleet_slots($2, make_interval(secs => $3)), 1) + 2, $4)
			       - (select count(*) from tunes where wfo_id = $1 and admitted and status in ('queued', 'running')) as room),
		waiting as materialized (
			select id from tunes where wfo_id = $1 and not admitted and status = 'queued'
			 order by wfo_fold limit greatest(0, (select room from at))),
		next as (
			update tunes t set admitted = true from waiting where t.id = waiting.id returning t.plan_job_id, t.wfo_fold),
		released as (
			update river_job
			   set state = 'available', scheduled_at = now(),
			       priority = case when $5 and id = (select plan_job_id from next order by wfo_fold limit 1) then $6 else priority end
			 where id = any (array(select plan_job_id from next)) and state = 'pending'
			returning queue)
		select pg_notify(current_schema() || '.river_insert', json_build_object('queue', queue)::text)
		  from (select distinct queue from released) q`
