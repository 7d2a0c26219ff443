package tuning

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/sweep"
	"millrace/store"
)

// ShardParts reads one shard's stored result: columns, top and stats as sweep encoded them.
func (s *Store) ShardParts(ctx context.Context, workspace, tune uuid.UUID, shard int) (columns, top, stats []byte, err error) {
	err = s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `
			select columns, top, stats from tune_shards where tune_id = $1 and shard = $2 and done`,
			tune, shard).Scan(&columns, &top, &stats)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("result of shard %d of tune %s: %w", shard, tune, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read result of shard %d of tune %s: %w", shard, tune, err)
		}
		return nil
	})
	return columns, top, stats, err
}

// Shards reads the plan of a tune: every shard's place, in order.
func (s *Store) Shards(ctx context.Context, workspace, tune uuid.UUID) ([]sweep.Shard, error) {
	var shards []sweep.Shard
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+shardColumns+` from tune_shards
			 where tune_id = $1 order by shard`, tune)
		if err != nil {
			return fmt.Errorf("list shards of tune %s: %w", tune, err)
		}
		shards, err = pgx.CollectRows(rows, scanShard)
		if err != nil {
			return fmt.Errorf("list shards of tune %s: %w", tune, err)
		}
		return nil
	})
	return shards, err
}

// Complete stores what the collect step found, under its lease, and ends the tune. ErrEnded when it had
// ended before, or is run by other rules by now. What is stored is made before the lock is taken, and sent at once.
func (s *Store) Complete(ctx context.Context, lease store.Lease, id uuid.UUID, found *sweep.Outcome) error {
	before, err := s.Get(ctx, lease.Workspace, id)
	if err != nil {
		return err
	}
	end, err := s.newEnd(ctx, before, found)
	if err != nil {
		return err
	}
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := tune.still(Running); err != nil {
			return err
		}
		if tune.Stamp != before.Stamp {
			return fmt.Errorf("tune %s was begun again: %w", id, store.ErrEnded)
		}
		batch := &pgx.Batch{}
		batch.Queue(dropWorking, tune.ID)
		if tune.Fold != nil {
			s.queueFoldEnd(batch, tune, &end)
			tx.AfterCommit(s.foldEnded)
		} else {
			queueOutcome(batch, tune, &end)
		}
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("save outcome of tune %s: %w", id, err)
		}
		if tune.Fold != nil {
			return nil
		}
		return s.end(ctx, tx, tune, Completed, "")
	})
}

// queueOutcome keeps the leaderboard and the ranking apart from the summary, so that reading a tune
// stays cheap when it has a million trials.
func queueOutcome(batch *pgx.Batch, tune *Tune, e *tuneEnd) {
	batch.Queue(`
		update tunes set outcome = $2, ranking = $3, warnings = $4, regime = $5, manifest = $6, manifest_sha256 = $7 where id = $1`,
		tune.ID, e.outcome, e.found.Ranking, append([]string{}, e.found.Warnings...), e.found.Regime, e.manifest, e.sum)
	batch.Queue(`
		insert into tune_leaderboard (tune_id, workspace_id, dataset_id, strategy, objective, fold,
		                              rank, trial_index, score, entry)
		select $1, $2, $3, $4, $5, false, r, i, s, e::json
		  from unnest($6::int[], $7::int[], $8::float8[], $9::text[]) as u (r, i, s, e)`,
		tune.ID, tune.WorkspaceID, tune.DatasetID, tune.Spec.StrategyName, tune.Spec.ObjectiveType,
		e.leaders.ranks, e.leaders.trials, e.leaders.scores, e.leaders.bodies)
}

// leaderRows are entries of a leaderboard as columns.
type leaderRows struct {
	ranks, trials []int32
	scores        []float64
	bodies        []string
}

// leadersOf are the first entries of the leaderboard, so many at most.
func leadersOf(found *sweep.Outcome, most int) (rows leaderRows, err error) {
	bodies, err := found.LeaderBodies()
	if err != nil {
		return rows, err
	}
	for i, entry := range found.Leaderboard[:min(most, len(found.Leaderboard))] {
		rows.ranks, rows.trials = append(rows.ranks, int32(entry.Rank)), append(rows.trials, int32(entry.TrialIndex))
		rows.scores, rows.bodies = append(rows.scores, entry.Score), append(rows.bodies, string(bodies[i]))
	}
	return rows, nil
}
