package sweep

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"millrace/jobs/backtest"
)

// Encode returns what is stored of a shard: the columns for good, and until the tune is collected
// the full metrics of its trials and the samples behind the overfit statistics.
func (r *ShardResult) Encode() (columns, top, stats []byte, err error) {
	if columns, err = r.columns.encode(); err != nil {
		return nil, nil, nil, err
	}
	raw := binary.LittleEndian.AppendUint32(nil, uint32(len(r.full)))
	for i := range r.full {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(r.full[i].trial))
		raw = r.full[i].is.AppendBinary(raw)
		raw = r.full[i].outOf.AppendBinary(raw)
	}
	stats, err = encodeBlocks(r.blocks)
	return columns, raw, stats, err
}

func decodeFull(raw []byte, into map[int]fullMetrics) error {
	if len(raw) < 4 {
		return errors.New("full metrics are cut short")
	}
	n := binary.LittleEndian.Uint32(raw)
	raw = raw[4:]
	for range n {
		if len(raw) < 4 {
			return errors.New("full metrics are cut short")
		}
		m := fullMetrics{trial: int(binary.LittleEndian.Uint32(raw))}
		var err error
		if m.is, raw, err = backtest.DecodeMetrics(raw[4:]); err != nil {
			return err
		}
		if m.outOf, raw, err = backtest.DecodeMetrics(raw); err != nil {
			return err
		}
		into[m.trial] = m
	}
	return nil
}

// Counts are a tune's trials by final status.
type Counts struct {
	Completed int `json:"completed"`
	Skipped   int `json:"skipped"`
	Failed    int `json:"failed"`
}

// Entry is one line of the leaderboard.
type Entry struct {
	Rank       int                `json:"rank"`
	TrialIndex int                `json:"trial_index"`
	Params     map[string]float64 `json:"params"`
	Score      float64            `json:"score"`
	ScoreIS    *float64           `json:"score_is"`
	ScoreOOS   *float64           `json:"score_oos"`
	OverfitGap *float64           `json:"overfit_gap"`
	MetricsIS  backtest.Metrics   `json:"metrics_is"`
	MetricsOOS *backtest.Metrics  `json:"metrics_oos"` // null without a split
}

// Gates are the limits that trials were held against, and on which part.
type Gates struct {
	MaxDrawdownPct float64 `json:"max_drawdown_pct"`
	MinTrades      int     `json:"min_trades"`
	EvaluatedOn    string  `json:"evaluated_on"` // "oos", or "all" without a split
}

// Outcome is what a tune found. It does not depend on how its trials were sharded.
type Outcome struct {
	Counts      Counts         `json:"counts"`
	Gates       Gates          `json:"gates"`
	Overfit     Overfit        `json:"overfit"`
	Reasons     map[string]int `json:"reasons"` // why trials were skipped, and how many
	Warnings    []string       `json:"warnings"`
	Leaderboard []Entry        `json:"leaderboard,omitempty"` // at most 1,000, best first
	Ranking     []int32        `json:"-"`                     // all trials by index, best first
}

// gathered is everything the shards found, in trial order.
type gathered struct {
	cols    *columns
	full    map[int]fullMetrics
	blocks  []blockRow
	ranking []int32
}

// Collect ranks the trials of all shards. load returns what Encode made of one shard.
func Collect(p *Plan, shards []Shard, load func(shard int) (columns, top, stats []byte, err error)) (*Outcome, error) {
	all, err := gather(p, shards, load)
	if err != nil {
		return nil, err
	}
	out := &Outcome{
		Gates:   Gates{*p.spec.Gates.MaxDrawdownPct, *p.spec.Gates.MinTrades, "all"},
		Reasons: map[string]int{}, Warnings: p.Warnings(), Leaderboard: []Entry{},
	}
	if p.hasSplit() {
		out.Gates.EvaluatedOn = "oos"
	}
	for _, v := range all.cols.verdicts {
		if v == passed {
			out.Counts.Completed++
			continue
		}
		out.Counts.Skipped++
		out.Reasons[p.spec.reason(v)]++
	}
	all.rank(p)
	out.Ranking = all.ranking
	p.lead(out, all)
	p.evidence(out, all)
	if out.Counts.Completed == 0 {
		out.Warnings = append(out.Warnings, "no trial passed its gates with a defined objective: see reasons")
	}
	return out, nil
}

func gather(p *Plan, shards []Shard, load func(int) ([]byte, []byte, []byte, error)) (*gathered, error) {
	cols := newColumns(len(p.names), p.Trials())
	all := &gathered{cols: &cols, full: map[int]fullMetrics{}}
	point := make(backtest.Params, len(p.names))
	for _, sh := range shards {
		if sh.First != cols.len() {
			return nil, fmt.Errorf("shard %d begins at trial %d, not at %d", sh.Index, sh.First, cols.len())
		}
		columns, top, stats, err := load(sh.Index)
		if err != nil {
			return nil, err
		}
		part, err := decodeColumns(columns, len(p.names), sh.Trials)
		if err != nil {
			return nil, fmt.Errorf("shard %d: %w", sh.Index, err)
		}
		for i := range sh.Trials {
			part.point(i, point)
			cols.append(point, part.row(i))
		}
		if err := decodeFull(top, all.full); err != nil {
			return nil, fmt.Errorf("shard %d: %w", sh.Index, err)
		}
		blocks, err := decodeBlocks(stats)
		if err != nil {
			return nil, fmt.Errorf("shard %d: %w", sh.Index, err)
		}
		all.blocks = append(all.blocks, blocks...)
	}
	if cols.len() != p.Trials() {
		return nil, fmt.Errorf("%d trials were run of %d", cols.len(), p.Trials())
	}
	return all, nil
}

// rank orders the trials: completed ones by score, ties by parameters and then by index; the others
// after them by index.
func (g *gathered) rank(p *Plan) {
	scores := make([]float64, g.cols.len())
	g.ranking = make([]int32, len(scores))
	for i := range scores {
		row := g.cols.row(i)
		scores[i] = math.Inf(-1)
		if row.verdict == passed {
			scores[i] = row.selection(p.spec)
		}
		g.ranking[i] = int32(i)
	}
	slices.SortFunc(g.ranking, func(a, b int32) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		case !math.IsInf(scores[a], -1):
			for _, column := range g.cols.params {
				if order := cmp.Compare(column[a], column[b]); order != 0 {
					return order
				}
			}
		}
		return int(a - b)
	})
}

// lead fills the leaderboard, running the leaders again when their metrics were not kept.
func (p *Plan) lead(out *Outcome, all *gathered) {
	runner := p.runner()
	defer p.runners.Put(runner)
	own := make(backtest.Params, len(p.names))
	for rank, index := range all.ranking[:min(leaders, out.Counts.Completed)] {
		at := int(index)
		all.cols.point(at, own)
		m, kept := all.full[at]
		if !kept {
			p.run(runner, own, &m, func([]float64) {})
		}
		row := all.cols.row(at)
		trial := p.spec.trial(at, named(p.names, own), &row)
		entry := Entry{
			Rank: rank + 1, TrialIndex: at, Params: trial.Params, Score: *trial.Score,
			ScoreIS: trial.ScoreIS, ScoreOOS: trial.ScoreOOS, OverfitGap: trial.OverfitGap, MetricsIS: m.is,
		}
		if p.hasSplit() {
			entry.MetricsOOS = &m.outOf
		}
		out.Leaderboard = append(out.Leaderboard, entry)
	}
}

// evidence fills in the overfit statistics.
func (p *Plan) evidence(out *Outcome, all *gathered) {
	o := &out.Overfit
	o.PBOTried = len(all.blocks)
	if result, missing := crossValidate(all.blocks); missing == "" {
		o.PBO, o.Slope, o.OOSLoss = defined(result.pbo), defined(result.slope), defined(result.loss)
	} else {
		o.explain("pbo", missing)
	}
	if len(out.Leaderboard) == 0 {
		_, o.NTrials = spread(all.cols.scores[2])
		for _, name := range []string{"psr", "dsr", "stability"} {
			o.explain(name, "no trial is on the leaderboard")
		}
		return
	}
	o.judgeWinner(&out.Leaderboard[0].MetricsIS, all.cols.scores[2])
	p.stability(o, all)
}

// stability looks at the trials one step away from the winner on one axis.
func (p *Plan) stability(o *Overfit, all *gathered) {
	sp := p.seq.space
	width := len(sp.axes)
	if !sp.discrete {
		o.explain("stability", "a continuous space has no next neighbours")
		return
	}
	winner := int(all.ranking[0])
	position := func(trial, k int) int {
		if sp.axes[k].count == 1 {
			return 0
		}
		return sp.axes[k].position(all.cols.params[k][trial])
	}
	home := make([]int, width)
	for k := range home {
		home[k] = position(winner, k)
	}
	var sum float64
	neighbours := 0
	for trial := range all.cols.len() {
		steps := 0
		for k := 0; k < width && steps < 2; k++ {
			d := position(trial, k) - home[k]
			steps += d * d
		}
		if score := all.cols.scores[0][trial]; steps == 1 && !math.IsNaN(score) {
			sum += score
			neighbours++
		}
	}
	own := all.cols.scores[0][winner]
	switch {
	case neighbours == 0:
		o.explain("stability", "no neighbour of the winner was run with a defined score")
	case !(own > 0):
		o.explain("stability", "the winner's in-sample score is not positive")
	default:
		o.Stability = defined(sum / float64(neighbours) / own)
	}
}
