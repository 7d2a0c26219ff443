package sweep

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"millrace/jobs/sweep/evidence"
)

// Kept is what shards of a plan found, in the process that ran them: what is ranked there later need not be read back and decoded, the
// leaders need not run again, and what the evidence asks of single trials is there. It saves time and decides nothing: the outcome
// has the bytes that it has without. It is safe for concurrent use.
type Kept struct {
	plan   *Plan
	likely sampler // trials whose returns the evidence most likely looks at
	held   []float64
	known  *evidence.Known // likely trials, and late leaders
	states atomic.Pointer[states]
	once   sync.Once     // for states
	least  atomic.Uint64 // bits of the score below which no trial is a leader, -Inf before there are any

	costing sync.Mutex // held while leaders run at other costs

	mu           sync.Mutex
	leadersKnown map[int]bool // late leaders whose returns are known or are being made
	leadersMost  int          // of them
	costs        map[int]costRuns
	likelyKnown  map[int]bool // likely trials that are known or will be
	likelyMost   int          // of them
	cols         columns      // of all trials; those of shards that are not kept mean nothing
	ratios       []float64    // the same
	shards       map[int]keptShard
	leaders      []keptLeader
	ranked       bool // and nothing is kept any more
}

// keptShard is a shard and what its result has beside the rows.
type keptShard struct {
	Shard
	sample keptSample
}

type keptLeader struct {
	score float64
	fullMetrics
}

// Keep makes room for what the plan's shards find. What it knows of trials beside their rows and samples takes no more memory than
// so many bytes; of the rest the evidence finds it. Nil, which keeps nothing, of a plan whose rounds follow from one another.
func (p *Plan) Keep(known int) *Kept {
	if p.prunes() || p.searchRounds() > 1 || !p.weighs() || p.bestOnly {
		return nil
	}
	k := &Kept{
		plan: p, likely: sampler{math.MaxUint64}, held: p.held(false),
		shards: map[int]keptShard{}, leadersKnown: map[int]bool{}, costs: map[int]costRuns{}, likelyKnown: map[int]bool{}, known: evidence.NewKnown(p.held(false)),
	}
	most := known / max(1, k.knownBytes())
	k.leadersMost = min(leadersKept, most)
	k.likelyMost = most - k.leadersMost
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
// more bytes of memory that takes, with Prepare. The first one takes the rows of all trials: so they are in memory once, also while
// they are ranked.
func (k *Kept) Add(r *ShardResult) (taken int) {
	if r.shard.Permutes() {
		return 0
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ranked {
		return 0
	}
	if k.ratios == nil {
		n, params := k.plan.Trials(), len(k.plan.names)
		k.cols, k.ratios = newColumns(params, n), make([]float64, n)
		k.cols.extend(n)
		taken = k.plan.RowBytes() + k.leadersMost*k.knownBytes()
	}
	k.lead(r)
	k.cols.put(r.shard.First, &r.columns)
	copy(k.ratios[r.shard.First:], r.ratios)
	taken += k.sizeOf(r.sample) - k.sizeOf(k.shards[r.shard.Index].sample) + k.claim(r.sample)*k.knownBytes()
	k.shards[r.shard.Index] = keptShard{r.shard, r.sample}
	return taken
}

// claim has a sample's likely trials known as far as there is room, and returns how many of them were not.
func (k *Kept) claim(sample keptSample) (more int) {
	for i := range sample.panel {
		trial := sample.panel[i].trial
		if !k.likely.takes(trial) || k.likelyKnown[trial] || len(k.likelyKnown) == k.likelyMost {
			continue
		}
		k.likelyKnown[trial] = true
		more++
	}
	return more
}

// knows reports whether a trial is known as a likely one, or will be.
func (k *Kept) knows(trial int) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.likelyKnown[trial]
}

// knownBytes is about how much memory it takes to know a trial.
func (k *Kept) knownBytes() int { return evidence.KnownBytes * len(k.held) }

// RowBytes is about how much memory the rows of all trials take.
func (p *Plan) RowBytes() int { return p.Trials() * (rowBytes + 8*len(p.names) + 8) }

// leadersKept is how many leaders' returns are kept at most.
const leadersKept = 2 * leadersPanel

// sizeOf is about how many bytes a sample takes.
func (k *Kept) sizeOf(sample keptSample) int {
	return len(sample.blocks)*blockRowBytes + len(sample.panel)*4*len(k.held)
}

// Prepare finds what the evidence will ask of the shard's trials, while other shards run.
func (k *Kept) Prepare(ctx context.Context, r *ShardResult) {
	k.findStates()
	defer k.knowLeaders(ctx)
	for i := range r.sample.panel {
		row := &r.sample.panel[i]
		if len(row.returns) != len(k.held) || !k.knows(row.trial) {
			continue
		}
		k.known.Add(row.trial, row.values())
	}
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

// take gives away the rows of all trials, none of them read yet, and what is kept of these shards. A shard of the same number that was
// cut in another way is another one. Nil where none are kept. The rows are ranked where they are, so that nothing is kept from then on.
func (k *Kept) take(shards []Shard) (rows *gathered, own map[int]keptShard) {
	if k == nil {
		return nil, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	own = map[int]keptShard{}
	for _, sh := range shards {
		if r, ok := k.shards[sh.Index]; ok && r.First == sh.First && r.Trials == sh.Trials && r.Rung == sh.Rung && bytes.Equal(r.List, sh.List) {
			own[sh.Index] = r
		}
	}
	if len(own) > 0 {
		cols := k.cols
		cols.extend(0)
		rows = &gathered{cols: &cols, ratios: k.ratios[:0]}
	}
	k.ranked, k.cols, k.ratios, k.shards = true, columns{}, nil, nil
	return rows, own
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
