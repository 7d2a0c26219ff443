package sweep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"millrace/jobs/backtest"
)

// A tune runs in rounds. The trials of the first are known from the beginning, and most searches
// have no other. A search that learns (tpe) proposes the trials of a later round from the scores of
// those before; pruning runs those again that did best so far, on more bars. Either way a round
// depends on the results of the rounds before it as a whole, so that it is the same however they
// were sharded.

// Rounds is how many rounds the plan has; the permutations are one more.
func (p *Plan) Rounds() int {
	if p.spec.Permutations() > 0 {
		return p.searchRounds() + 1
	}
	return p.searchRounds()
}

// Work is the compute of all rounds, in units of a trial on all of its bars.
func (p *Plan) Work() float64 {
	return p.searchWork() * float64(1+p.spec.Permutations())
}

// searchWork is that of the search alone, once.
func (p *Plan) searchWork() float64 {
	if !p.prunes() {
		return float64(p.Trials())
	}
	var work float64
	for r := range p.rungs {
		work += float64(float64(p.rungs[r].trials) * p.cost(r))
	}
	return work
}

// opening is how many trials the first round has.
func (p *Plan) opening() int {
	if p.spec.TPE != nil {
		return min(*p.spec.TPE.Startup, p.Trials())
	}
	return p.Trials()
}

// Batch is the trials of a later round.
type Batch struct {
	plan    *Plan
	rung    int
	numbers []int32 // of the trials, ascending
	params  []backtest.Params

	permutations int // of the last round, instead of trials

	Pruned int // trials of the round before that ended with it
}

// Trials is the number of trials.
func (b *Batch) Trials() int { return len(b.numbers) }

// Cut cuts the batch into shards that follow those there are. size is that of Plan.Cut.
func (b *Batch) Cut(firstShard int, size func(left int) int) []Shard {
	if b.permutations > 0 {
		return b.cutPermutations(firstShard, size)
	}
	var shards []Shard
	for from := 0; from < len(b.numbers); {
		left := len(b.numbers) - from
		to := from + min(max(size(left), 1), left)
		sh := b.plan.shard(b.rung)
		sh.Index, sh.First, sh.Trials = firstShard+len(shards), int(b.numbers[from]), to-from
		for i := from; i < to; i++ {
			sh.List = appendPoint(sh.List, b.numbers[i], b.params[i])
		}
		shards = append(shards, sh)
		from = to
	}
	return shards
}

// shard is a shard of a rung, yet without trials.
func (p *Plan) shard(rung int) Shard {
	return Shard{Rung: rung, Open: p.prunes() && rung < len(p.rungs)-1, Cost: p.cost(rung)}
}

// A list names the trials of a shard one by one: number and parameters.

func appendPoint(list []byte, number int32, params backtest.Params) []byte {
	list = binary.LittleEndian.AppendUint32(list, uint32(number))
	for _, v := range params {
		list = binary.LittleEndian.AppendUint64(list, math.Float64bits(v))
	}
	return list
}

// listed reads a shard's list: trial numbers, and the parameters unless into is nil.
func listed(sh Shard, params int, each func(i, number int, params backtest.Params) bool) error {
	size := 4 + 8*params
	if len(sh.List) != size*sh.Trials {
		return fmt.Errorf("the list of shard %d is cut short", sh.Index)
	}
	point := make(backtest.Params, params)
	for i := range sh.Trials {
		raw := sh.List[i*size:]
		for k := range point {
			point[k] = math.Float64frombits(binary.LittleEndian.Uint64(raw[4+8*k:]))
		}
		if !each(i, int(binary.LittleEndian.Uint32(raw)), point) {
			return nil
		}
	}
	return nil
}

// Next plans the trials of a round, from 1 on, given all shards of the rounds before it; load returns
// a shard's columns. A round can come out without trials.
func (p *Plan) Next(round int, shards []Shard, load func(shard int) ([]byte, error)) (*Batch, error) {
	switch {
	case round < 1 || round >= p.Rounds():
		return nil, fmt.Errorf("there is no round %d of %d", round, p.Rounds())
	case round == p.searchRounds():
		return p.permute(shards, load)
	case p.prunes():
		return p.promote(round, shards, load)
	}
	var tried []backtest.Params
	var scores []float64
	for _, sh := range shards {
		if sh.First != len(tried) {
			return nil, fmt.Errorf("shard %d begins at trial %d, not at %d", sh.Index, sh.First, len(tried))
		}
		cols, err := p.loadColumns(sh, load)
		if err != nil {
			return nil, err
		}
		for i := range cols.len() {
			point := make(backtest.Params, len(p.names))
			cols.point(i, point)
			tried = append(tried, point)
			scores = append(scores, p.steering(cols, i))
		}
	}
	t := p.spec.TPE
	first := p.opening() + (round-1)**t.Batch
	if len(tried) != first {
		return nil, fmt.Errorf("round %d follows %d trials, not %d", round, first, len(tried))
	}
	made := newProposer(p.seq, *p.spec.Seed, *t.Candidates).propose(tried, scores, first, min(*t.Batch, p.Trials()-first))
	batch := &Batch{plan: p, params: made}
	for i := range made {
		batch.numbers = append(batch.numbers, int32(first+i))
	}
	return batch, nil
}

func (p *Plan) loadColumns(sh Shard, load func(shard int) ([]byte, error)) (*columns, error) {
	raw, err := load(sh.Index)
	if err != nil {
		return nil, err
	}
	cols, err := decodeColumns(raw, len(p.names), sh.Trials)
	if err != nil {
		return nil, fmt.Errorf("columns of shard %d: %w", sh.Index, err)
	}
	return cols, nil
}

// steering is the score that later rounds are planned by: that of the part that selects, whatever
// the gates say, which may look at the other part. NaN where there is none.
func (p *Plan) steering(cols *columns, row int) float64 {
	if score := p.spec.selection(cols.scores[0][row], cols.scores[1][row]); isFinite(score) {
		return score
	}
	return math.NaN()
}

var errLost = errors.New("a trial of the list was not run in the first round")
