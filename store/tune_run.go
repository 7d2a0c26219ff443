package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs/sweep"
)

// TuneJobs makes the jobs of a tune's later steps; package jobs knows their kinds.
type TuneJobs struct {
	Shard   func(shard int) river.JobArgs
	Collect func() river.JobArgs
}

// BeginTune stores the shards of a planned tune and lets in the first of them, under the lease of
// the plan job. A tune that has ended meanwhile is left alone.
func (s *Store) BeginTune(ctx context.Context, lease Lease, id uuid.UUID, shards []sweep.Shard,
	warnings []string, next TuneJobs,
) error {
	return s.inLease(ctx, lease, id, func(tx pgx.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil || tune.Status != TuneQueued {
			return err
		}
		err = tx.QueryRow(ctx, `
			update tunes set status = 'running', started_at = clock_timestamp(), warnings = $2
			 where id = $1 returning started_at`, id, append([]string{}, warnings...)).Scan(&tune.StartedAt)
		if err != nil {
			return fmt.Errorf("start tune %s: %w", id, err)
		}
		tune.Status = TuneRunning
		if err := insertShards(ctx, tx, lease.Workspace, id, shards); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			insert into tune_progress (tune_id, workspace_id, shards) values ($1, $2, $3)`,
			id, lease.Workspace, len(shards))
		if err != nil {
			return fmt.Errorf("insert progress of tune %s: %w", id, err)
		}
		if err := appendTuneEvent(ctx, tx, tune, "running", nil); err != nil {
			return err
		}
		if err := s.foldBegan(ctx, tx, tune); err != nil {
			return err
		}
		if err := variantBegan(ctx, tx, tune); err != nil {
			return err
		}
		return s.letIn(ctx, tx, tune, shardCounts{total: len(shards)}, next)
	})
}

// insertShards stores the plan. COPY would be faster, but Postgres refuses it under row-level
// security.
func insertShards(ctx context.Context, tx pgx.Tx, workspace, tune uuid.UUID, shards []sweep.Shard) error {
	index := make([]int32, len(shards))
	first := make([]int32, len(shards))
	count := make([]int32, len(shards))
	cursor := make([]int64, len(shards))
	for i, sh := range shards {
		index[i], first[i], count[i], cursor[i] = int32(sh.Index), int32(sh.First), int32(sh.Trials), int64(sh.Cursor)
	}
	_, err := tx.Exec(ctx, `
		insert into tune_shards (tune_id, workspace_id, shard, first_trial, n_trials, start_cursor)
		select $1, $2, * from unnest($3::int[], $4::int[], $5::int[], $6::bigint[])`,
		tune, workspace, index, first, count, cursor)
	if err != nil {
		return fmt.Errorf("insert shards of tune %s: %w", tune, err)
	}
	return nil
}

type shardCounts struct{ total, next, done int }

// letIn gives the tune's next shards a job each, as many as keep the fleet's trial slots busy and
// no more: the rest of a huge tune does not stand in the queue before a small one.
func (s *Store) letIn(ctx context.Context, tx pgx.Tx, tune *Tune, at shardCounts, next TuneJobs) error {
	if at.next >= at.total {
		return nil
	}
	slots, err := fleetSlots(ctx, tx, "trials")
	if err != nil {
		return err
	}
	if slots, err = shareOfSlots(ctx, tx, tune, slots); err != nil {
		return err
	}
	// As many as processes hold ahead of their slots (jobs.Ahead), and one more, so that a slot never
	// waits for the next insert.
	count := min(at.total-at.next, slots+1+(slots+3)/4-(at.next-at.done))
	if count < 1 {
		return nil
	}
	params := make([]river.InsertManyParams, count)
	for i := range params {
		params[i].Args = next.Shard(at.next + i)
	}
	inserted, err := s.jobs.InsertManyTx(ctx, tx, params)
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
	err := s.inWorkspace(ctx, workspace, func(tx pgx.Tx) (err error) {
		if work.Tune, err = readTune(ctx, tx, workspace, id); err != nil {
			return err
		}
		work.Shard, err = readShard(ctx, tx, id, shard)
		return err
	})
	return work, err
}

func readShard(ctx context.Context, tx pgx.Tx, tune uuid.UUID, shard int) (sweep.Shard, error) {
	sh := sweep.Shard{Index: shard}
	var cursor int64
	err := tx.QueryRow(ctx, `
		select first_trial, n_trials, start_cursor from tune_shards where tune_id = $1 and shard = $2`,
		tune, shard).Scan(&sh.First, &sh.Trials, &cursor)
	if errors.Is(err, pgx.ErrNoRows) {
		return sh, fmt.Errorf("shard %d of tune %s: %w", shard, tune, ErrNotFound)
	}
	if err != nil {
		return sh, fmt.Errorf("read shard %d of tune %s: %w", shard, tune, err)
	}
	sh.Cursor = uint64(cursor)
	return sh, nil
}

// ReportShard records how many trials of a shard an attempt has done so far, and tells of the
// tune's progress. ErrFenced when another attempt has the shard, ErrEnded when the tune has ended:
// either way the caller should stop computing.
func (s *Store) ReportShard(ctx context.Context, lease Lease, id uuid.UUID, shard, done int) error {
	return s.inWorkspace(ctx, lease.Workspace, func(tx pgx.Tx) error {
		if err := lockTune(ctx, tx, id); err != nil {
			return err
		}
		if err := fence(ctx, tx, lease); err != nil {
			return err
		}
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if tune.Status != TuneRunning {
			return fmt.Errorf("tune %s is %s: %w", id, tune.Status, ErrEnded)
		}
		// A later attempt begins at nought; what watchers saw does not run backwards.
		_, err = tx.Exec(ctx, `
			update tune_shards set attempt = $3, trials_done = greatest(trials_done, $4)
			 where tune_id = $1 and shard = $2 and not done`, id, shard, lease.Attempt, done)
		if err != nil {
			return fmt.Errorf("report shard %d of tune %s: %w", shard, id, err)
		}
		if tune.Progress.Running, tune.Progress.InFlight, err = openTrials(ctx, tx, id); err != nil {
			return err
		}
		if err := appendTuneEvent(ctx, tx, tune, "progress", tune.ETA(time.Now())); err != nil {
			return err
		}
		return s.foldAdvanced(ctx, tx, tune, 0)
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

// FinishShard stores a shard's result under its lease, once; lets in the next shard; and after the
// last one inserts the collect job. The result of a tune that has ended is dropped.
func (s *Store) FinishShard(ctx context.Context, lease Lease, id uuid.UUID, done ShardDone, next TuneJobs) error {
	return s.inLease(ctx, lease, id, func(tx pgx.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil || tune.Status != TuneRunning {
			return err
		}
		if err := saveShard(ctx, tx, lease, id, done); err != nil {
			return err
		}
		at, err := advance(ctx, tx, tune, done)
		if err != nil {
			return err
		}
		if tune.Progress.Running, tune.Progress.InFlight, err = openTrials(ctx, tx, id); err != nil {
			return err
		}
		if err := appendTuneEvent(ctx, tx, tune, "progress", tune.ETA(time.Now())); err != nil {
			return err
		}
		if err := s.foldAdvanced(ctx, tx, tune, done.Completed+done.Skipped+done.Failed); err != nil {
			return err
		}
		if at.done < at.total {
			return s.letIn(ctx, tx, tune, at, next)
		}
		job, err := s.jobs.InsertTx(ctx, tx, next.Collect(), nil)
		if err != nil {
			return fmt.Errorf("insert collect job: %w", err)
		}
		_, err = tx.Exec(ctx, `update tune_progress set collect_job_id = $2 where tune_id = $1`, id, job.Job.ID)
		if err != nil {
			return fmt.Errorf("note collect job: %w", err)
		}
		return nil
	})
}

func saveShard(ctx context.Context, tx pgx.Tx, lease Lease, tune uuid.UUID, done ShardDone) error {
	tag, err := tx.Exec(ctx, `
		update tune_shards
		   set done = true, attempt = $4, trials_done = n_trials, n_skipped = $5, n_failed = $6,
		       columns = $7, top = $8, stats = $9
		 where tune_id = $1 and shard = $2 and job_id = $3 and not done`,
		tune, done.Shard, lease.JobID, lease.Attempt, done.Skipped, done.Failed,
		done.Columns, done.Top, done.Stats)
	if err != nil {
		return fmt.Errorf("save shard %d of tune %s: %w", done.Shard, tune, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("shard %d of tune %s belongs to another job: %w", done.Shard, tune, ErrFenced)
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
		       updated_at = clock_timestamp()
		  from (select coalesce($5 > best_score or ($5 = best_score and $6 < best_trial), $5::float8 is not null)
		          from tune_progress where tune_id = $1) b (better)
		 where tune_id = $1
		returning shards, next_shard, shards_done,
		          trials_completed, trials_skipped, trials_failed, best_score, best_trial`,
		tune.ID, done.Completed, done.Skipped, done.Failed, done.BestScore, done.BestTrial).
		Scan(&at.total, &at.next, &at.done, &p.Completed, &p.Skipped, &p.Failed, &p.BestScore, &p.BestTrial)
	if err != nil {
		return at, fmt.Errorf("advance tune %s: %w", tune.ID, err)
	}
	return at, nil
}

// FailTune ends a tune that cannot be worked, with a reason for its user, under the lease of the
// job that found out. Its other jobs are cancelled.
func (s *Store) FailTune(ctx context.Context, lease Lease, id uuid.UUID, reason string) error {
	return s.inLease(ctx, lease, id, func(tx pgx.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		ended, err := s.endTune(ctx, tx, tune, TuneFailed, reason)
		if err != nil || !ended {
			return err
		}
		return s.cancelOtherJobs(ctx, tx, id, lease.JobID)
	})
}
