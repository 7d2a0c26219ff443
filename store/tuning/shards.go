package tuning

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/workers"
)

// Plan is a tune as it was planned: the shards of its first round, and what is known of the rest.
type Plan struct {
	Shards   []sweep.Shard
	Rounds   int
	Work     float64 // of all rounds, in units of a trial on all of its bars
	Warnings []string
}

// Begin stores the shards of a planned tune and enqueues the first of them, under the lease of
// the plan job. A tune that has ended meanwhile is left alone.
func (s *Store) Begin(ctx context.Context, lease store.Lease, id uuid.UUID, plan Plan) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil || tune.Status != Queued {
			return err
		}
		err = tx.QueryRow(ctx, `
			update tunes set status = 'running', started_at = clock_timestamp(), warnings = $2
			 where id = $1 returning started_at`, id, append([]string{}, plan.Warnings...)).Scan(&tune.StartedAt)
		if err != nil {
			return fmt.Errorf("start tune %s: %w", id, err)
		}
		tune.Status = Running
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
	var index, first, count, rung []int32
	var cursor []int64
	var open []bool
	var cost []float64
	var list [][]byte
	for _, sh := range shards {
		index, first, count = append(index, int32(sh.Index)), append(first, int32(sh.First)), append(count, int32(sh.Trials))
		cursor, rung, open = append(cursor, int64(sh.Cursor)), append(rung, int32(sh.Rung)), append(open, sh.Open)
		cost, list = append(cost, sh.Cost), append(list, sh.List)
	}
	_, err := tx.Exec(ctx, `
		insert into tune_shards (tune_id, workspace_id, shard, first_trial, n_trials, start_cursor, rung, open, cost, list)
		select $1, $2, * from unnest($3::int[], $4::int[], $5::int[], $6::bigint[], $7::int[], $8::bool[], $9::float8[], $10::bytea[])`,
		tune, workspace, index, first, count, cursor, rung, open, cost, list)
	if err != nil {
		return fmt.Errorf("insert shards of tune %s: %w", tune, err)
	}
	return nil
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

// ShardWork reads a shard and its tune, or ErrNotFound.
func (s *Store) ShardWork(ctx context.Context, workspace, id uuid.UUID, shard int) (ShardWork, error) {
	var work ShardWork
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		if work.Tune, err = readTune(ctx, tx, workspace, id); err != nil {
			return err
		}
		work.Shard, err = readShard(ctx, tx, id, shard)
		return err
	})
	return work, err
}

const shardColumns = `shard, first_trial, n_trials, start_cursor, rung, open, cost, list`

func scanShard(row pgx.CollectableRow) (sh sweep.Shard, err error) {
	var cursor int64
	err = row.Scan(&sh.Index, &sh.First, &sh.Trials, &cursor, &sh.Rung, &sh.Open, &sh.Cost, &sh.List)
	sh.Cursor = uint64(cursor)
	return sh, err
}

func readShard(ctx context.Context, tx pgx.Tx, tune uuid.UUID, shard int) (sweep.Shard, error) {
	rows, err := tx.Query(ctx, `select `+shardColumns+` from tune_shards where tune_id = $1 and shard = $2`, tune, shard)
	if err != nil {
		return sweep.Shard{}, fmt.Errorf("read shard %d of tune %s: %w", shard, tune, err)
	}
	sh, err := pgx.CollectExactlyOneRow(rows, scanShard)
	if errors.Is(err, pgx.ErrNoRows) {
		return sh, fmt.Errorf("shard %d of tune %s: %w", shard, tune, store.ErrNotFound)
	}
	if err != nil {
		return sh, fmt.Errorf("read shard %d of tune %s: %w", shard, tune, err)
	}
	return sh, nil
}

// ReportShard records how many trials of a shard an attempt has done so far, and records the
// tune's progress. ErrFenced when another attempt has the shard, ErrEnded when the tune has ended:
// either way the caller should stop computing.
func (s *Store) ReportShard(ctx context.Context, lease store.Lease, id uuid.UUID, shard, done int) error {
	return s.db.ContinueUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if tune.Status != Running {
			return fmt.Errorf("tune %s is %s: %w", id, tune.Status, store.ErrEnded)
		}
		// A later attempt begins at zero; what watchers saw does not run backwards.
		_, err = tx.Exec(ctx, `
			update tune_shards set attempt = $3, trials_done = greatest(trials_done, $4)
			 where tune_id = $1 and shard = $2 and not done`, id, shard, lease.Attempt, done)
		if err != nil {
			return fmt.Errorf("report shard %d of tune %s: %w", shard, id, err)
		}
		if err := readOpenShards(ctx, tx, tune); err != nil {
			return err
		}
		if err := AppendEvent(ctx, tx, tune, "progress", tune.ETA(s.db.Clock().Now())); err != nil {
			return err
		}
		return s.folds.FoldAdvanced(ctx, tx, tune, 0)
	})
}

// ShardDone is a shard's result, as sweep.ShardResult encodes it.
type ShardDone struct {
	Shard                      int
	Completed, Skipped, Failed int
	BestScore                  *float64
	BestTrial                  *int
	Columns, Top, Stats        []byte
}

// FinishShard stores a shard's result under its lease, once; enqueues the next shard; and after the
// last one of a round inserts the job that follows it. The result of a tune that has ended is dropped.
func (s *Store) FinishShard(ctx context.Context, lease store.Lease, id uuid.UUID, done ShardDone) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil || tune.Status != Running {
			return err
		}
		if err := saveShard(ctx, tx, lease, id, done); err != nil {
			return err
		}
		at, err := advance(ctx, tx, tune, done)
		if err != nil {
			return err
		}
		if err := readOpenShards(ctx, tx, tune); err != nil {
			return err
		}
		if err := AppendEvent(ctx, tx, tune, "progress", tune.ETA(s.db.Clock().Now())); err != nil {
			return err
		}
		if err := s.folds.FoldAdvanced(ctx, tx, tune, done.Completed+done.Skipped+done.Failed); err != nil {
			return err
		}
		if at.done < at.total {
			return s.enqueueNext(ctx, tx, tune, at)
		}
		return s.endRound(ctx, tx, tune, at)
	})
}

func saveShard(ctx context.Context, tx pgx.Tx, lease store.Lease, tune uuid.UUID, done ShardDone) error {
	tag, err := tx.Exec(ctx, `
		update tune_shards
		   set done = true, attempt = $4, trials_done = n_trials, n_skipped = $5, n_failed = $6,
		       columns = $7, top = $8, stats = $9, list = case when rung > 0 then list end
		 where tune_id = $1 and shard = $2 and job_id = $3 and not done`,
		tune, done.Shard, lease.JobID, lease.Attempt, done.Skipped, done.Failed,
		done.Columns, done.Top, done.Stats)
	if err != nil {
		return fmt.Errorf("save shard %d of tune %s: %w", done.Shard, tune, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("shard %d of tune %s belongs to another job: %w", done.Shard, tune, store.ErrFenced)
	}
	return nil
}

// advance adds a shard's counts to the tune's progress, in the row and in tune.
func advance(ctx context.Context, tx pgx.Tx, tune *Tune, done ShardDone) (shardCounts, error) {
	var at shardCounts
	p := &tune.Progress
	err := tx.QueryRow(ctx, `
		update tune_progress
		   set shards_done = shards_done + 1,
		       trials_completed = trials_completed + $2,
		       trials_skipped = trials_skipped + $3,
		       trials_failed = trials_failed + $4,
		       best_trial = case when better then $6 else best_trial end,
		       best_score = case when better then $5 else best_score end,
		       work_done = work_done + (select n_trials * cost from tune_shards where tune_id = $1 and shard = $7),
		       updated_at = clock_timestamp()
		  from (select coalesce($5 > best_score or ($5 = best_score and $6 < best_trial), $5::float8 is not null)
		          from tune_progress where tune_id = $1) b (better)
		 where tune_id = $1
		returning shards, next_shard, shards_done, round, rounds,
		          trials_completed, trials_skipped, trials_failed, best_score, best_trial, work_done`,
		tune.ID, done.Completed, done.Skipped, done.Failed, done.BestScore, done.BestTrial, done.Shard).
		Scan(&at.total, &at.next, &at.done, &at.round, &at.rounds,
			&p.Completed, &p.Skipped, &p.Failed, &p.BestScore, &p.BestTrial, &p.WorkDone)
	if err != nil {
		return at, fmt.Errorf("advance tune %s: %w", tune.ID, err)
	}
	return at, nil
}

// Fail ends a tune that cannot be worked, with a reason for its user, under the lease of the
// job that found out. Its other jobs are cancelled.
func (s *Store) Fail(ctx context.Context, lease store.Lease, id uuid.UUID, reason string) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		ended, err := s.end(ctx, tx, tune, Failed, reason)
		if err != nil || !ended {
			return err
		}
		return s.cancelOtherJobs(ctx, tx, id, lease.JobID)
	})
}
