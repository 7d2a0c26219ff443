package recommend

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/knowledge"
	"millrace/jobs/sweep"
	"millrace/store"
)

const (
	candidateTunes   = 5000 // newest tunes of a strategy whose regimes are compared
	candidateNearest = 200  // tunes whose leaders are read
	candidateLeaders = 10   // of each: one tune must not outweigh all others
)

// pastTune is a completed tune as recommendations look at it.
type pastTune struct {
	id                                    uuid.UUID
	dataset, symbol, timeframe, objective string
	regime                                sweep.Regime
	similarity                            float64
}

// Candidates reads the leaders of the workspace's completed tunes of a strategy whose regimes are
// nearest to one, nearest first; those without an out-of-sample part are left out. With an
// objective only tunes under it count.
func (s *Store) Candidates(ctx context.Context, workspace uuid.UUID, strategy, objective string, near *sweep.Regime) ([]knowledge.Candidate, error) {
	var candidates []knowledge.Candidate
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		tunes, err := pastTunes(ctx, tx, workspace, strategy, objective, near)
		if err != nil {
			return fmt.Errorf("read past tunes: %w", err)
		}
		if candidates, err = leadersOf(ctx, tx, tunes); err != nil {
			return fmt.Errorf("read leaders of past tunes: %w", err)
		}
		return nil
	})
	return candidates, err
}

// pastTunes are the nearest of the newest tunes, nearest first.
func pastTunes(ctx context.Context, tx pgx.Tx, workspace uuid.UUID, strategy, objective string, near *sweep.Regime) ([]pastTune, error) {
	rows, err := tx.Query(ctx, `
		select t.id, d.name, d.symbol, d.timeframe, t.objective, t.regime
		  from tunes t join datasets d on d.id = t.dataset_id
		 where t.workspace_id = $1 and t.strategy = $2 and ($3 = '' or t.objective = $3)
		   and t.regime is not null and t.status = 'completed'
		 order by t.created_at desc limit $4`, workspace, strategy, objective, candidateTunes)
	if err != nil {
		return nil, err
	}
	tunes, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pastTune, error) {
		var t pastTune
		err := row.Scan(&t.id, &t.dataset, &t.symbol, &t.timeframe, &t.objective, &t.regime)
		t.similarity = knowledge.Similarity(near, &t.regime)
		return t, err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(tunes, func(a, b pastTune) int { return cmp.Compare(b.similarity, a.similarity) })
	return tunes[:min(len(tunes), candidateNearest)], nil
}

func leadersOf(ctx context.Context, tx pgx.Tx, tunes []pastTune) ([]knowledge.Candidate, error) {
	ids := make([]uuid.UUID, len(tunes))
	for i, t := range tunes {
		ids[i] = t.id
	}
	rows, err := tx.Query(ctx, `
		select o.n, l.entry
		  from unnest($1::uuid[]) with ordinality o (id, n) join tune_leaderboard l on l.tune_id = o.id and l.rank <= $2
		 order by o.n, l.rank`, ids, candidateLeaders)
	if err != nil {
		return nil, err
	}
	var candidates []knowledge.Candidate
	var n int
	var body []byte
	_, err = pgx.ForEachRow(rows, []any{&n, &body}, func() error {
		var entry sweep.Entry
		if err := json.Unmarshal(body, &entry); err != nil {
			return fmt.Errorf("decode entry: %w", err)
		}
		c, ok := knowledge.NewCandidate(&entry)
		if !ok {
			return nil
		}
		t := tunes[n-1]
		c.TuneID, c.Dataset, c.Symbol, c.Timeframe, c.Objective = t.id, t.dataset, t.symbol, t.timeframe, t.objective
		c.Tags, c.Similarity = t.regime.Tags, t.similarity
		candidates = append(candidates, c)
		return nil
	})
	return candidates, err
}
