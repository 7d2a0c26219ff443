package sweep

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
)

// Kept is what shards of a plan found, in the process that ran them: what is ranked there later need not be read back and decoded, the
// leaders need not run again, and what the evidence asks of single trials is there. It saves time and decides nothing: the outcome
// has the bytes that it has without. It is safe for concurrent use.
type Kept struct {
	plan   *Plan
	likely sampler // trials whose returns the evidence most likely looks at
	held   []float64
	known  *evidence.Known // likely trials
	states atomic.Pointer[states]
	once   sync.Once     // for states
	least  atomic.Uint64 // bits of the score below which no trial is a leader, -Inf before there are any

	mu           sync.Mutex
	leadersKnown int
	shards       map[int]*ShardResult
	leaders      []keptLeader
}

type keptLeader struct {
	score float64
	fullMetrics
}

// Keep makes room for what the plan's shards find. Nil, which keeps nothing, of a plan whose rounds follow from one another.
func (p *Plan) Keep() *Kept {
	if p.prunes() || p.searchRounds() > 1 || !p.weighs() || p.bestOnly {
		return nil
	}
	k := &Kept{
		plan: p, likely: sampler{math.MaxUint64}, held: p.held(false),
		shards: map[int]*ShardResult{}, known: evidence.NewKnown(p.held(false)),
	}
	if n, wanted := uint64(p.Trials()), uint64(p.panelSize()); n > wanted {
		k.likely = sampler{math.MaxUint64 / n * wanted}
	}
	k.least.Store(math.Float64bits(math.Inf(-1)))
	return k
}

// RunShard is Plan.RunShard, of a shard that is to be added.
func (k *Kept) RunShard(ctx context.Context, sh Shard, progress func(done int)) (*ShardResult, error) {
	if sh.Permutes() {
		return k.plan.RunShard(ctx, sh, progress)
	}
	return k.plan.runShard(ctx, sh, progress, k.leastScore)
}

func (k *Kept) leastScore() float64 { return math.Float64frombits(k.least.Load()) }

// Add keeps the result of a shard once it has been encoded, in the place of what was kept of it before, and returns about how many
// more bytes of memory that takes, with Prepare.
func (k *Kept) Add(r *ShardResult) int {
	if r.shard.Permutes() {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lead(r)
	taken := k.sizeOf(r)
	if len(k.shards) == 0 {
		taken += leadersKept * evidence.KnownBytes * len(k.held)
	}
	if before := k.shards[r.shard.Index]; before != nil {
		taken -= k.sizeOf(before)
	}
	k.shards[r.shard.Index] = r
	return taken
}

// leadersKept is how many leaders' returns are kept at most.
const leadersKept = 2 * leadersPanel

// sizeOf is about how many bytes a result takes.
func (k *Kept) sizeOf(r *ShardResult) int {
	taken := r.columns.len()*(rowBytes+8*len(r.columns.params)+8) + len(r.sample.blocks)*blockRowBytes
	for i := range r.sample.panel {
		if taken += 4 * len(k.held); k.likely.takes(r.sample.panel[i].trial) {
			taken += evidence.KnownBytes * len(k.held)
		}
	}
	return taken
}

// Prepare finds what the evidence will ask of the shard's trials, while other shards run.
func (k *Kept) Prepare(r *ShardResult) {
	k.findStates()
	defer k.knowLeaders()
	for i := range r.sample.panel {
		row := &r.sample.panel[i]
		if !k.likely.takes(row.trial) || len(row.returns) != len(k.held) {
			continue
		}
		k.known.Add(row.trial, row.values())
	}
}

// knowLeaders finds what the evidence will ask of the leaders, once most trials have run: those that lead then most often lead in the end.
func (k *Kept) knowLeaders() {
	scratch := k.plan.scratch()
	defer k.plan.clear(scratch)
	for _, leader := range k.lateLeaders() {
		returns, err := k.plan.returnsOf(scratch.runners, leader.point, false)
		if err != nil {
			return // which the verdict finds too, and says
		}
		if len(returns) == len(k.held) {
			k.known.Add(leaderAs(leader.trial), returns)
		}
	}
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
	ran := 0
	for _, r := range k.shards {
		ran += r.columns.len()
	}
	if ran < k.plan.Trials()/10*9 {
		return nil
	}
	order := k.ordered()
	for _, place := range order[:min(leadersPanel, len(order))] {
		leader := &k.leaders[place]
		if k.leadersKnown == leadersKept || k.likely.takes(leader.trial) || k.known.Has(leaderAs(leader.trial)) {
			continue
		}
		for _, r := range k.shards {
			if at := leader.trial - r.shard.First; at >= 0 && at < r.columns.len() {
				point := make(backtest.Params, len(k.plan.names))
				r.columns.point(at, point)
				late = append(late, trialAt{leader.trial, point})
				k.leadersKnown++
			}
		}
	}
	return late
}

// findStates finds the states of the market once.
func (k *Kept) findStates() {
	k.once.Do(func() {
		if len(k.held) >= 5*regimeSpan {
			k.states.Store(statesOf(k.held))
		}
	})
}

// statesFound are nil until they have been found.
func (k *Kept) statesFound() *states {
	if k == nil {
		return nil
	}
	return k.states.Load()
}

// lead takes the metrics of trials that may be leaders. A shard that ran before has them there.
func (k *Kept) lead(r *ShardResult) {
	scores := r.columns.selecting(k.plan.spec)
	k.leaders = slices.DeleteFunc(k.leaders, func(l keptLeader) bool {
		return l.trial >= r.shard.First && l.trial < r.shard.First+r.shard.Trials
	})
	for i := range r.full {
		k.leaders = append(k.leaders, keptLeader{scores[r.full[i].row], r.full[i]})
	}
	if r.full = nil; len(k.leaders) <= leaders {
		return
	}
	best := make([]keptLeader, leaders) // of equals any may be left out: leaders that are not there run again
	for i, place := range k.ordered()[:leaders] {
		best[i] = k.leaders[place]
	}
	k.leaders = best
	k.least.Store(math.Float64bits(best[leaders-1].score))
}

// ordered are the places of the leaders by score. Metrics are large, so that places are sorted and not they.
func (k *Kept) ordered() []int32 {
	order := make([]int32, len(k.leaders))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(k.leaders[b].score, k.leaders[a].score), cmp.Compare(a, b))
	})
	return order
}

// of is what is kept of a shard, or nil. A shard of the same number that was cut in another way is another one.
func (k *Kept) of(sh Shard) *ShardResult {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.shards[sh.Index]
	if r == nil || r.shard.First != sh.First || r.shard.Trials != sh.Trials || r.shard.Rung != sh.Rung || !bytes.Equal(r.shard.List, sh.List) {
		return nil
	}
	return r
}

// metrics are the full metrics of leaders so far.
func (k *Kept) metrics() []fullMetrics {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	full := make([]fullMetrics, len(k.leaders))
	for i := range k.leaders {
		full[i] = k.leaders[i].fullMetrics
	}
	return full
}

// whatIsKnown is what is known of trials before the others of their panel are; nil when nothing is.
func (k *Kept) whatIsKnown() *evidence.Known {
	if k == nil {
		return nil
	}
	return k.known
}

// leaderAs is what a leader that is not in the sample is known as: by the returns of a run of its own. A shard may know the same trial
// by returns that are abridged, where the sample was cut further than expected.
func leaderAs(trial int) int { return -1 - trial }
