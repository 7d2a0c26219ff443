package sweep

import (
	"context"
	"fmt"

	"millrace/jobs/backtest"
)

// leaders is how many trials keep their full metrics.
const leaders = 1000

// rerunFrom is the number of trials from which the leaders are run again at the end rather than
// kept along the way: from here on that costs less than five percent.
const rerunFrom = 20 * leaders

// barsBetweenChecks is how many bars are simulated between looks at the context: some 10 ms.
const barsBetweenChecks = 1 << 20

// ShardResult is what a shard's trials found.
type ShardResult struct {
	Completed, Skipped, Failed int

	shard   Shard
	columns columns
	full    []fullMetrics // of the completed trials, unless the leaders are run again
	blocks  []blockRow    // of the trials in the overfit sample
	best    int           // position of the best completed trial, or -1

	bestScore float64
}

// fullMetrics are both parts of one trial.
type fullMetrics struct {
	trial     int
	is, outOf backtest.Metrics
}

// RunShard runs the shard's trials on the calling goroutine. progress is told how many are done. It
// ends early, with the context's error, when ctx does.
func (p *Plan) RunShard(ctx context.Context, sh Shard, progress func(done int)) (*ShardResult, error) {
	runner := p.runner()
	defer p.runners.Put(runner)
	result := &ShardResult{shard: sh, best: -1, columns: newColumns(len(p.names), sh.Trials)}
	sampler := newSampler(p.Trials())
	keepFull := p.Trials() < rerunFrom
	bars := 0
	var m fullMetrics
	for trial, params := range p.Params(sh) {
		if bars += p.is.Len() + p.oos.Len(); bars >= barsBetweenChecks {
			bars = 0
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		m.trial = trial
		p.run(runner, params, &m, func(returns []float64) {
			if sampler.takes(trial) {
				result.blocks = append(result.blocks, newBlockRow(trial, returns))
			}
		})
		result.add(p, params, &m, keepFull)
		progress(trial + 1 - sh.First)
	}
	if n := result.columns.len(); n != sh.Trials {
		return nil, fmt.Errorf("shard %d ended after %d of %d trials", sh.Index, n, sh.Trials)
	}
	return result, nil
}

// runner takes a warmed-up runner, or makes one.
func (p *Plan) runner() *backtest.Runner {
	if r, ok := p.runners.Get().(*backtest.Runner); ok {
		return r
	}
	return backtest.NewRunner(p.bars, p.strategy, p.config)
}

func (p *Plan) hasSplit() bool { return p.oos.Len() > 0 }

// run backtests one parameter set on both parts. inSample sees the per-period returns of the first.
func (p *Plan) run(runner *backtest.Runner, params backtest.Params, m *fullMetrics, inSample func([]float64)) {
	runner.Prepare(params)
	runner.Simulate(p.is, &m.is)
	inSample(runner.Returns())
	m.outOf = backtest.Metrics{}
	if p.hasSplit() {
		runner.Simulate(p.oos, &m.outOf)
	}
}

func (r *ShardResult) add(p *Plan, params backtest.Params, m *fullMetrics, keepFull bool) {
	row := p.row(m)
	score := row.selection(p.spec)
	at := r.columns.append(params, row)
	if row.verdict != passed {
		r.Skipped++
		return
	}
	r.Completed++
	if keepFull {
		r.full = append(r.full, *m)
	}
	if r.best < 0 || score > r.bestScore {
		r.best, r.bestScore = at, score
	}
}

// row is what is kept of a trial for good.
func (p *Plan) row(m *fullMetrics) trialRow {
	row := trialRow{
		scoreIS: p.spec.score(&m.is), sr: m.is.SR,
		returnIS: m.is.ReturnPct, drawdownIS: m.is.MaxDrawdownPct, tradesIS: m.is.Trades,
	}
	judged := &m.is
	if p.hasSplit() {
		judged = &m.outOf
		row.scoreOOS = p.spec.score(&m.outOf)
		row.returnOOS, row.drawdownOOS, row.tradesOOS = m.outOf.ReturnPct, m.outOf.MaxDrawdownPct, m.outOf.Trades
	}
	row.verdict = p.spec.judge(row.selection(p.spec), judged)
	return row
}

// Best is the best completed trial and its score; nils when none is.
func (r *ShardResult) Best() (trial *int, score *float64) {
	if r.best < 0 {
		return nil, nil
	}
	index, value := r.shard.First+r.best, r.bestScore
	return &index, &value
}
