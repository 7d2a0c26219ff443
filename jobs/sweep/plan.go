package sweep

import (
	"fmt"
	"iter"
	"sync"

	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
)

// The least numbers of bars that make a figure worth ranking by.
const (
	MinInSampleBars    = 200
	MinOutOfSampleBars = 100
)

// Plan is a spec bound to its bars: every trial's parameters are fixed. It is immutable and safe
// for concurrent use.
type Plan struct {
	spec     Spec
	series             // the first dataset
	sets     []*series // all of them
	rungs    []rung    // of a pruned tune
	seq      *sequence
	names    []string
	warnings []string
	bestOnly bool      // of a permutation: the best score is all that is kept
	idle     sync.Pool // of *lanes, whose memory the next shard takes
	packers  sync.Pool // of *packer

	heldOnce  sync.Once
	heldThere []float64 // see held
}

// NewPlan binds a spec to bars. What it adds to Check are the numbers of bars in each part, and
// constraints that leave nothing.
func NewPlan(spec Spec, bars *backtest.Bars, calendar backtest.Calendar) (*Plan, []invalid.FieldError) {
	return NewPlanOver(spec, []Series{{Bars: bars, Calendar: calendar}})
}

// NewPlanOver binds a spec to its datasets, of which there are as many as it names, or one.
func NewPlanOver(spec Spec, data []Series) (*Plan, []invalid.FieldError) {
	spec = spec.normalized()
	seq, errs := spec.sequence()
	if len(errs) > 0 {
		return nil, errs
	}
	var f faults
	if len(data) != max(1, len(spec.Datasets)) {
		f.add("datasets", len(data), "names %d datasets, of which %d are there", len(spec.Datasets), len(data))
		return nil, f
	}
	p := &Plan{spec: spec, seq: seq, names: spec.ParamNames()}
	if p.bind(data, &f); len(f) == 0 {
		p.placeRungs(&f)
		p.checkPermutations(&f)
	}
	if len(f) > 0 {
		return nil, f
	}
	p.warn()
	return p, nil
}

// place sets which bars trials see and trade.
func (p *Plan) place(s *series, f *faults) {
	if p.spec.Window != nil {
		p.placeWindow(s, f)
		return
	}
	s.bars = s.history
	s.is, s.oos = p.spec.windows(s.bars.Len(), f)
}

// warn notes what a user should know before any result.
func (p *Plan) warn() {
	spec, seq := p.spec, p.seq
	if own, ok := p.strategy.(backtest.Scripted); ok {
		p.warnings = append(p.warnings, backtest.ScriptNotes(own, p.config, p.history)...)
	} else {
		p.warnings = append(p.warnings, backtest.DetailNotes(p.history)...)
	}
	if spec.SelectOn == SelectOutOfSample {
		p.warnings = append(p.warnings, "select_on is oos: the out-of-sample part has become selection data "+
			"and no longer says how the winner does on bars it was not chosen by")
	}
	if sampled := seq.order == orderPermuted && !seq.exhausted; sampled && spec.SearchType == SearchGrid {
		p.warnings = append(p.warnings, fmt.Sprintf("the grid has %d points before constraints: "+
			"%d of them were sampled without replacement (seed %d)", seq.space.size, seq.trials, *spec.Seed))
	}
	if n := spec.NTrials; n != nil && seq.trials < *n {
		p.warnings = append(p.warnings, fmt.Sprintf("param_space and constraints leave %d points, fewer than n_trials %d: all of them were run", seq.trials, *n))
	}
}

// Size is the number of trials of a spec, found without bars.
func Size(spec Spec) (int, []invalid.FieldError) {
	seq, errs := spec.sequence()
	if len(errs) > 0 {
		return 0, errs
	}
	return seq.trials, nil
}

// sequence checks the spec and lays out its trials.
func (s Spec) sequence() (*sequence, []invalid.FieldError) {
	s = s.normalized()
	sp, constraints, errs := s.compile()
	if len(errs) > 0 {
		return nil, errs
	}
	seq, f := newSequence(s, sp, constraints)
	return seq, f
}

// windows splits n bars and checks that each part has enough of them.
func (s Spec) windows(n int, f *faults) (is, oos backtest.Window) {
	if s.OOSRatio == nil {
		if n < MinInSampleBars {
			f.add("dataset", MinInSampleBars, "has %d bars; at least %d are needed", n, MinInSampleBars)
		}
		return backtest.Window{From: 0, To: n}, backtest.Window{From: n, To: n}
	}
	// The least part more keeps 0.29·100 at 29, which in binary is a hair below.
	out := int(float64(float64(n)**s.OOSRatio) + 1e-9)
	in := n - out
	if in < MinInSampleBars {
		f.add("oos_ratio", MinInSampleBars, "leaves %d of %d bars in sample; at least %d are needed", in, n, MinInSampleBars)
	}
	if out < MinOutOfSampleBars {
		f.add("oos_ratio", MinOutOfSampleBars, "leaves %d of %d bars out of sample; at least %d are needed", out, n, MinOutOfSampleBars)
	}
	return backtest.Window{From: 0, To: in}, backtest.Window{From: in, To: n}
}

// Trials is the number of trials.
func (p *Plan) Trials() int { return p.seq.trials }

// TrialBars is how many bars a trial trades, those of all datasets together.
func (p *Plan) TrialBars() int {
	bars := 0
	for _, s := range p.sets {
		bars += s.traded()
	}
	return bars
}

// Warnings are what the plan's user should know before any result.
func (p *Plan) Warnings() []string { return append([]string{}, p.warnings...) }

// ParamNames are the names behind backtest.Params, in order.
func (p *Plan) ParamNames() []string { return append([]string{}, p.names...) }

// Windows are the in-sample and the out-of-sample bars of the dataset; the latter is empty without a
// split.
func (p *Plan) Windows() (is, oos backtest.Window) {
	shift := func(w backtest.Window) backtest.Window {
		return backtest.Window{From: w.From + p.offset, To: w.To + p.offset}
	}
	return shift(p.is), shift(p.oos)
}

// Shard is some of a plan's trials: a range, or those of a list.
type Shard struct {
	Index  int
	First  int // number of the first trial
	Trials int
	Cursor uint64  // where the enumeration stands at First, so that no worker scans from the beginning
	Rung   int     // of a pruned tune; shards of rung 0 are ranges that have every trial once
	Open   bool    // the trials do not end with the shard: some continue in the next rung
	Cost   float64 // what a trial takes, in units of one on all of its bars
	List   []byte  // numbers and parameters of trials that cannot be enumerated; nil: a range
}

// Shards cuts the trials of the first round into ranges of size, the last one shorter.
func (p *Plan) Shards(size int) []Shard { return p.Cut(func(int) int { return size }) }

// Cut cuts the trials of the first round into ranges. size says how many of the trials that are left the next one takes.
func (p *Plan) Cut(size func(left int) int) []Shard {
	var shards []Shard
	for first := 0; first < p.opening(); {
		left := p.opening() - first
		sh := p.shard(0)
		sh.Index, sh.First, sh.Trials, sh.Cursor = len(shards), first, min(max(size(left), 1), left), p.seq.cursor(first)
		shards = append(shards, sh)
		first += sh.Trials
	}
	return shards
}

// Spread are shards of some trials from all over the first round, on all bars: at most so many, as many side by side as run together.
// The first ones alone say little of the others, as a grid begins in a corner of its space.
func (p *Plan) Spread(trials int) []Shard {
	trials = min(trials, p.opening())
	shards := make([]Shard, max(1, trials/backtest.Lanes))
	each, stretch := trials/len(shards), p.opening()/len(shards)
	for k := range shards {
		// A place in its stretch that is another one each time (by the golden ratio), as the last axis of a grid may have as many steps
		// as a stretch.
		first := k*stretch + int(uint64(stretch-each)*uint64(uint32(k)*0x9e3779b9)>>32)
		shards[k] = Shard{First: first, Trials: each, Cursor: p.seq.cursor(first), Cost: 1}
	}
	return shards
}

// Params yields each trial's number and parameters. The slice is reused from one trial to the next.
func (p *Plan) Params(sh Shard) iter.Seq2[int, backtest.Params] {
	return func(yield func(int, backtest.Params) bool) {
		if sh.List != nil {
			_ = listed(sh, len(p.names), func(_, number int, params backtest.Params) bool { return yield(number, params) })
			return // RunShard counts the trials
		}
		point := make(backtest.Params, len(p.names))
		cursor := sh.Cursor
		for i := range sh.Trials {
			after, ok := p.seq.next(cursor, point)
			if !ok || !yield(sh.First+i, point) {
				return
			}
			cursor = after
		}
	}
}
