package sweep

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"millrace/jobs/backtest"
	"millrace/ops/routine"
)

// RunWhole runs all rounds of the plan in this process, at most atOnce shards side by side, and ranks. What
// it finds are the bytes that a fleet finds.
func (p *Plan) RunWhole(ctx context.Context, atOnce int) (*Outcome, *Table, error) {
	parts := &parts{}
	shards := p.Shards(p.wholeShard(atOnce))
	if err := p.runShards(ctx, shards, parts, atOnce); err != nil {
		return nil, nil, err
	}
	for round := 1; round < p.Rounds(); round++ {
		batch, err := p.Next(round, shards, parts.columns)
		if err != nil {
			return nil, nil, err
		}
		more := batch.Cut(len(shards), func(int) int { return p.wholeShard(atOnce) })
		shards = append(shards, more...)
		if err := p.runShards(ctx, more, parts, atOnce); err != nil {
			return nil, nil, err
		}
	}
	out, err := Collect(p, shards, parts.load)
	if err != nil {
		return nil, nil, err
	}
	table := NewTable(p.names)
	for _, sh := range shards {
		if sh.Rung > 0 {
			continue
		}
		data, err := out.FinalColumns(sh)
		if err == nil && data == nil {
			data, err = parts.columns(sh.Index)
		}
		if err == nil {
			err = table.Add(sh, data)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	return out, table, nil
}

// wholeShard is how many trials a shard of RunWhole has: enough shards to keep all slots busy.
func (p *Plan) wholeShard(atOnce int) int { return min(max(1, p.Trials()/(4*max(1, atOnce))), 2000) }

// parts are what the shards of a plan found, as they would be stored.
type parts struct {
	of [][3][]byte // columns, top, stats by shard
}

func (p *parts) load(shard int) (columns, top, stats []byte, err error) {
	return p.of[shard][0], p.of[shard][1], p.of[shard][2], nil
}

func (p *parts) columns(shard int) ([]byte, error) { return p.of[shard][0], nil }

// runShards runs shards side by side; their numbers follow those that ran before.
func (p *Plan) runShards(ctx context.Context, shards []Shard, into *parts, atOnce int) error {
	into.of = append(into.of, make([][3][]byte, len(shards))...)
	group, ctx := routine.NewGroup(ctx)
	group.Limit(max(1, atOnce))
	for _, sh := range shards {
		group.Run(func() error {
			result, err := p.RunShard(ctx, sh, func(int) {})
			if err != nil {
				return err
			}
			at := &into.of[sh.Index]
			if at[0], at[1], at[2], err = result.Encode(); err != nil {
				return fmt.Errorf("encode shard %d: %w", sh.Index, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// RunWholeWFO runs a walk-forward of a checked spec in this process as RunWhole runs a tune. The warnings
// are those of its folds and of what was found.
func RunWholeWFO(ctx context.Context, spec Spec, cfg WFOConfig, data []Series, atOnce int) (*WFOOutcome, []string, error) {
	cfg.Normalize()
	folds, warnings, faults := cfg.FoldsOver(data)
	if len(faults) > 0 {
		return nil, nil, fmt.Errorf("cut into folds: %w", faults[0])
	}
	var results []FoldResult
	var judged []judgedFold
	var tops [][]backtest.Params
	for _, fold := range folds {
		if fold.Problem != "" {
			continue
		}
		j, result, err := runFold(ctx, spec, cfg, fold, data, atOnce)
		if err != nil {
			return nil, nil, fmt.Errorf("fold %d: %w", fold.Index, err)
		}
		results, judged, tops = append(results, result), append(judged, j), append(tops, result.Top)
	}
	candidates := Candidates(tops)
	for i := range results {
		until := results[i].Fold.TestEnd
		if i+1 < len(results) {
			until = results[i+1].Fold.TrainEnd
		}
		if err := judged[i].score(ctx, &results[i], candidates, until); err != nil {
			return nil, nil, fmt.Errorf("score fold %d: %w", results[i].Fold.Index, err)
		}
	}
	out := CombineFolds(spec, cfg, data, candidates, results)
	return out, append(FoldWarnings(spec, warnings, judged[0].plan), out.Warnings...), nil
}

// FoldWarnings are what the user of a walk-forward should know before any result: those of its cut into folds, and those
// of its first fold's plan.
func FoldWarnings(spec Spec, ofFolds []string, first *Plan) []string {
	warnings := append([]string{}, ofFolds...)
	if spec.OOSRatio != nil {
		warnings = append(warnings, "oos_ratio is not used: each fold is judged on its own test window")
	}
	return append(warnings, first.Warnings()...)
}

// judgedFold is a fold whose tune has run.
type judgedFold struct {
	plan  *Plan
	table *Table
}

func runFold(ctx context.Context, spec Spec, cfg WFOConfig, fold Fold, data []Series, atOnce int) (judgedFold, FoldResult, error) {
	result := FoldResult{Fold: fold}
	plan, faults := NewPlanOver(spec.OfFold(fold), data)
	if len(faults) > 0 {
		return judgedFold{}, result, faults[0]
	}
	out, table, err := plan.RunWhole(ctx, atOnce)
	if err != nil {
		return judgedFold{}, result, err
	}
	for _, entry := range out.Leaderboard[:min(*cfg.LeaderboardTopK, len(out.Leaderboard))] {
		result.Top = append(result.Top, plan.Vector(entry.Params))
	}
	if len(out.Leaderboard) > 0 {
		// As it is read back from where it is stored.
		result.Winner = &Entry{}
		if err := again(out.Leaderboard[0], result.Winner); err != nil {
			return judgedFold{}, result, err
		}
	}
	return judgedFold{plan, table}, result, nil
}

// score judges the candidates on the fold's test window, and trades its winner there.
func (j judgedFold) score(ctx context.Context, result *FoldResult, candidates []backtest.Params, until time.Time) (err error) {
	result.Scores, err = j.plan.ScoreCandidates(ctx, candidates, j.table.Trials(j.plan.spec))
	if err != nil {
		return err
	}
	var winner backtest.Params
	if len(result.Top) > 0 {
		winner = result.Top[0]
	}
	return again(j.plan.Stretch(winner, until), &result.Stretch)
}

// again writes a value as JSON and reads it.
func again(from, to any) error {
	body, err := json.Marshal(from)
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if err := json.Unmarshal(body, to); err != nil {
		return fmt.Errorf("decode: %w", err)
	}
	return nil
}
