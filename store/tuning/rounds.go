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
)

// endRound inserts the job that follows a round: the one that plans the next, or the one that ranks.
func (s *Store) endRound(ctx context.Context, tx pgx.Tx, tune *Tune, at shardCounts) error {
	var args river.JobArgs = jobs.TuneCollectArgs{WorkspaceID: tune.WorkspaceID, TuneID: tune.ID}
	if at.round+1 < at.rounds {
		args = jobs.TuneAdvanceArgs{WorkspaceID: tune.WorkspaceID, TuneID: tune.ID, Round: at.round + 1}
	}
	job, err := s.db.River().InsertTx(ctx, tx, args, nil)
	if err != nil {
		return fmt.Errorf("insert %s job: %w", args.Kind(), err)
	}
	_, err = tx.Exec(ctx, `update tune_progress set collect_job_id = $2 where tune_id = $1`, tune.ID, job.Job.ID)
	if err != nil {
		return fmt.Errorf("note %s job: %w", args.Kind(), err)
	}
	return nil
}

// Round is a round as it was planned.
type Round struct {
	Round  int // from 1
	Shards []sweep.Shard
	Pruned int // trials that ended with the round before
}

// BeginRound stores the shards of a round and enqueues the first of them, under the lease of the job
// that planned it. A tune that has ended meanwhile is left alone: ErrEnded.
func (s *Store) BeginRound(ctx context.Context, lease store.Lease, id uuid.UUID, round Round) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := tune.still(Running); err != nil {
			return err
		}
		at, err := openRound(ctx, tx, tune, round)
		if err != nil {
			return err
		}
		if err := insertShards(ctx, tx, lease.Workspace, id, round.Shards); err != nil {
			return err
		}
		if err := readOpenShards(ctx, tx, tune); err != nil {
			return err
		}
		if err := AppendEvent(ctx, tx, tune, "progress", tune.ETA(s.db.Clock().Now())); err != nil {
			return err
		}
		if err := s.folds.FoldAdvanced(ctx, tx, tune, round.Pruned); err != nil {
			return err
		}
		if len(round.Shards) == 0 {
			return s.endRound(ctx, tx, tune, at)
		}
		return s.enqueueNext(ctx, tx, tune, at)
	})
}

// openRound moves the tune's progress on to the round, in the row and in tune.
func openRound(ctx context.Context, tx pgx.Tx, tune *Tune, round Round) (shardCounts, error) {
	var at shardCounts
	err := tx.QueryRow(ctx, `
		update tune_progress
		   set round = $2, shards = shards + $3, trials_skipped = trials_skipped + $4, updated_at = clock_timestamp()
		 where tune_id = $1 and round = $2 - 1 and shards_done = shards
		returning shards, next_shard, shards_done, round, rounds, trials_skipped`,
		tune.ID, round.Round, len(round.Shards), round.Pruned).
		Scan(&at.total, &at.next, &at.done, &at.round, &at.rounds, &tune.Progress.Skipped)
	if errors.Is(err, pgx.ErrNoRows) {
		return at, fmt.Errorf("tune %s is not at the end of round %d: %w", tune.ID, round.Round-1, store.ErrFenced)
	}
	if err != nil {
		return at, fmt.Errorf("open round %d of tune %s: %w", round.Round, tune.ID, err)
	}
	return at, nil
}

// ShardColumns reads the columns of one finished shard, as sweep encoded them.
func (s *Store) ShardColumns(ctx context.Context, workspace, tune uuid.UUID, shard int) (columns []byte, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `
			select columns from tune_shards where tune_id = $1 and shard = $2 and done`, tune, shard).Scan(&columns)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("result of shard %d of tune %s: %w", shard, tune, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read columns of shard %d of tune %s: %w", shard, tune, err)
		}
		return nil
	})
	return columns, err
}

// ResolveShard replaces the columns of a shard by those of its trials as they came out, under the lease
// of the job that ranks; the job continues. Doing it again changes nothing.
func (s *Store) ResolveShard(ctx context.Context, lease store.Lease, tune uuid.UUID, shard int, columns []byte) error {
	err := s.db.PipelineUnderLease(ctx, lease, tune, func(batch *pgx.Batch) {
		batch.Queue(`
			update tune_shards set columns = $3, open = false
			 where tune_id = $1 and shard = $2 and rung = 0 and done`, tune, shard, columns)
	})
	if err != nil {
		return fmt.Errorf("resolve shard %d of tune %s: %w", shard, tune, err)
	}
	return nil
}
