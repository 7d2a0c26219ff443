package sweep

import (
	"cmp"
	"context"
	"errors"

	"millrace/jobs/backtest"
	"millrace/ops/routine"
)

// knowLeaders finds what the evidence will ask of the leaders, once most trials have run: those that lead then most often lead in the end.
func (k *Kept) knowLeaders(ctx context.Context) {
	scratch := k.plan.scratch()
	defer k.plan.clear(scratch)
	for _, leader := range k.lateLeaders() {
		if ctx.Err() != nil {
			return
		}
		returns, err := k.plan.returnsOf(scratch.runners, leader.point, false)
		if err != nil {
			return // which the verdict finds too, and says
		}
		if len(returns) == len(k.held) {
			k.known.Add(leaderAs(leader.trial), returns)
		}
	}
	if !k.costing.TryLock() { // another shard's does
		return
	}
	defer k.costing.Unlock()
	for place, leader := range k.costLeaders() {
		if !k.costLeader(ctx, leader, place == 0, scratch.runners) {
			return
		}
	}
}

// costRuns are what a leader does at other costs.
type costRuns struct {
	steps     []CostStep // nil: it did not run
	breakEven *float64   // nil: it was not looked for
}

// costRunsMost bounds the leaders that run at other costs before the last shard has: twice as many as the evidence looks at.
const costRunsMost = 2 * leadersCosts

// costLeaders are the first leaders so far, best first, none before most trials have run.
func (k *Kept) costLeaders() (first []trialAt) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.late() || k.held == nil {
		return nil
	}
	order := k.ordered()
	for _, place := range order[:min(leadersCosts, len(order))] {
		first = append(first, k.at(k.leaders[place].trial))
	}
	return first
}

// costLeader runs a leader at other costs, and the best one at those that it can bear, where that is not known and there is room for it.
// It reports whether others may run. A run that fails does so again in the verdict, which says so.
func (k *Kept) costLeader(ctx context.Context, leader trialAt, best bool, traders []backtest.Trader) bool {
	k.mu.Lock()
	known, more := k.costs[leader.trial], !k.ranked
	room := known.steps != nil || len(k.costs) < costRunsMost
	k.mu.Unlock()
	if !more || !room || ctx.Err() != nil || known.steps != nil && (!best || known.breakEven != nil) {
		return more && ctx.Err() == nil
	}
	err := routine.Do(func() (err error) {
		params, faults := backtest.CheckParams(k.plan.strategy, named(k.plan.names, leader.point))
		if len(faults) > 0 {
			return nil
		}
		w := &weighing{plan: k.plan, held: k.held, traders: traders, best: leader.point}
		w.ended = func() error { return cmp.Or(ctx.Err(), k.taken()) }
		if known.steps == nil {
			if known.steps, err = w.atCosts(params); err != nil {
				return err
			}
		}
		if best {
			even, err := w.breakEven()
			if err != nil {
				return err
			}
			known.breakEven = &even
		}
		return nil
	})
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && known.steps != nil {
		k.costs[leader.trial] = known
	}
	return err == nil && !k.ranked
}

// errRanked is why nothing more is found: the verdict is being made.
var errRanked = errors.New("the trials are ranked")

// taken is an error once the trials are ranked.
func (k *Kept) taken() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ranked {
		return errRanked
	}
	return nil
}

// costsOf is what is known of a leader at other costs.
func (k *Kept) costsOf(trial int) costRuns {
	if k == nil {
		return costRuns{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.costs[trial]
}

// trialAt is a trial and its parameters.
type trialAt struct {
	trial int
	point backtest.Params
}

// lateLeaders are the first leaders so far whose returns are not known, none before most trials have run, and not more than there is room for.
func (k *Kept) lateLeaders() (late []trialAt) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.late() {
		return nil
	}
	order := k.ordered()
	for _, place := range order[:min(leadersPanel, len(order))] {
		trial := k.leaders[place].trial
		if len(k.leadersKnown) == k.leadersMost || k.leadersKnown[trial] || k.likelyKnown[trial] {
			continue
		}
		late = append(late, k.at(trial))
		k.leadersKnown[trial] = true
	}
	return late
}

// late reports whether most trials have run, and none are ranked.
func (k *Kept) late() bool {
	ran := 0
	for _, sh := range k.shards {
		ran += sh.Trials
	}
	return !k.ranked && ran >= k.plan.Trials()/10*9
}

// at is a trial that has run.
func (k *Kept) at(trial int) trialAt {
	point := make(backtest.Params, len(k.plan.names))
	k.cols.point(trial, point)
	return trialAt{trial, point}
}

// leaderAs is what a leader that is not in the sample is known as: by the returns of a run of its own. A shard may know the same trial
// by returns that are abridged, where the sample was cut further than expected.
func leaderAs(trial int) int { return -1 - trial }
