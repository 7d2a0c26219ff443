package sweep

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"millrace/jobs/backtest"
)

// leaders is how many trials the leaderboard has.
const leaders = 1000

// keptMetrics is how many trials' full metrics a shard keeps before it drops those that are off the leaderboard.
const keptMetrics = 2 * leaders

// rerunFrom is the number of trials from which the leaders are run again at the end rather than
// kept along the way: from here on that costs less than one percent.
const rerunFrom = 100 * leaders

// barsBetweenChecks is how many bars are simulated between looks at the context: some 5 ms, or 30 ms of the slowest strategy.
const barsBetweenChecks = 1 << 19

// ShardResult is what a shard's trials found.
type ShardResult struct {
	Completed, Skipped, Failed int

	shard   Shard
	numbers []int32 // of the trials
	columns columns
	spare   bool          // full is for this process and not stored
	again   bool          // neither are the returns of the sample
	ratios  []float64     // per-period Sharpe ratio of each trial on the part that selects
	full    []fullMetrics // of the best completed trials, unless the leaders are run again
	sample  keptSample    // of the trials that the evidence looks at

	permuted []float64 // best scores, of a shard that runs permutations

	packers *sync.Pool // of the plan; nil: of a result that is not encoded, or alone

	best      int // position of the best completed trial, or -1
	bestScore float64
}

// fullMetrics are both parts of one trial.
type fullMetrics struct {
	trial     int
	row       int // in its shard
	is, outOf backtest.Metrics
}

// RunShard runs the shard's trials on the calling goroutine. progress receives how many are done. It
// ends early, with the context's error, when ctx does.
func (p *Plan) RunShard(ctx context.Context, sh Shard, progress func(done int)) (*ShardResult, error) {
	if sh.Permutes() {
		return p.runPermutations(ctx, sh, progress)
	}
	return p.runShard(ctx, sh, progress, nil)
}

// runShard is RunShard of trials. With least the result has the full metrics of its best trials whose score is not below that, also
// where the leaders are run again otherwise.
func (p *Plan) runShard(ctx context.Context, sh Shard, progress func(done int), least func() float64) (*ShardResult, error) {
	run := shardRun{
		plan: p, scratch: p.scratch(), sampler: p.blockSampler(), least: least, floor: math.Inf(-1),
		result: &ShardResult{
			shard: sh, best: -1, columns: newColumns(len(p.names), sh.Trials), ratios: make([]float64, 0, sh.Trials),
			sample: keptSample{keeps: p.panelSampler()}, spare: !p.keepsMetrics(), again: p.makesPanelAgain(), packers: &p.packers,
		},
	}
	if p.keepsMetrics() {
		run.result.full = make([]fullMetrics, 0, min(sh.Trials, keptMetrics))
	}
	defer func() { p.clear(run.scratch) }()
	run.stop = func() bool { return ctx.Err() != nil }
	for _, runner := range run.scratch.runners {
		runner.OnStop(run.stop)
	}
	if run.lanes = run.newLanes(); run.lanes != nil {
		defer run.lanes.clear(p)
	}
	perTrial, bars := p.TrialBars(), barsBetweenChecks
	for trial, params := range p.Params(sh) { // those of lanes look at the context themselves
		if bars += perTrial; bars >= barsBetweenChecks {
			bars = 0
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		if run.lanes != nil {
			if run.lanes.take(trial, params) {
				run.together(progress)
			}
			continue
		}
		run.trial(trial, params)
		if !run.ran && ctx.Err() != nil {
			return nil, ctx.Err() // the trial was stopped, not at fault
		}
		progress(run.result.columns.len())
	}
	if run.lanes != nil {
		run.together(progress)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	if n := run.result.columns.len(); n != sh.Trials {
		return nil, fmt.Errorf("shard %d ended after %d of %d trials", sh.Index, n, sh.Trials)
	}
	run.result.keepLeaders(p)
	return run.result, nil
}

// keepLeaders drops the full metrics of trials that this shard alone keeps off the leaderboard.
func (r *ShardResult) keepLeaders(p *Plan) {
	if len(r.full) <= leaders {
		return
	}
	slices.SortFunc(r.full, func(a, b fullMetrics) int {
		return r.columns.compare(p.spec, a.row, b.row)
	})
	r.full = r.full[:leaders]
}

// shardRun is the scratch memory of one RunShard.
type shardRun struct {
	plan    *Plan
	scratch *scratch
	lanes   *lanes // nil: trials run one by one
	sampler sampler
	result  *ShardResult
	least   func() float64 // see runShard
	floor   float64        // the score below which the shard itself has enough better trials
	m       fullMetrics
	row     trialRow
	stop    func() bool
	ran     bool    // the trial just run came through
	ratio   float64 // per-period Sharpe ratio on the part that selects; NaN when not measured
}

// trial runs one trial and adds it to the result. A strategy that panics fails its trial, not the
// shard, as it would fail any other worker too.
func (r *shardRun) trial(trial int, params backtest.Params) {
	result := r.result
	sampled := result.sample
	r.m.trial = trial
	r.ran = r.run(params)
	if !r.ran {
		result.sample = sampled
		for i, s := range r.plan.sets {
			r.scratch.runners[i] = s.newRunner() // its state after a panic is unknown
			r.scratch.runners[i].OnStop(r.stop)
		}
		r.row, r.ratio = trialRow{verdict: panicked, scoreIS: math.NaN(), scoreOOS: math.NaN()}, math.NaN()
	}
	r.record(params)
}

// record adds the trial just run to the result.
func (r *shardRun) record(params backtest.Params) {
	result := r.result
	r.m.row = result.columns.len()
	result.numbers = append(result.numbers, int32(r.m.trial))
	result.columns.append(params, &r.row)
	if result.shard.Rung == 0 {
		result.ratios = append(result.ratios, r.ratio)
	}
	switch {
	case !r.ran:
		result.Failed++
	case r.row.verdict == screened:
	case r.row.verdict != passed:
		result.Skipped++
	default:
		r.completed()
	}
}

// completed keeps what the leaderboard needs of the trial just run.
func (r *shardRun) completed() {
	p, result := r.plan, r.result
	result.Completed++
	score := p.spec.selection(r.row.scoreIS, r.row.scoreOOS)
	if r.mayLead(score) {
		if len(result.full) == keptMetrics {
			result.keepLeaders(p)
			r.floor = result.columns.selecting(p.spec)[result.full[leaders-1].row]
		}
		result.full = append(result.full, r.m)
	}
	if result.best < 0 || score > result.bestScore {
		result.best, result.bestScore = r.m.row, score
	}
}

// mayLead reports whether the full metrics of a trial that completed with the score are kept.
func (r *shardRun) mayLead(score float64) bool {
	if r.result.spare && (r.least == nil || score < r.least()) {
		return false
	}
	return !(score < r.floor)
}

// keepsMetrics reports whether shards keep the full metrics of trials that may be on the leaderboard.
func (p *Plan) keepsMetrics() bool { return p.Trials() < rerunFrom && !p.bestOnly }

// run runs the trial as its rung says. It reports whether the strategy came through.
func (r *shardRun) run(params backtest.Params) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	p, sampled := r.plan, r.sampler.takes(r.m.trial) && r.result.shard.Rung == 0
	if r.result.shard.Open {
		r.screen(params, sampled)
		return r.scratch.err() == nil
	}
	var into *keptSample
	if sampled {
		into = &r.result.sample
	}
	p.simulate(r.scratch, params, &r.m, into)
	p.fill(&r.row, &r.m, r.scratch)
	r.ratio = p.spec.selection(r.m.is.SR, r.m.outOf.SR)
	return r.scratch.err() == nil
}

// screen backtests the bars of a rung that is not the last. The trials of the sample run on the whole
// part that selects beside, as the evidence is about all bars and about trials that were not chosen.
func (r *shardRun) screen(params backtest.Params, sampled bool) {
	p, b := r.plan, r.scratch
	row, returns := blockRow{trial: r.m.trial}, panelRow{trial: r.m.trial}
	for i, s := range p.sets {
		runner := b.runners[i]
		runner.Prepare(params)
		runner.KeepReturns(false)
		runner.Simulate(p.rungWindow(s, r.result.shard.Rung), &b.is[i])
		if sampled {
			runner.KeepReturns(true)
			runner.Simulate(s.selecting(&p.spec), &b.oos[i])
			row.add(runner.Returns())
			returns.add(runner.Returns(), len(p.sets))
		}
	}
	score := p.score(b.is, b)
	r.row, r.ratio = trialRow{verdict: screened, scoreIS: score, scoreOOS: score}, math.NaN()
	if sampled {
		r.result.sample.add(row, returns)
		whole := p.spec.aggregateMetrics(b.oos, b.figures)
		r.ratio = whole.SR
	}
}

// score is the objective of a trial on the metrics of each dataset.
func (p *Plan) score(parts []backtest.Metrics, b *scratch) float64 {
	scores := b.figures[:0]
	for i := range parts {
		scores = append(scores, p.spec.score(&parts[i]))
	}
	b.figures = scores
	return p.spec.aggregate(scores, false)
}

// simulate backtests one parameter set on both parts of every dataset. What the evidence needs of the
// part that selects is added to into, unless that is nil.
func (p *Plan) simulate(scratch *scratch, params backtest.Params, m *fullMetrics, into *keptSample) {
	var sample trialSample
	if into != nil {
		sample = into.ofTrial(m.trial)
	}
	for i, s := range p.sets {
		runner := scratch.runners[i]
		runner.Prepare(params)
		p.eachPart(s, func(w backtest.Window, outOfSample, selects bool) {
			runner.KeepReturns(sample.wanted && selects)
			runner.Simulate(w, scratch.part(i, outOfSample))
			sample.add(p, runner, selects)
		})
	}
	if into != nil {
		into.add(sample.blocks, sample.returns)
	}
	p.aggregateParts(scratch, m)
}

// eachPart runs the part in sample and, with a split, the one out of sample.
func (p *Plan) eachPart(s *series, run func(w backtest.Window, outOfSample, selects bool)) {
	run(s.is, false, !p.spec.selectsOOS())
	if p.hasSplit() {
		run(s.oos, true, p.spec.selectsOOS())
	}
}

func (p *Plan) aggregateParts(b *scratch, m *fullMetrics) {
	m.is, m.outOf = p.spec.aggregateMetrics(b.is, b.figures), p.spec.aggregateMetrics(b.oos, b.figures)
}

// trialSample is what the evidence needs of one trial.
type trialSample struct {
	wanted, keeps bool // the returns too
	blocks        blockRow
	returns       panelRow
}

// ofTrial is what is to be added of a trial.
func (s *keptSample) ofTrial(trial int) trialSample {
	return trialSample{wanted: true, keeps: s.keeps.takes(trial), blocks: blockRow{trial: trial}, returns: panelRow{trial: trial}}
}

// add adds the returns of the part just run.
func (t *trialSample) add(p *Plan, runner backtest.Trader, selects bool) {
	if t.wanted && selects {
		t.blocks.add(runner.Returns())
		if t.keeps {
			t.returns.add(runner.Returns(), len(p.sets))
		}
	}
}

// scratch is what running trials needs beside the plan: a runner for each dataset, and what each found.
type scratch struct {
	runners []backtest.Trader
	is, oos []backtest.Metrics
	figures []float64 // scratch
}

// part is where the metrics of a part of the i-th dataset go.
func (b *scratch) part(i int, outOfSample bool) *backtest.Metrics {
	if outOfSample {
		return &b.oos[i]
	}
	return &b.is[i]
}

func (p *Plan) scratch() *scratch {
	b := &scratch{}
	for _, s := range p.sets {
		b.runners = append(b.runners, s.runner())
	}
	b.is, b.oos = make([]backtest.Metrics, len(b.runners)), make([]backtest.Metrics, len(b.runners))
	return b
}

// err is why a runner's last run cannot be used.
func (b *scratch) err() error {
	for _, runner := range b.runners {
		if err := runner.Err(); err != nil {
			return err
		}
	}
	return nil
}

// clear gives the runners back.
func (p *Plan) clear(b *scratch) {
	for i, s := range p.sets {
		b.runners[i].OnStop(nil)
		s.runners.Put(b.runners[i])
	}
}

func (p *Plan) hasSplit() bool { return p.oos.Len() > 0 }

// fill sets what is kept of a trial for good.
func (p *Plan) fill(row *trialRow, m *fullMetrics, b *scratch) {
	*row = trialRow{
		scoreIS: p.score(b.is, b), scoreOOS: math.NaN(),
		returnIS: m.is.ReturnPct, drawdownIS: m.is.MaxDrawdownPct, tradesIS: m.is.Trades,
	}
	selects, judged := b.is, &m.is
	if p.spec.gatesOOS() {
		judged = &m.outOf
	}
	if p.hasSplit() {
		row.scoreOOS = p.score(b.oos, b)
		row.returnOOS, row.drawdownOOS, row.tradesOOS = m.outOf.ReturnPct, m.outOf.MaxDrawdownPct, m.outOf.Trades
	}
	if p.spec.selectsOOS() {
		selects = b.oos
	}
	row.verdict = p.spec.judge(p.spec.selection(row.scoreIS, row.scoreOOS), selects, judged)
}

// Best is the best completed trial and its score; nils when none is.
func (r *ShardResult) Best() (trial *int, score *float64) {
	if r.best < 0 {
		return nil, nil
	}
	index, value := int(r.numbers[r.best]), r.bestScore
	return &index, &value
}
