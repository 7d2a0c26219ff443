package tuning

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/workers"
)

// Plan is a tune as it was planned: the shards of its first round, and what is known of the rest.
type Plan struct {
	Shards   []sweep.Shard
	Rounds   int
	Stamp    backtest.Stamp
	Work     float64 // of all rounds, in units of a trial on all of its bars
	Warnings []string
}

// Begin stores the shards of a planned tune and enqueues the first of them, under the lease of
// the plan job. A tune that has ended meanwhile is left alone: ErrEnded.
func (s *Store) Begin(ctx context.Context, lease store.Lease, id uuid.UUID, plan Plan) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := tune.still(Queued); err != nil {
			return err
		}
		err = tx.QueryRow(ctx, `
			update tunes set status = 'running', started_at = clock_timestamp(), warnings = $2, engine = nullif($3, ''), semantics = $4
			 where id = $1 returning started_at`, id, append([]string{}, plan.Warnings...), plan.Stamp.Engine, plan.Stamp.Semantics).Scan(&tune.StartedAt)
		if err != nil {
			return fmt.Errorf("start tune %s: %w", id, err)
		}
		if tune.Planned { // of an engine that is not there any more, and runs again
			if err := s.dropPlan(ctx, tx, tune); err != nil {
				return err
			}
		}
		tune.Status, tune.Stamp = Running, plan.Stamp
		if err := insertShards(ctx, tx, lease.Workspace, id, plan.Shards); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into tune_progress (tune_id, workspace_id, shards, rounds, work) values ($1, $2, $3, greatest($4, 1), nullif($5::float8, 0))`,
			id, lease.Workspace, len(plan.Shards), plan.Rounds, plan.Work)
		if err != nil {
			return fmt.Errorf("insert progress of tune %s: %w", id, err)
		}
		if err := AppendEvent(ctx, tx, tune, "running", nil); err != nil {
			return err
		}
		if err := s.folds.FoldBegan(ctx, tx, tune); err != nil {
			return err
		}
		if err := variantBegan(ctx, tx, tune); err != nil {
			return err
		}
		return s.enqueueNext(ctx, tx, tune, shardCounts{total: len(plan.Shards)})
	})
}

// insertShards stores the plan. COPY would be faster, but Postgres refuses it under row-level
// security.
func insertShards(ctx context.Context, tx pgx.Tx, workspace, tune uuid.UUID, shards []sweep.Shard) error {
	rows := rowsOf(shards)
	_, err := tx.Exec(ctx, `
		insert into tune_shards (tune_id, workspace_id, shard, first_trial, n_trials, start_cursor, rung, open, cost, list)
		select $1, $2, * from unnest($3::int[], $4::int[], $5::int[], $6::bigint[], $7::int[], $8::bool[], $9::float8[], $10::bytea[])`,
		tune, workspace, rows.index, rows.first, rows.count, rows.cursor, rows.rung, rows.open, rows.cost, rows.list)
	if err != nil {
		return fmt.Errorf("insert shards of tune %s: %w", tune, err)
	}
	return nil
}

// shardRows are shards as columns.
type shardRows struct {
	index, first, count, rung []int32
	cursor                    []int64
	open                      []bool
	cost                      []float64
	list                      [][]byte
}

func rowsOf(shards []sweep.Shard) (r shardRows) {
	for _, sh := range shards {
		r.index, r.first, r.count = append(r.index, int32(sh.Index)), append(r.first, int32(sh.First)), append(r.count, int32(sh.Trials))
		r.cursor, r.rung, r.open = append(r.cursor, int64(sh.Cursor)), append(r.rung, int32(sh.Rung)), append(r.open, sh.Open)
		r.cost, r.list = append(r.cost, sh.Cost), append(r.list, sh.List)
	}
	return r
}

// shardCounts is how far a tune is: shards that are planned, that have a job, and that are done; and
// the round they are of.
type shardCounts struct{ total, next, done, round, rounds int }

// enqueueNext gives the tune's next shards a job each, as many as its share of the window has room for.
func (s *Store) enqueueNext(ctx context.Context, tx pgx.Tx, tune *Tune, at shardCounts) error {
	if at.next >= at.total {
		return nil
	}
	slots, err := workers.Slots(ctx, tx, jobs.QueueTrials)
	if err != nil {
		return err
	}
	share, err := readShare(ctx, tx, tune)
	if err != nil {
		return err
	}
	count := share.room(at, jobs.Window(slots))
	if count < 1 {
		return nil
	}
	params := make([]river.InsertManyParams, count)
	for i := range params {
		params[i] = river.InsertManyParams{
			Args:       jobs.TuneShardArgs{WorkspaceID: tune.WorkspaceID, TuneID: tune.ID, Shard: at.next + i},
			InsertOpts: &river.InsertOpts{Priority: jobs.PriorityShare},
		}
	}
	if share.goesFirst(at) {
		params[0].InsertOpts.Priority = jobs.PriorityFirst
	}
	inserted, err := s.db.River().InsertManyTx(ctx, tx, params)
	if err != nil {
		return fmt.Errorf("insert shard jobs: %w", err)
	}
	ids := make([]int64, count)
	for i, job := range inserted {
		ids[i] = job.Job.ID
	}
	_, err = tx.Exec(ctx, `
		update tune_shards s set job_id = j.id
		  from unnest($2::bigint[]) with ordinality j (id, ord)
		 where s.tune_id = $1 and s.shard = $3 + j.ord - 1`, tune.ID, ids, at.next)
	if err != nil {
		return fmt.Errorf("assign shard jobs: %w", err)
	}
	_, err = tx.Exec(ctx, `update tune_progress set next_shard = $2 where tune_id = $1`, tune.ID, at.next+count)
	if err != nil {
		return fmt.Errorf("advance shards of tune %s: %w", tune.ID, err)
	}
	return nil
}

// ShardWork is what a shard job needs to begin.
type ShardWork struct {
	Tune  *Tune
	Shard sweep.Shard
}

// ShardWork reads a shard and its tune in one round trip, or ErrNotFound.
func (s *Store) ShardWork(ctx context.Context, workspace, id uuid.UUID, shard int) (ShardWork, error) {
	var work ShardWork
	found := false
	err := s.db.PipelineInWorkspace(ctx, workspace, func(batch *pgx.Batch) {
		queueTune(batch, workspace, id, &work.Tune)
		batch.Queue(oneShard, id, shard).Query(func(rows pgx.Rows) error {
			shards, err := pgx.CollectRows(rows, scanShard)
			if found = len(shards) > 0; found {
				work.Shard = shards[0]
			}
			return err
		})
	})
	if err != nil {
		return work, fmt.Errorf("read shard %d of tune %s: %w", shard, id, err)
	}
	if err := there(work.Tune, id); err != nil {
		return work, err
	}
	if !found {
		return work, fmt.Errorf("shard %d of tune %s: %w", shard, id, store.ErrNotFound)
	}
	return work, nil
}

const (
	shardColumns = `shard, first_trial, n_trials, start_cursor, rung, open, cost, list`
	oneShard     = `select ` + shardColumns + ` from tune_shards where tune_id = $1 and shard = $2`
)

func scanShard(row pgx.CollectableRow) (sh sweep.Shard, err error) {
	var cursor int64
	err = row.Scan(&sh.Index, &sh.First, &sh.Trials, &cursor, &sh.Rung, &sh.Open, &sh.Cost, &sh.List)
	sh.Cursor = uint64(cursor)
	return sh, err
}

// Fail ends a tune that cannot be worked under the lease of the
// job that found out. Its other jobs are cancelled. ErrEnded when it had ended before.
func (s *Store) Fail(ctx context.Context, lease store.Lease, id uuid.UUID, failure store.Failure) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		tune.Final = failure.Final
		if err := s.end(ctx, tx, tune, Failed, failure.Reason); err != nil {
			return err
		}
		return s.cancelOtherJobs(ctx, tx, id, lease.JobID)
	})
}
