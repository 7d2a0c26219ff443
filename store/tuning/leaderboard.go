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

// LeaderboardOf reads the best entries of one tune, best first, as sweep.Entry encodes them.
func (s *Store) LeaderboardOf(ctx context.Context, workspace, tune uuid.UUID, limit int) ([]json.RawMessage, error) {
	entries := []json.RawMessage{}
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select entry from tune_leaderboard where tune_id = $1 order by rank limit $2`, tune, limit)
		if err != nil {
			return fmt.Errorf("read leaderboard of tune %s: %w", tune, err)
		}
		if entries, err = pgx.AppendRows(entries, rows, pgx.RowTo[json.RawMessage]); err != nil {
			return fmt.Errorf("read leaderboard of tune %s: %w", tune, err)
		}
		return nil
	})
	return entries, err
}

// Standing is a trial's place on the leaderboard of the whole workspace.
type Standing struct {
	TuneID   uuid.UUID
	Datasets []string // names
	Strategy string
	Score    float64
	Rank     int // within its tune
	Entry    json.RawMessage
}

// LeaderboardFilter narrows the workspace's leaderboard. Scores compare only within an objective,
// so that one is required.
type LeaderboardFilter struct {
	Objective  string
	Strategy   string
	Dataset    uuid.UUID // one version; uuid.Nil: any
	Series     string    // all versions of a name; "": any
	BestOfTune bool      // one entry a tune
	// Limits on the part that trials are judged on; nil ones do not narrow, and an undefined figure
	// is within none.
	MinTrades      int
	MaxDrawdownPct *float64
	MinReturnPct   *float64
	MaxOverfitGap  *float64
}

// StandingKey is a place in the leaderboard; the zero key is its beginning.
type StandingKey struct {
	Score  float64
	TuneID uuid.UUID
	Rank   int
}

// Leaderboard lists the best trials of the workspace's completed tunes, best first, from after key.
func (s *Store) Leaderboard(ctx context.Context, workspace uuid.UUID, filter LeaderboardFilter, after StandingKey, limit int) ([]Standing, error) {
	var standings []Standing
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select l.tune_id,
			       coalesce((select array_agg(x.name order by td.position)
			                   from tune_datasets td join datasets x on x.id = td.dataset_id
			                  where td.tune_id = l.tune_id), array[d.name]),
			       l.strategy, l.score, l.rank, l.entry
			  from tune_leaderboard l join datasets d on d.id = l.dataset_id,
			       lateral (select case when json_typeof(l.entry -> 'metrics_oos') = 'object'
			                            then l.entry -> 'metrics_oos' else l.entry -> 'metrics_is' end) j (judged)
			 where l.workspace_id = @workspace and l.objective = @objective and not l.fold
			   and exists (select from tunes t where t.id = l.tune_id) -- not of one that is being deleted
			   and (@strategy = '' or l.strategy = @strategy)
			   and (@dataset = '00000000-0000-0000-0000-000000000000'::uuid or l.dataset_id = @dataset
			        or exists (select from tune_datasets td where td.tune_id = l.tune_id and td.dataset_id = @dataset))
			   and (@series = '' or coalesce(d.series, d.name) = @series
			        or exists (select from tune_datasets td join datasets x on x.id = td.dataset_id
			                    where td.tune_id = l.tune_id and coalesce(x.series, x.name) = @series))
			   and (not @best or l.rank = 1)
			   and (@trades = 0 or (judged ->> 'trades')::int >= @trades)
			   and (@drawdown::float8 is null or (judged ->> 'max_drawdown_pct')::float8 <= @drawdown)
			   and (@return::float8 is null or (judged ->> 'return_pct')::float8 >= @return)
			   and (@gap::float8 is null or (l.entry ->> 'overfit_gap')::float8 <= @gap)
			   and (@rank = 0 or l.score < @score
			        or (l.score = @score and (l.tune_id, l.rank) > (@tune, @rank)))
			 order by l.score desc, l.tune_id, l.rank
			 limit @limit`,
			pgx.NamedArgs{
				"workspace": workspace, "objective": filter.Objective, "strategy": filter.Strategy,
				"dataset": filter.Dataset, "series": filter.Series, "score": after.Score, "tune": after.TuneID, "rank": after.Rank,
				"best": filter.BestOfTune, "trades": filter.MinTrades, "drawdown": filter.MaxDrawdownPct,
				"return": filter.MinReturnPct, "gap": filter.MaxOverfitGap, "limit": limit,
			})
		if err != nil {
			return fmt.Errorf("read leaderboard: %w", err)
		}
		if standings, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Standing]); err != nil {
			return fmt.Errorf("read leaderboard: %w", err)
		}
		return nil
	})
	return standings, err
}

// TrialShard is one shard of trials with its stored columns.
type TrialShard struct {
	Shard   sweep.Shard
	Columns []byte
}

// TrialShards reads the finished shards that hold trials from the given index on, at most limit of
// them, in order: a page of trials touches only the shards it shows. TrialsDroppedError when retention has dropped them.
func (s *Store) TrialShards(ctx context.Context, workspace, tune uuid.UUID, from, limit int) ([]TrialShard, error) {
	var shards []TrialShard
	err := s.db.PipelineInWorkspace(ctx, workspace, func(batch *pgx.Batch) {
		batch.Queue(`
			select shard, first_trial, n_trials, columns from tune_shards
			 where tune_id = $1 and rung = 0 and done
			   and first_trial >= (select coalesce(max(first_trial), 0) from tune_shards
			                        where tune_id = $1 and rung = 0 and first_trial <= $2)
			 order by first_trial limit $3`, tune, from, limit).Query(func(rows pgx.Rows) (err error) {
			shards, err = pgx.CollectRows(rows, scanTrialShard)
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read trials of tune %s: %w", tune, err)
	}
	if len(shards) > 0 {
		return shards, nil
	}
	return nil, s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error { return whyNone(ctx, tx, tune) })
}

// RankedShards reads the trial indexes at ranks [from, from+limit) of a completed tune, and the
// shards that hold them. TrialsDroppedError when retention has dropped them.
func (s *Store) RankedShards(ctx context.Context, workspace, tune uuid.UUID, from, limit int) ([]int32, []TrialShard, error) {
	var ranked []int32
	var shards []TrialShard
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `
			select coalesce(ranking[$2:$3], '{}') from tunes where id = $1`, tune, from+1, from+limit).Scan(&ranked)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("tune %s: %w", tune, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read ranking of tune %s: %w", tune, err)
		}
		if len(ranked) == 0 {
			return whyNone(ctx, tx, tune)
		}
		rows, err := tx.Query(ctx, `
			select shard, first_trial, n_trials, columns from tune_shards
			 where tune_id = $1 and shard in (
			       select holds.shard from unnest($2::int[]) trial
			        cross join lateral (select shard from tune_shards
			                             where tune_id = $1 and rung = 0 and first_trial <= trial
			                             order by first_trial desc limit 1) holds)
			 order by shard`, tune, ranked)
		if err != nil {
			return fmt.Errorf("read ranked trials of tune %s: %w", tune, err)
		}
		if shards, err = pgx.CollectRows(rows, scanTrialShard); err != nil {
			return fmt.Errorf("read ranked trials of tune %s: %w", tune, err)
		}
		return nil
	})
	return ranked, shards, err
}

func scanTrialShard(row pgx.CollectableRow) (TrialShard, error) {
	var c TrialShard
	err := row.Scan(&c.Shard.Index, &c.Shard.First, &c.Shard.Trials, &c.Columns)
	return c, err
}
