package tuning

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs"
	"millrace/jobs/manifest"
	"millrace/jobs/sweep"
	"millrace/store"
)

// A walk-forward has a hundred folds or more, each a tune of a fraction of a second, and they share one lock. So what a
// fold does to the database is few transactions, and each of them is one round trip: the server runs it without
// waiting for us, and nothing but its own statements holds the lock.

// BeginFirst is Begin of a tune that is planned for the first time, in two round trips: one that reads, without a lock, what
// share of the queue the tune may have, and one that does the rest. With own, for a fold, the lease's job continues and works
// the one shard of the plan itself, and is the job of that shard from then on; otherwise it is completed.
func (s *Store) BeginFirst(ctx context.Context, lease store.Lease, tune *Tune, plan Plan, own bool) error {
	var of share
	window := 0
	crumb, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("trade event id: %w", err)
	}
	if !own {
		if of, window, err = s.readShareOf(ctx, lease.Workspace, tune.ID); err != nil {
			return err
		}
	}
	tune.Status, tune.Stamp = Running, plan.Stamp
	err = s.db.PipelineUnderLease(ctx, lease, tune.ID, func(batch *pgx.Batch) {
		queueBegin(batch, lease, tune, plan, own)
		if tune.Fold != nil {
			s.folds.QueueFoldBegan(batch, tune)
		} else {
			QueueEvent(batch, tune, "running")
			queueVariantBegan(batch, tune, crumb)
		}
		if own {
			queueOwnShard(batch, lease, tune)
		} else {
			queueNextJobs(batch, lease.JobID, tune.ID, of.allowed(window), of.alone)
			store.QueueCompletion(batch, lease)
		}
	})
	if err != nil {
		return fmt.Errorf("begin tune %s: %w", tune.ID, err)
	}
	return nil
}

// queueBegin starts a tune that is queued, stores its plan and records it. One that is not is refused.
func queueBegin(batch *pgx.Batch, lease store.Lease, tune *Tune, plan Plan, own bool) {
	rows := rowsOf(plan.Shards)
	batch.Queue(`
		with begun as (
			update tunes set status = 'running', started_at = clock_timestamp(), warnings = $2, engine = nullif($3, ''), semantics = $4
			 where id = $1 and status = 'queued' returning id, workspace_id),
		shards as (
			insert into tune_shards (tune_id, workspace_id, shard, first_trial, n_trials, start_cursor, rung, open, cost, list, job_id)
			select begun.id, begun.workspace_id, u.*, case when $15 then $16::bigint end
			  from begun, unnest($5::int[], $6::int[], $7::int[], $8::bigint[], $9::int[], $10::bool[], $11::float8[], $12::bytea[]) u),
		progress as (
			insert into tune_progress (tune_id, workspace_id, shards, rounds, work, next_shard)
			select id, workspace_id, cardinality($5::int[]), greatest($13, 1), nullif($14::float8, 0), case when $15 then 1 else 0 end from begun)
		select refuse_stopped('tune ' || $1::uuid) where not exists (select from begun)`,
		tune.ID, append([]string{}, plan.Warnings...), plan.Stamp.Engine, plan.Stamp.Semantics,
		rows.index, rows.first, rows.count, rows.cursor, rows.rung, rows.open, rows.cost, rows.list,
		plan.Rounds, plan.Work, own, lease.JobID)
}

// queueOwnShard has the lease's job be that of the tune's one shard. Another attempt then has nothing to plan, and may be an
// older worker's, which knows how to run a shard and not how to continue a plan.
func queueOwnShard(batch *pgx.Batch, lease store.Lease, tune *Tune) {
	batch.Queue(`update river_job set kind = $2, args = jsonb_build_object('workspace_id', $3::uuid, 'tune_id', $4::uuid, 'shard', 0) where id = $1`,
		lease.JobID, jobs.TuneShardArgs{}.Kind(), lease.Workspace, tune.ID)
}

// completePlan completes a job that became that of a shard as that of the plan again, so that the events of an attempt, and
// what the worker counts of it, name one kind.
const completePlan = `
	update river_job set state = 'completed', finalized_at = clock_timestamp(), kind = $2, args = args - 'shard' || '{"own": true}'
	 where id = $1`

// CompleteFold is Complete of a fold, in one round trip. With done it stores the result of its one shard too, which the
// lease's job worked.
func (s *Store) CompleteFold(ctx context.Context, lease store.Lease, tune *Tune, done *ShardDone, found *sweep.Outcome) error {
	end, err := s.newEnd(ctx, tune, found)
	if err != nil {
		return err
	}
	err = s.db.PipelineUnderLease(ctx, lease, tune.ID, func(batch *pgx.Batch) {
		if done != nil {
			own := *done
			own.Top, own.Stats = nil, nil // ranked by now
			queueResult(batch, lease, tune.ID, own)
			queueProgress(batch, tune.ID)
			s.folds.QueueFoldAdvanced(batch, tune.ID, done.trials())
		} else {
			batch.Queue(dropWorking, tune.ID)
		}
		queueEnd(batch, tune, &end)
		s.folds.QueueFoldCompleted(batch, tune, found.Leaderboard)
		if done != nil && done.Planned {
			batch.Queue(completePlan, lease.JobID, jobs.TunePlanArgs{}.Kind())
		} else {
			store.QueueCompletion(batch, lease)
		}
	})
	if err != nil {
		return fmt.Errorf("complete tune %s: %w", tune.ID, err)
	}
	s.foldEnded()
	return nil
}

func (s *Store) foldEnded() {
	s.db.Recorder().TuneEnded(string(Completed))
	s.db.Recorder().FoldEnded(string(Completed))
}

// tuneEnd is what a tune ends with.
type tuneEnd struct {
	outcome, sum []byte
	manifest     string
	leaders      leaderRows
	found        *sweep.Outcome
}

// newEnd makes it. What the manifest is made of never changes, so that it is looked up before the lock is taken.
func (s *Store) newEnd(ctx context.Context, tune *Tune, found *sweep.Outcome) (end tuneEnd, err error) {
	end.found = found
	if end.outcome, err = encodeOutcome(found); err != nil {
		return end, err
	}
	if end.leaders, err = leadersOf(found, tune.Leaders); err != nil {
		return end, err
	}
	sums, err := manifest.TuneSums(found, tune.Leaders)
	if err != nil {
		return end, err
	}
	end.manifest, end.sum, err = s.manifestOutside(ctx, tune, sums)
	return end, err
}

// queueEnd ends a tune with what it found. One that is not running any more, or is run by another engine or other semantics by now, is refused. The
// leaderboard and the ranking are apart from the summary, so that reading a tune stays cheap when it has a million trials.
func queueEnd(batch *pgx.Batch, tune *Tune, e *tuneEnd) {
	batch.Queue(`
		with ended as (
			update tunes
			   set status = 'completed', error = null, completed_at = clock_timestamp(), outcome = $2, ranking = $3, warnings = $4,
			       regime = $5, manifest = $6, manifest_sha256 = $7
			 where id = $1 and status = 'running' and (coalesce(engine, ''), coalesce(semantics, '')) = ($8::text, $9::text)
			returning id, workspace_id, dataset_id, strategy, objective, wfo_id is not null as fold),
		leaders as (
			insert into tune_leaderboard (tune_id, workspace_id, dataset_id, strategy, objective, fold, rank, trial_index, score, entry)
			select e.id, e.workspace_id, e.dataset_id, e.strategy, e.objective, e.fold, u.rank, u.trial, u.score, u.entry::json
			  from ended e, unnest($10::int[], $11::int[], $12::float8[], $13::text[]) u (rank, trial, score, entry))
		select refuse_stopped('tune ' || $1::uuid) where not exists (select from ended)`,
		tune.ID, e.outcome, e.found.Ranking, append([]string{}, e.found.Warnings...), e.found.Regime, e.manifest, e.sum,
		tune.Stamp.Engine, tune.Stamp.Semantics, e.leaders.ranks, e.leaders.trials, e.leaders.scores, e.leaders.bodies)
}

// dropWorking drops what only the ranking of a tune needs.
const dropWorking = `
	with again as (delete from tune_shards where tune_id = $1 and rung > 0)
	update tune_shards set top = null, stats = null where tune_id = $1 and rung = 0`

func encodeOutcome(found *sweep.Outcome) ([]byte, error) {
	summary := *found
	summary.Leaderboard, summary.Ranking, summary.Regime = nil, nil, nil
	body, err := json.Marshal(summary)
	if err != nil {
		return nil, fmt.Errorf("encode outcome: %w", err)
	}
	return body, nil
}
