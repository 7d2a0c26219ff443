package sweep

import (
	"cmp"
	"math"
	"slices"

	"millrace/jobs/backtest"
	"millrace/jobs/portable"
)

// Successive halving: Jamieson & Talwalkar, "Non-stochastic Best Arm Identification and
// Hyperparameter Optimization", AISTATS 2016. All trials run on the last few bars of the part that
// selects; the best 1/eta of them run again on eta times as many, and so on, until the last rung runs
// them on everything.

// PruneHalving is the kind of pruning there is.
const PruneHalving = "halving"

// Pruning ends trials early that do badly on few bars. A pruned trial is skipped.
type Pruning struct {
	Type  string `json:"type"`
	Eta   *int   `json:"eta"`   // one in how many is kept; default 3
	Rungs *int   `json:"rungs"` // the last one is on all bars; nil: as many as fit, 4 at most
}

const (
	defaultEta   = 3
	maxEta       = 10
	defaultRungs = 4
	maxRungs     = 8
	// minRungBars is the least number of bars that a trial is judged by.
	minRungBars = 200
)

func (s Spec) checkPruning(f *faults) {
	p := s.Pruning
	if p == nil {
		return
	}
	oneOf(f, "pruning.type", p.Type, PruneHalving)
	within(f, "pruning.eta", float64(*p.Eta), 2, maxEta)
	if p.Rungs != nil {
		within(f, "pruning.rungs", float64(*p.Rungs), 2, maxRungs)
	}
	if s.SearchType == SearchTPE {
		f.add("pruning", nil, "does not go with search_type tpe, which learns from every trial's score on all bars")
	}
}

// rung is one step of a pruned tune.
type rung struct {
	share  int // one in how many bars of the part that selects, the last ones of it
	bars   int // that makes, in the shortest dataset
	trials int // at most
}

func (p *Plan) prunes() bool { return len(p.rungs) > 0 }

// placeRungs lays out the rungs over the part that selects.
func (p *Plan) placeRungs(f *faults) {
	spec := p.spec.Pruning
	if spec == nil {
		return
	}
	bars, eta := math.MaxInt, *spec.Eta
	for _, s := range p.sets {
		bars = min(bars, s.selecting(&p.spec).Len())
	}
	rungs, least := 1, bars
	for rungs < maxRungs && least/eta >= minRungBars && (spec.Rungs != nil || rungs < defaultRungs) {
		rungs, least = rungs+1, least/eta
	}
	switch {
	case rungs == 1:
		f.add("pruning", eta*minRungBars, "needs at least %d bars in the part that selects, which has %d", eta*minRungBars, bars)
		return
	case spec.Rungs != nil && *spec.Rungs > rungs:
		f.add("pruning.rungs", rungs, "%d rungs do not fit: by %d each, %d bars are below %d after %d", *spec.Rungs, eta, bars, minRungBars, rungs)
		return
	case spec.Rungs != nil:
		rungs = *spec.Rungs
	}
	p.rungs = make([]rung, rungs)
	trials := p.Trials()
	for r := range p.rungs {
		share := int(portable.Pow(float64(eta), float64(rungs-1-r)))
		p.rungs[r] = rung{share: share, bars: bars / share, trials: trials}
		trials = (trials + eta - 1) / eta
	}
}

// rungWindow are the bars of a dataset in a rung that is not the last.
func (p *Plan) rungWindow(s *series, r int) backtest.Window {
	w := s.selecting(&p.spec)
	return backtest.Window{From: w.To - w.Len()/p.rungs[r].share, To: w.To}
}

// cost is what a trial of a rung takes, in units of one on all of its bars.
func (p *Plan) cost(rung int) float64 {
	if !p.prunes() || rung == len(p.rungs)-1 {
		return 1
	}
	var some, all int
	for _, s := range p.sets {
		some, all = some+p.rungWindow(s, rung).Len(), all+s.traded()
	}
	return float64(some) / float64(all)
}

// promote chooses the trials of a rung from the results of the one before: the best by score, ties
// by parameters and then by number.
func (p *Plan) promote(to int, shards []Shard, load func(shard int) ([]byte, error)) (*Batch, error) {
	type result struct {
		number int32
		score  float64
		params backtest.Params
	}
	var results []result
	failed := 0
	for _, sh := range shards {
		if sh.Rung != to-1 {
			continue
		}
		cols, err := p.loadColumns(sh, load)
		if err != nil {
			return nil, err
		}
		numbers, err := sh.numbers(len(p.names))
		if err != nil {
			return nil, err
		}
		for i, number := range numbers {
			if cols.verdicts[i] == panicked {
				failed++
				continue
			}
			point := make(backtest.Params, len(p.names))
			cols.point(i, point)
			results = append(results, result{number, p.steering(cols, i), point})
		}
	}
	slices.SortFunc(results, func(a, b result) int {
		// NaN orders before every number, so that here it is last.
		return cmp.Or(cmp.Compare(b.score, a.score), slices.Compare(a.params, b.params), cmp.Compare(a.number, b.number))
	})
	kept := results[:min(p.rungs[to].trials, len(results))]
	slices.SortFunc(kept, func(a, b result) int { return cmp.Compare(a.number, b.number) })
	batch := &Batch{plan: p, rung: to, Pruned: len(results) - len(kept)}
	for _, r := range kept {
		batch.numbers, batch.params = append(batch.numbers, r.number), append(batch.params, r.params)
	}
	return batch, nil
}

// numbers are the trials of the shard's rows.
func (sh Shard) numbers(params int) ([]int32, error) {
	numbers := make([]int32, sh.Trials)
	if sh.List == nil {
		for i := range numbers {
			numbers[i] = int32(sh.First + i)
		}
		return numbers, nil
	}
	err := listed(sh, params, func(i, number int, _ backtest.Params) bool {
		numbers[i] = int32(number)
		return true
	})
	return numbers, err
}

// Rung is one step of a pruned tune, as it came out.
type Rung struct {
	Bars   int `json:"bars"`   // of the part that selects
	Trials int `json:"trials"` // that were run
	Pruned int `json:"pruned"` // of them, that ended there
}
