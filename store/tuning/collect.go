package tuning

import (
	"context"
	"encoding/json"
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
// ended before.
func (s *Store) Complete(ctx context.Context, lease store.Lease, id uuid.UUID, found *sweep.Outcome) error {
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		tune, err := readTune(ctx, tx, lease.Workspace, id)
		if err != nil {
			return err
		}
		if err := tune.still(Running); err != nil {
			return err
		}
		if tune.Fold != nil {
			return s.endFold(ctx, tx, tune, found)
		}
		if err := saveOutcome(ctx, tx, tune, found); err != nil {
			return err
		}
		if err := s.saveManifest(ctx, tx, tune, found); err != nil {
			return err
		}
		return s.end(ctx, tx, tune, Completed, "")
	})
}

// saveOutcome keeps the leaderboard and the ranking apart from the summary, so that reading a tune
// stays cheap when it has a million trials.
func saveOutcome(ctx context.Context, tx pgx.Tx, tune *Tune, found *sweep.Outcome) error {
	body, err := encodeOutcome(found)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update tunes set outcome = $2, ranking = $3, warnings = $4, regime = $5 where id = $1`,
		tune.ID, body, found.Ranking, append([]string{}, found.Warnings...), found.Regime)
	if err != nil {
		return fmt.Errorf("save outcome of tune %s: %w", tune.ID, err)
	}
	if _, err = tx.Exec(ctx, dropWorking, tune.ID); err != nil {
		return fmt.Errorf("drop working figures of tune %s: %w", tune.ID, err)
	}
	return insertLeaderboard(ctx, tx, tune, found.Leaderboard[:min(tune.Leaders, len(found.Leaderboard))])
}

func insertLeaderboard(ctx context.Context, tx pgx.Tx, tune *Tune, entries []sweep.Entry) error {
	rows, err := leadersOf(entries)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		insert into tune_leaderboard (tune_id, workspace_id, dataset_id, strategy, objective, fold,
		                              rank, trial_index, score, entry)
		select $1, $2, $3, $4, $5, false, r, i, s, e::json
		  from unnest($6::int[], $7::int[], $8::float8[], $9::text[]) as u (r, i, s, e)`,
		tune.ID, tune.WorkspaceID, tune.DatasetID, tune.Spec.StrategyName, tune.Spec.ObjectiveType,
		rows.ranks, rows.trials, rows.scores, rows.bodies)
	if err != nil {
		return fmt.Errorf("insert leaderboard of tune %s: %w", tune.ID, err)
	}
	return nil
}

// leaderRows are entries of a leaderboard as columns.
type leaderRows struct {
	ranks, trials []int32
	scores        []float64
	bodies        []string
}

func leadersOf(entries []sweep.Entry) (rows leaderRows, err error) {
	for _, entry := range entries {
		body, err := json.Marshal(entry)
		if err != nil {
			return rows, fmt.Errorf("encode leaderboard entry: %w", err)
		}
		rows.ranks, rows.trials = append(rows.ranks, int32(entry.Rank)), append(rows.trials, int32(entry.TrialIndex))
		rows.scores, rows.bodies = append(rows.scores, entry.Score), append(rows.bodies, string(body))
	}
	return rows, nil
}
