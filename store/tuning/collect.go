package tuning

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/admission"
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

// Complete stores what the collect step found, under its lease, and ends the tune. ErrEnded when it had ended before, or is run by
// another engine or other semantics by now. What is stored is made before the lock is taken, and sent at once.
func (s *Store) Complete(ctx context.Context, lease store.Lease, id uuid.UUID, found *sweep.Outcome) error {
	tune, err := s.Get(ctx, lease.Workspace, id)
	if err != nil {
		return err
	}
	end, err := s.newEnd(ctx, tune, found)
	if err != nil {
		return err
	}
	return s.db.CompleteUnderLease(ctx, lease, id, func(tx *store.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(dropWorking, id)
		queueEnd(batch, tune, &end)
		if tune.Fold != nil {
			s.folds.QueueFoldCompleted(batch, tune, found.Leaderboard)
			tx.AfterCommit(s.foldEnded)
			return sendEnd(ctx, tx, batch, id)
		}
		// After the leaderboard, as submissions to the workspace wait from here on, and after the tune's end, which makes room. What
		// admits takes no row of a running tune.
		room := store.QueueRoom(batch, tune.WorkspaceID)
		tune.Status, tune.Error = Completed, ""
		QueueEvent(batch, tune, string(Completed))
		if err := sendEnd(ctx, tx, batch, id); err != nil {
			return err
		}
		place, err := room()
		if err != nil {
			return err
		}
		tx.AfterCommit(func() { s.db.Recorder().TuneEnded(string(Completed)) })
		if err := s.reportEnd(ctx, tx, tune); err != nil {
			return err
		}
		return admission.NextIn(ctx, tx, tune.WorkspaceID, place)
	})
}

func sendEnd(ctx context.Context, tx *store.Tx, batch *pgx.Batch, tune uuid.UUID) error {
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("save outcome of tune %s: %w", tune, err)
	}
	return nil
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
