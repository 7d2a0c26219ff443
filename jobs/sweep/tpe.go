package sweep

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"

	"millrace/jobs/backtest"
	"millrace/jobs/portable"
)

// Tree-structured Parzen estimator: Bergstra, Bardenet, Bengio & Kégl, "Algorithms for Hyper-Parameter
// Optimization", NIPS 2011, with one density over all parameters together (Falkner, Klein & Hutter,
// "BOHB", ICML 2018). The best tenth of the trials makes one density, the others another; a new trial
// is drawn from the first, and of several draws the one is taken at which the first is highest
// against the second. Trials are proposed a batch at a time: those proposed before within the batch
// count as bad ones, so that it spreads.

const (
	tpeGoodShare = 0.1
	tpeGoodMost  = 25
	// tpeBadMost bounds the second density; of more trials every so many is taken, by score.
	tpeBadMost = 400
	// tpeDrawsEach bounds what constraints may refuse.
	tpeDrawsEach = 16
)

// TPE says how a tpe search goes in rounds.
type TPE struct {
	Startup    *int `json:"startup"`    // random trials of the first round; default a tenth of all, at least 10
	Batch      *int `json:"batch"`      // trials of each later round; default what makes 24 of them
	Candidates *int `json:"candidates"` // points drawn for each trial; default 24
}

const (
	maxTPETrials      = 50_000
	maxTPERounds      = 1000
	defaultTPERounds  = 24
	defaultCandidates = 24
	maxDraws          = 200
)

func (s Spec) checkTPE(f *faults) {
	if s.SearchType != SearchTPE {
		if s.TPE != nil {
			f.add("tpe", SearchTPE, "is for search_type tpe, not %s", s.SearchType)
		}
		return
	}
	if n := *s.NTrials; n > maxTPETrials {
		f.add("n_trials", maxTPETrials, "must be at most %d for search_type tpe", maxTPETrials)
	}
	within(f, "tpe.startup", float64(*s.TPE.Startup), 1, maxTPETrials)
	within(f, "tpe.candidates", float64(*s.TPE.Candidates), 1, maxDraws)
	least := max(1, (*s.NTrials-*s.TPE.Startup+maxTPERounds-1)/maxTPERounds)
	if b := *s.TPE.Batch; b < least || b > maxTPETrials {
		f.add("tpe.batch", []int{least, maxTPETrials}, "must be from %d, which makes %d rounds, to %d", least, maxTPERounds, maxTPETrials)
	}
}

// proposer proposes trials from those that went before.
type proposer struct {
	space *space
	axes  []int // that are searched and have a choice
	seq   *sequence
	seed  uint64

	candidates int
	seen       map[string]bool // points tried
	spare      uint64          // cursor of seq from which points not yet tried are looked for
}

func newProposer(seq *sequence, seed uint64, candidates int) *proposer {
	p := &proposer{space: seq.space, seq: seq, seed: seed, candidates: candidates, seen: map[string]bool{}}
	for _, k := range p.space.searched() {
		if a := &p.space.axes[k]; a.count != 1 && (a.values != nil || a.low != a.high) {
			p.axes = append(p.axes, k)
		}
	}
	return p
}

// propose makes n trials, of which the first has the given number. tried are the trials before, and
// scores theirs, NaN where undefined. The result depends on nothing else.
func (p *proposer) propose(tried []backtest.Params, scores []float64, first, n int) []backtest.Params {
	for _, params := range tried {
		p.seen[pointKey(params)] = true
	}
	good, bad := p.densities(tried, scores)
	made := make([]backtest.Params, 0, n)
	for trial := first; trial < first+n; trial++ {
		params, ok := p.best(good, bad, uint64(trial))
		if !ok {
			params = p.untried(trial)
		}
		p.seen[pointKey(params)] = true
		bad.add(p.coordinates(params))
		made = append(made, params)
	}
	return made
}

// densities splits the tried trials into the good and the bad.
func (p *proposer) densities(tried []backtest.Params, scores []float64) (good, bad *density) {
	order := make([]int, len(tried))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		// NaN orders before every number, so that here it is last.
		return cmp.Or(cmp.Compare(scores[b], scores[a]), a-b)
	})
	defined := len(order)
	for defined > 0 && !isFinite(scores[order[defined-1]]) {
		defined--
	}
	split := min(int(math.Ceil(tpeGoodShare*float64(len(order)))), tpeGoodMost, defined)
	rest := order[split:]
	stride := max(1, (len(rest)+tpeBadMost-1)/tpeBadMost)
	var best, others [][]float64
	for _, i := range order[:split] {
		best = append(best, p.coordinates(tried[i]))
	}
	for i := 0; i < len(rest); i += stride {
		others = append(others, p.coordinates(tried[rest[i]]))
	}
	return newDensity(best, p.steps()), newDensity(others, p.steps())
}

// steps are the widths of one value of each parameter as a coordinate; 0 when continuous.
func (p *proposer) steps() []float64 {
	steps := make([]float64, len(p.axes))
	for i, k := range p.axes {
		if n := p.space.axes[k].count; n > 0 {
			steps[i] = 1 / float64(n)
		}
	}
	return steps
}

// best draws candidates from the good density and picks the one where it is highest against the
// bad; false when every draw was refused by the constraints or tried before.
func (p *proposer) best(good, bad *density, trial uint64) (backtest.Params, bool) {
	var best backtest.Params
	highest, drawn := math.Inf(-1), 0
	at := make([]float64, len(p.axes))
	for try := range uint64(p.candidates * tpeDrawsEach) {
		good.draw(func(stream uint64) float64 { return uniform(draw64(p.seed, trial, 1+try<<8+stream)) }, at)
		params := p.point(at)
		if p.seen[pointKey(params)] || !p.seq.allows(params) {
			continue
		}
		centre := p.coordinates(params)
		if gain := good.log(centre) - bad.log(centre); gain > highest {
			best, highest = params, gain
		}
		if drawn++; drawn == p.candidates {
			break
		}
	}
	return best, drawn > 0
}

// untried is the next point of the plain search that has not been tried, or else its point of the
// trial's number.
func (p *proposer) untried(trial int) backtest.Params {
	point := make(backtest.Params, len(p.space.axes))
	for {
		after, ok := p.seq.next(p.spare, point)
		p.spare = after
		if !ok {
			p.seq.next(p.seq.cursor(trial), point)
			return point
		}
		if !p.seen[pointKey(point)] {
			return point
		}
	}
}

// point is the parameter set at coordinates in [0,1).
func (p *proposer) point(at []float64) backtest.Params {
	params := make(backtest.Params, len(p.space.axes))
	for k := range params {
		params[k] = p.space.axes[k].draw(0)
	}
	for i, k := range p.axes {
		params[k] = p.space.axes[k].draw(at[i])
	}
	return params
}

// coordinates are where in [0,1] a parameter set is: in the middle of what draws to it.
func (p *proposer) coordinates(params backtest.Params) []float64 {
	at := make([]float64, len(p.axes))
	for i, k := range p.axes {
		at[i] = p.space.axes[k].centre(params[k])
	}
	return at
}

// centre is the middle of the coordinates that draw maps to a value.
func (a *axis) centre(value float64) float64 {
	switch {
	case a.log && a.count > 0:
		return (portable.Log(value+0.5) - portable.Log(a.low)) / (portable.Log(a.high+1) - portable.Log(a.low))
	case a.count > 0:
		return (float64(a.position(value)) + 0.5) / float64(a.count)
	default:
		return a.unit(value)
	}
}

func pointKey(params backtest.Params) string {
	key := make([]byte, 0, 8*len(params))
	for _, v := range params {
		key = binary.LittleEndian.AppendUint64(key, math.Float64bits(v))
	}
	return string(key)
}
