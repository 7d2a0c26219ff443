package tuning

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/store"
	"millrace/store/workers"
)

// ShardDone is a shard's result, as sweep.ShardResult encodes it.
type ShardDone struct {
	Shard                      int
	Completed, Skipped, Failed int
	BestScore                  *float64
	BestTrial                  *int
	Columns, Top, Stats        []byte
	Planned                    bool           // of a fold: its job was taken up as that of the plan, and ends as that
	Stamp                      backtest.Stamp // of the worker; a tune of another stamp does not take the result
}

func (d ShardDone) trials() int { return d.Completed + d.Skipped + d.Failed }

// FinishShard stores a shard's result under its lease, once; enqueues the next shards; and after the
// last one of a round inserts the job that follows it. The result of a tune that has ended is dropped:
// ErrEnded.
//
// It is the write that the fleet makes most often, and the whole tune waits for its lock. So it is two
// round trips: one that reads, without a lock, what share of the queue the tune may have, and one
// that does all the rest.
func (s *Store) FinishShard(ctx context.Context, lease store.Lease, id uuid.UUID, done ShardDone) error {
	of, window, err := s.readShareOf(ctx, lease.Workspace, id)
	if err != nil {
		return err
	}
	now := gone
	err = s.db.PipelineUnderLease(ctx, lease, id, func(batch *pgx.Batch) {
		queueStatus(batch, id, &now)
		queueResult(batch, lease, id, done)
		queueProgress(batch, id)
		s.folds.QueueFoldAdvanced(batch, id, done.trials())
		queueNextJobs(batch, lease.JobID, id, of.allowed(window), of.alone)
		store.QueueCompletion(batch, lease)
	})
	if err != nil {
		return fmt.Errorf("finish shard %d of tune %s: %w", done.Shard, id, err)
	}
	return now.worked(id)
}

// gone is the status of a tune that is not there.
const gone = Status("gone")

// queueStatus reads the status of a tune that is there.
func queueStatus(batch *pgx.Batch, id uuid.UUID, into *Status) {
	batch.Queue(`select status from tunes where id = $1`, id).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{into}, func() error { return nil })
		return err
	})
}

// worked is nil for a tune whose shards are worked, or else says that there is nothing to write to.
func (s Status) worked(id uuid.UUID) error {
	switch s {
	case Running:
		return nil
	case gone:
		return fmt.Errorf("tune %s: %w", id, store.ErrNotFound)
	}
	return fmt.Errorf("tune %s is %s: %w", id, s, store.ErrEnded)
}

// readShareOf reads a tune's share and the window, in a round trip of its own and without a lock. Other
// shards may end before it is used, which makes it out of date by one or two: it says how busy the queue
// is kept, and decides nothing else.
func (s *Store) readShareOf(ctx context.Context, workspace, id uuid.UUID) (of share, window int, err error) {
	var slots int
	err = s.db.PipelineInWorkspace(ctx, workspace, func(batch *pgx.Batch) {
		batch.Queue(`
			select fleet_slots($3, make_interval(secs => $4)), `+store.ActiveWork+`,
			       (select count(*) from tunes f join tunes t on f.wfo_id = t.wfo_id
			         where t.id = $2 and f.admitted and f.status in ('queued', 'running')),
			       not exists (select from tunes t join tune_progress p on p.tune_id = t.id
			                    where t.workspace_id = $1 and t.admitted and t.status = 'running'
			                      and t.id <> $2 and p.next_shard > p.shards_done)`,
			workspace, id, jobs.QueueTrials, workers.LeaseSeconds).
			QueryRow(func(row pgx.Row) error { return row.Scan(&slots, &of.active, &of.folds, &of.alone) })
	})
	if err != nil {
		return of, 0, fmt.Errorf("read the share of tune %s: %w", id, err)
	}
	return of, jobs.Window(slots), nil
}

// queueResult stores the result, and adds its counts to the tune's progress.
func queueResult(batch *pgx.Batch, lease store.Lease, tune uuid.UUID, done ShardDone) {
	batch.Queue(`
		with running as materialized (
			select (coalesce(engine, ''), coalesce(semantics, '')) = ($13::text, $14::text) as alike from tunes where id = $1 and status = 'running'),
		saved as (
			update tune_shards
			   set done = true, attempt = $4, trials_done = n_trials, n_skipped = $5, n_failed = $6,
			       columns = $7, top = $8, stats = $9, list = case when rung > 0 then list end, engine = $13, semantics = $14
			  from running
			 where running.alike and tune_id = $1 and shard = $2 and job_id = $3 and not done
			returning n_trials * cost as work),
		advanced as (
			update tune_progress
			   set shards_done = shards_done + 1,
			       trials_completed = trials_completed + $10, trials_skipped = trials_skipped + $5, trials_failed = trials_failed + $6,
			       best_trial = case when better then $12 else best_trial end,
			       best_score = case when better then $11 else best_score end,
			       work_done = work_done + saved.work, updated_at = clock_timestamp()
			  from saved,
			       (select coalesce($11 > best_score or ($11 = best_score and $12 < best_trial), $11::float8 is not null)
			          from tune_progress where tune_id = $1) b (better)
			 where tune_id = $1)
		select refuse_fenced('shard ' || $2::int) from running where not exists (select from saved)`,
		tune, done.Shard, lease.JobID, lease.Attempt, done.Skipped, done.Failed, done.Columns, done.Top, done.Stats,
		done.Completed, done.BestScore, done.BestTrial, done.Stamp.Engine, done.Stamp.Semantics)
}

// queueProgress records the progress of a tune that is running, as AppendEvent does of a tune that was read.
func queueProgress(batch *pgx.Batch, tune uuid.UUID) {
	batch.Queue(`
		insert into event_log (workspace_id, topic, type, entity_id, payload)
		select t.workspace_id, 'backtests', 'backtest.tune.progress', t.id::text, jsonb_build_object(
		           'status', t.status, 'n_trials', t.n_trials,
		           'trials_completed', p.trials_completed + p.trials_skipped + p.trials_failed + o.trials,
		           'share_done', least(1, greatest(0, coalesce(w.done / nullif(coalesce(p.work, t.n_trials), 0), 0))),
		           'best_score', p.best_score, 'best_trial', p.best_trial,
		           'eta_seconds', case when w.done > p.work_kept then
		               greatest(0, extract(epoch from clock_timestamp() - t.started_at)::float8 / (w.done - p.work_kept) * (coalesce(p.work, t.n_trials) - w.done)) end)
		  from tunes t
		  join tune_progress p on p.tune_id = t.id,
		       lateral (select coalesce(sum(trials_done) filter (where not open), 0) as trials, coalesce(sum(trials_done * cost), 0) as work
		                  from tune_shards where tune_id = t.id and job_id is not null and not done) o,
		       lateral (select p.work_done + o.work as done) w
		 where t.id = $1 and t.status = 'running'`, tune)
}

// queueNextJobs gives the tune's next shards a job each, as many as it is allowed and no more, or after
// the last one of a round inserts the job that plans the next, or ranks. So the rest of a huge tune
// does not stand in the queue before a small one, nor many tunes of one workspace before the one of
// another. Jobs are inserted as River inserts them, see TestTheStoreInsertsJobsAsRiverDoes, and have the origin
// of the shard's own job, see ops.Origins.
func queueNextJobs(batch *pgx.Batch, own int64, tune uuid.UUID, allowed int, alone bool) {
	shard, advance, collect := jobs.TuneShardArgs{}, jobs.TuneAdvanceArgs{}, jobs.TuneCollectArgs{}
	opts, advanceOpts, collectOpts := shard.InsertOpts(), advance.InsertOpts(), collect.InsertOpts()
	batch.Queue(`
		with at as materialized (
			select t.workspace_id, p.shards, p.shards_done, p.next_shard, p.round, p.rounds,
			       least(p.shards - p.next_shard, $2 - (p.next_shard - p.shards_done)) as room
			  from tunes t join tune_progress p on p.tune_id = t.id
			 where t.id = $1 and t.status = 'running'),
		origin as materialized (
			select jsonb_strip_nulls(jsonb_build_object('traceparent', metadata -> 'traceparent', 'request_id', metadata -> 'request_id')) as metadata
			  from river_job where id = $16),
		next_shards as (
			insert into river_job (kind, args, queue, max_attempts, priority, state, metadata)
			select $4, jsonb_build_object('workspace_id', at.workspace_id, 'tune_id', $1::uuid, 'shard', at.next_shard + i), $5, $6,
			       case when $3 and i = 0 and at.next_shard = at.shards_done then $7::int else $8::int end, 'available',
			       coalesce((select metadata from origin), '{}')
			  from at, generate_series(0, at.room - 1) i
			returning id, (args ->> 'shard')::int as shard, queue),
		assigned as (
			update tune_shards s set job_id = n.id from next_shards n
			 where s.tune_id = $1 and s.shard = n.shard
			   and s.shard >= (select next_shard from at) and s.shard < (select next_shard + room from at)), -- for the index
		following as (
			insert into river_job (kind, args, queue, max_attempts, priority, state, metadata)
			select n.kind, jsonb_build_object('workspace_id', at.workspace_id, 'tune_id', $1::uuid) || n.args, $9, n.attempts, n.priority, 'available',
			       coalesce((select metadata from origin), '{}')
			  from at,
			       lateral (select $10 as kind, jsonb_build_object('round', at.round + 1) as args, $11::int as attempts, $12::int as priority
			                 where at.round + 1 < at.rounds
			                union all
			                select $13, '{}', $14::int, $15::int where at.round + 1 >= at.rounds) n
			 where at.shards_done = at.shards
			returning id, queue),
		noted as (
			update tune_progress p
			   set next_shard = p.next_shard + greatest(at.room, 0), collect_job_id = coalesce((select id from following), p.collect_job_id)
			  from at where p.tune_id = $1 and (at.room > 0 or at.shards_done = at.shards))
		select pg_notify(current_schema() || '.river_insert', json_build_object('queue', queue)::text)
		  from (select queue from next_shards union select queue from following) q`,
		tune, allowed, alone,
		shard.Kind(), opts.Queue, opts.MaxAttempts, jobs.PriorityFirst, opts.Priority,
		collectOpts.Queue, advance.Kind(), advanceOpts.MaxAttempts, max(advanceOpts.Priority, 1),
		collect.Kind(), collectOpts.MaxAttempts, max(collectOpts.Priority, 1), own)
}

// ReportShard records how many trials of a shard an attempt has done so far, and the tune's progress.
// ErrFenced when another attempt has the shard, ErrEnded when the tune has ended: either way the caller
// should stop computing.
func (s *Store) ReportShard(ctx context.Context, lease store.Lease, id uuid.UUID, shard, done int) error {
	now := gone
	err := s.db.PipelineUnderLease(ctx, lease, id, func(batch *pgx.Batch) {
		queueStatus(batch, id, &now)
		// A later attempt begins at zero; what watchers saw does not run backwards.
		batch.Queue(`
			update tune_shards set attempt = $3, trials_done = greatest(trials_done, $4)
			 where tune_id = $1 and shard = $2 and job_id = $5 and not done
			   and exists (select from tunes where id = $1 and status = 'running')`, id, shard, lease.Attempt, done, lease.JobID)
		queueProgress(batch, id)
		s.folds.QueueFoldAdvanced(batch, id, 0)
	})
	if err != nil {
		return fmt.Errorf("report shard %d of tune %s: %w", shard, id, err)
	}
	return now.worked(id)
}
