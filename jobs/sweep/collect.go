package sweep

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"millrace/jobs/backtest"
	"millrace/ops/routine"
)

// Encode returns what is stored of a shard: the columns for good, and until the tune is collected
// the full metrics of its trials and the samples behind the overfit statistics.
func (r *ShardResult) Encode() (columns, top, stats []byte, err error) {
	if r.shard.Permutes() {
		return encodePermuted(r.permuted), nil, nil, nil
	}
	if columns, err = r.EncodeColumns(); err != nil {
		return nil, nil, nil, err
	}
	full := r.full
	if r.spare {
		full = nil
	}
	top = binary.LittleEndian.AppendUint32(nil, uint32(len(full)))
	for i := range full {
		top = binary.LittleEndian.AppendUint32(top, uint32(full[i].trial))
		top = full[i].is.AppendBinary(top)
		top = full[i].outOf.AppendBinary(top)
	}
	return columns, top, r.encodeStats(), nil
}

// LeavesReturnsOut reports whether Encode leaves out the returns of the sample, which Collect makes again.
func (r *ShardResult) LeavesReturnsOut() bool { return r.again }

// StoreReturns has Encode store them: Collect of a version before this one makes none again.
func (r *ShardResult) StoreReturns() { r.again = false }

// encodeStats makes the samples behind the overfit statistics.
func (r *ShardResult) encodeStats() []byte {
	size := 8*len(r.ratios) + 4 + blockRowBytes*len(r.sample.blocks) + 8
	if !r.again {
		for i := range r.sample.panel {
			size += 4 + 4*len(r.sample.panel[i].returns)
		}
	}
	stats := make([]byte, 0, size)
	for _, ratio := range r.ratios {
		stats = binary.LittleEndian.AppendUint64(stats, math.Float64bits(ratio))
	}
	stats = appendBlocks(stats, r.sample.blocks)
	if r.again {
		return binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(stats, madeAgain), 0)
	}
	return appendPanel(stats, r.sample.panel)
}

// EncodeColumns is what Encode returns for good.
func (r *ShardResult) EncodeColumns() ([]byte, error) {
	if r.packers == nil {
		return r.columns.encode()
	}
	k, ok := r.packers.Get().(*packer)
	if !ok {
		k = &packer{}
	}
	defer r.packers.Put(k)
	return k.pack(&r.columns)
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
	// Of a tune over several datasets the figures above are their aggregate; those of each are here,
	// for the first 100 entries.
	Datasets []DatasetEntry `json:"datasets,omitempty"`
}

// DatasetEntry is one dataset's part in an entry.
type DatasetEntry struct {
	Dataset    string            `json:"dataset"`
	ScoreIS    *float64          `json:"score_is"`
	ScoreOOS   *float64          `json:"score_oos"`
	MetricsIS  backtest.Metrics  `json:"metrics_is"`
	MetricsOOS *backtest.Metrics `json:"metrics_oos"`
}

// leadersByDataset is how many entries show each dataset.
const leadersByDataset = 100

// Gates are the limits that trials were held against, and on which part.
type Gates struct {
	MaxDrawdownPct float64 `json:"max_drawdown_pct"`
	MinTrades      int     `json:"min_trades"`
	EvaluatedOn    string  `json:"evaluated_on"` // "oos"; "is" with a window; "all" without a split
}

// Outcome is what a tune found. It does not depend on how its trials were sharded.
type Outcome struct {
	Counts      Counts             `json:"counts"`
	BestTrial   *int               `json:"best_trial"` // first of the leaderboard; nil when it is empty
	BestParams  map[string]float64 `json:"best_params"`
	BestScore   *float64           `json:"best_score"`
	Gates       Gates              `json:"gates"`
	Overfit     Overfit            `json:"overfit"`
	Evidence    *Evidence          `json:"evidence,omitempty"` // nil: of a fold, or nothing is on the leaderboard
	Regime      *Regime            `json:"regime,omitempty"`
	Reasons     map[string]int     `json:"reasons"` // why trials are not completed, and how many
	Warnings    []string           `json:"warnings"`
	Leaderboard []Entry            `json:"leaderboard,omitempty"` // at most 1,000, best first
	Ranking     []int32            `json:"-"`                     // all trials by index, best first
	Pruning     []Rung             `json:"pruning,omitempty"`     // the rungs of a pruned tune
	TrialsSum   [sha256.Size]byte  `json:"-"`                     // SHA-256 of Table.Bytes of all trials

	final *columns // of a pruned tune

	// Made while the rest is weighed; nil: not made.
	leaderBodies           [][]byte
	leadersSum, rankingSum *[sha256.Size]byte
}

// byDataset are the parts of the trial just run.
func (p *Plan) byDataset(b *scratch) []DatasetEntry {
	var parts []DatasetEntry
	for i, s := range p.sets {
		part := DatasetEntry{Dataset: s.name, ScoreIS: defined(p.spec.score(&b.is[i])), MetricsIS: b.is[i]}
		if p.hasSplit() {
			oos := b.oos[i]
			part.ScoreOOS, part.MetricsOOS = defined(p.spec.score(&oos)), &oos
		}
		parts = append(parts, part)
	}
	return parts
}

// FinalColumns are the columns to store for a shard of rung 0 when the tune has ended: its trials with
// the results of later rungs. Nil when the shard's own columns are final.
func (out *Outcome) FinalColumns(sh Shard) ([]byte, error) {
	if out.final == nil || sh.Rung > 0 {
		return nil, nil
	}
	part := out.final.slice(sh.First, sh.First+sh.Trials)
	return part.encode()
}

// Collect ranks the trials of all shards. load returns what Encode made of one shard.
func Collect(p *Plan, shards []Shard, load func(shard int) (columns, top, stats []byte, err error)) (*Outcome, error) {
	return CollectKept(p, shards, nil, load)
}

// CollectKept is Collect where this process kept what it found of some shards, or of all. Those are not loaded.
func CollectKept(p *Plan, shards []Shard, kept *Kept, load func(shard int) (columns, top, stats []byte, err error)) (*Outcome, error) {
	all, err := gather(p, shards, kept, load)
	if err != nil {
		return nil, err
	}
	return p.collect(all, leaders)
}

// CollectWhole is Collect of a plan of one round whose trials were all run as one shard, without encoding them. The leaderboard
// of a fold has so many entries at most; the verdict of other tunes looks at more.
func CollectWhole(p *Plan, r *ShardResult, most int) (*Outcome, error) {
	if n := r.columns.len(); n != p.Trials() || p.Rounds() > 1 || r.shard.Open {
		return nil, fmt.Errorf("a shard of %d trials is not the whole of %d in %d rounds", n, p.Trials(), p.Rounds())
	}
	if p.weighs() {
		most = leaders
	}
	return p.collect(&gathered{cols: &r.columns, ratios: r.ratios, full: r.full, blocks: r.sample.blocks, panel: r.sample.panel}, most)
}

// collect ranks trials that were gathered.
func (p *Plan) collect(all *gathered, most int) (out *Outcome, err error) {
	out = &Outcome{
		Gates:   Gates{*p.spec.Gates.MaxDrawdownPct, *p.spec.Gates.MinTrades, "all"},
		Reasons: map[string]int{}, Leaderboard: []Entry{},
	}
	if p.spec.gatesOOS() {
		out.Gates.EvaluatedOn = "oos"
	} else if p.hasSplit() {
		out.Gates.EvaluatedOn = "is"
	}
	out.count(p, all.cols)
	if p.prunes() {
		out.final, out.Pruning = all.cols, all.countRungs(p)
	}
	var found splits
	var beside routine.Group // what the ranking has nothing to do with
	beside.Run(func() error { found = p.splits(all); return nil })
	all.rank(p, &out.Counts)
	out.Ranking = all.ranking
	beside.Run(func() error { out.TrialsSum = all.cols.sum(); return nil })
	beside.Run(func() error {
		sum := out.RankingSum()
		out.rankingSum = &sum
		return nil
	})
	err = p.judge(out, all, most)
	if err = errors.Join(err, beside.Wait()); err != nil {
		return nil, err
	}
	out.Overfit.setSplits(found)
	if out.Regime, err = p.Regime(); err != nil {
		return nil, fmt.Errorf("regime: %w", err)
	}
	out.Warnings = append(p.Warnings(), out.cautions(p.spec.ObjectiveType)...)
	for _, why := range []string{p.firstFailure(all.cols), p.unpaid(out, all.cols)} {
		if why != "" {
			out.Warnings = append(out.Warnings, why)
		}
	}
	return out, nil
}

// judge fills in the leaderboard and the evidence on its first.
func (p *Plan) judge(out *Outcome, all *gathered, most int) (err error) {
	if err := p.lead(out, all, most); err != nil {
		return err
	}
	var beside routine.Group
	beside.Run(func() (err error) {
		if out.leaderBodies, err = encodeLeaders(out.Leaderboard); err != nil {
			return err
		}
		sum := sumOf(out.leaderBodies)
		out.leadersSum = &sum
		return nil
	})
	p.evidence(out, all)
	if out.Evidence, err = p.weigh(out, all); err != nil {
		err = fmt.Errorf("evidence: %w", err)
	}
	return errors.Join(err, beside.Wait())
}

// unpaid says when cash did not pay for entries of the best trial, or of the first one where none passed.
func (p *Plan) unpaid(out *Outcome, cols *columns) string {
	if cols.len() == 0 {
		return ""
	}
	trial, name := 0, "the first trial"
	if len(out.Leaderboard) > 0 {
		trial, name = out.Leaderboard[0].TrialIndex, "the best trial"
	}
	point := make(backtest.Params, len(p.names))
	cols.point(trial, point)
	scratch := p.scratch()
	defer p.clear(scratch)
	var m fullMetrics
	p.simulate(scratch, point, &m, nil)
	if n := m.is.UnpaidOrders + m.outOf.UnpaidOrders; n > 0 && scratch.err() == nil {
		return fmt.Sprintf("%d entries of %s were not made, as cash did not pay for them: see account.size, account.cash and account.whole_units", n, name)
	}
	return ""
}

// firstFailure runs the first failed trial of a strategy that can say why again, and says it.
func (p *Plan) firstFailure(cols *columns) string {
	if _, ok := p.strategy.(backtest.Scripted); !ok {
		return ""
	}
	at := slices.Index(cols.verdicts, panicked)
	if at < 0 {
		return ""
	}
	point := make(backtest.Params, len(p.names))
	cols.point(at, point)
	why := "it ended without a reason"
	scratch := p.scratch()
	defer p.clear(scratch)
	var m fullMetrics
	p.simulate(scratch, point, &m, nil)
	if err := scratch.err(); err != nil {
		why = err.Error()
	}
	return fmt.Sprintf("the strategy fails on some parameters: trial %d: %s", at, why)
}

func (out *Outcome) count(p *Plan, cols *columns) {
	var by [256]int
	for _, v := range cols.verdicts {
		by[v]++
	}
	for v, n := range by {
		if n == 0 {
			continue
		}
		switch verdict(v).status() {
		case StatusCompleted:
			out.Counts.Completed += n
			continue
		case StatusFailed:
			out.Counts.Failed += n
		default:
			out.Counts.Skipped += n
		}
		out.Reasons[p.spec.reason(verdict(v))] += n
	}
}

// showsDatasets reports whether the entry at a rank shows each dataset.
func (p *Plan) showsDatasets(rank int) bool { return len(p.sets) > 1 && rank < leadersByDataset }

// lead fills the leaderboard with the best trials, running the leaders again when their metrics were not kept.
func (p *Plan) lead(out *Outcome, all *gathered, most int) error {
	scratch := p.scratch()
	defer p.clear(scratch)
	point := make(backtest.Params, len(p.names))
	best := all.ranking[:min(most, leaders, out.Counts.Completed)]
	full, err := all.leaderMetrics(best)
	if err != nil {
		return err
	}
	if err := p.runAgain(all, best, full); err != nil {
		return err
	}
	for rank, index := range best {
		at := int(index)
		all.cols.point(at, point)
		m, kept := full[at]
		row := all.cols.row(at)
		apart := p.showsDatasets(rank)
		if !kept || apart {
			p.simulate(scratch, point, &m, nil)
			if err := p.sameScore(at, scratch, row.scoreIS); err != nil {
				return err
			}
		}
		trial := p.spec.trial(at, named(p.names, point), &row)
		entry := Entry{
			Rank: rank + 1, TrialIndex: at, Params: trial.Params, Score: *trial.Score,
			ScoreIS: trial.ScoreIS, ScoreOOS: trial.ScoreOOS, OverfitGap: trial.OverfitGap, MetricsIS: m.is,
		}
		if p.hasSplit() {
			entry.MetricsOOS = &m.outOf
		}
		if apart {
			entry.Datasets = p.byDataset(scratch)
		}
		out.Leaderboard = append(out.Leaderboard, entry)
	}
	if len(out.Leaderboard) > 0 {
		best := &out.Leaderboard[0]
		out.BestTrial, out.BestParams, out.BestScore = &best.TrialIndex, best.Params, &best.Score
	}
	return nil
}
