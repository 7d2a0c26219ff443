package sweep

import (
	"fmt"
	"math"
	"slices"

	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
)

// Limits on a spec.
const (
	MaxTrials        = 1_000_000 // of one tune
	maxValues        = 10_000    // of one list
	maxAxisValues    = 1 << 40   // of one interval
	maxAxes          = 64
	MaxOOSRatio      = 0.5
	maxLambda        = 1000
	maxTradesGate    = 1_000_000
	maxDrawdownPct   = 100
	defaultMinTrades = 5
)

// Check names everything wrong with the spec that shows without bars, by the API's field names.
// Defaults count as filled in.
func (s Spec) Check() []invalid.FieldError {
	_, _, errs := s.compile()
	return errs
}

// compile checks the normalized spec and returns what Check had to build.
func (s Spec) compile() (*space, []truthFunc, []invalid.FieldError) {
	s = s.normalized()
	var f faults
	strategy := s.Strategy()
	if strategy == nil {
		var names []string
		for _, known := range backtest.Strategies() {
			names = append(names, known.Name())
		}
		f.add("strategy_name", names, "%q is unknown", s.StrategyName)
	}
	s.checkSettings(&f)
	f = append(f, s.config(backtest.CalendarExchange).Validate()...)
	if strategy == nil {
		return nil, nil, f
	}
	if own, ok := strategy.(backtest.Scripted); ok {
		f = append(f, backtest.CheckScripted(own, s.config(backtest.CalendarExchange))...)
	}
	constraints := s.checkConstraints(&f)
	if s.ParamSpace = s.labelled(strategy, &f); s.ParamSpace == nil || !s.checkSpace(strategy, &f) {
		return nil, nil, f
	}
	sp := newSpace(strategy, s.ParamSpace)
	s.checkSize(sp, &f)
	s.checkSobol(len(sp.searched()), &f)
	return sp, constraints, f
}

// Searches lists the kinds of search.
func Searches() []Search { return []Search{SearchGrid, SearchRandom, SearchSobol, SearchTPE} }

// Objectives lists the objectives.
func Objectives() []Objective {
	return []Objective{
		ObjectiveSharpe, ObjectiveSharpeDDPenalty, ObjectiveReturn, ObjectiveReturnDDPenalty,
		ObjectiveCalmar, ObjectiveReturnOverDrawdown, ObjectiveSortino, ObjectiveProfitFactor,
	}
}

type faults []invalid.FieldError

func (f *faults) add(field string, limit any, format string, args ...any) {
	*f = append(*f, invalid.FieldError{Field: field, Message: fmt.Sprintf(format, args...), Limit: limit})
}

func oneOf[T ~string](f *faults, field string, value T, allowed ...T) {
	if !slices.Contains(allowed, value) {
		f.add(field, allowed, "%q is unknown", string(value))
	}
}

func within(f *faults, field string, value, low, high float64) {
	if !(value >= low && value <= high) {
		f.add(field, []float64{low, high}, "must be from %v to %v", low, high)
	}
}

func (s Spec) checkSettings(f *faults) {
	oneOf(f, "search_type", s.SearchType, Searches()...)
	oneOf(f, "objective_type", s.ObjectiveType, Objectives()...)
	oneOf(f, "select_on", s.SelectOn, SelectInSample, SelectOutOfSample)
	within(f, "objective_params.lambda", *s.ObjectiveParams.Lambda, 0, maxLambda)
	within(f, "gates.max_drawdown_pct", *s.Gates.MaxDrawdownPct, 0, maxDrawdownPct)
	within(f, "gates.min_trades", float64(*s.Gates.MinTrades), 0, maxTradesGate)
	if s.NTrials != nil && (*s.NTrials < 1 || *s.NTrials > MaxTrials) {
		f.add("n_trials", []int{1, MaxTrials}, "must be from 1 to %d", MaxTrials)
	}
	s.checkDatasets(f)
	s.checkTPE(f)
	s.checkPruning(f)
	s.checkEvidence(f)
	switch r := s.OOSRatio; {
	case r != nil && !(*r > 0 && *r <= MaxOOSRatio):
		f.add("oos_ratio", MaxOOSRatio, "must be above 0 and at most %v, or null for no split", MaxOOSRatio)
	case r != nil && s.Window != nil:
		f.add("window", nil, "cannot be set together with oos_ratio: it says itself which bars are out of sample")
	case r == nil && s.SelectOn == SelectOutOfSample:
		f.add("select_on", nil, "cannot be %q without an oos_ratio", SelectOutOfSample)
	}
	if s.Window != nil {
		s.Window.check(f)
	}
}

// checkConstraints compiles the constraints; those at fault are left out.
func (s Spec) checkConstraints(f *faults) []truthFunc {
	if len(s.Constraints) > maxConstraints {
		f.add("constraints", maxConstraints, "has %d entries, more than %d", len(s.Constraints), maxConstraints)
		return nil
	}
	names := s.ParamNames()
	var compiled []truthFunc
	for i, source := range s.Constraints {
		truth, err := compileConstraint(source, names)
		if err != nil {
			f.add(fmt.Sprintf("constraints[%d]", i), nil, "%v", err)
			continue
		}
		compiled = append(compiled, truth)
	}
	return compiled
}

// checkSpace reports whether every range can be made an axis.
func (s Spec) checkSpace(strategy backtest.Strategy, f *faults) bool {
	before := len(*f)
	switch n := len(s.ParamSpace); {
	case n == 0:
		f.add("param_space", s.ParamNames(), "is empty; name at least one parameter of %s", strategy.Name())
	case n > maxAxes:
		f.add("param_space", maxAxes, "has %d parameters, more than %d", n, maxAxes)
		return false
	}
	specs := strategy.Params()
	for _, name := range s.sortedNames() {
		field := "param_space." + name
		i := slices.IndexFunc(specs, func(spec backtest.ParamSpec) bool { return spec.Name == name })
		if i < 0 {
			f.add(field, s.ParamNames(), "%s has no such parameter", strategy.Name())
			continue
		}
		if r := s.ParamSpace[name]; r.Values != nil {
			checkList(f, field, specs[i], r)
		} else {
			s.checkInterval(f, field, specs[i], r)
		}
	}
	return len(*f) == before
}

func checkList(f *faults, field string, spec backtest.ParamSpec, r Range) {
	switch n := len(r.Values); {
	case n == 0:
		f.add(field, nil, "is an empty list")
		return
	case n > maxValues:
		f.add(field, maxValues, "has %d values, more than %d", n, maxValues)
		return
	}
	for i, value := range r.Values {
		if fault := spec.Check(fmt.Sprintf("%s[%d]", field, i), value); fault != nil {
			*f = append(*f, *fault)
			return
		}
	}
	sorted := slices.Sorted(slices.Values(r.Values))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			f.add(field, nil, "has %v twice", sorted[i])
			return
		}
	}
}

func (s Spec) checkInterval(f *faults, field string, spec backtest.ParamSpec, r Range) {
	if r.Type != "" && r.Type != string(backtest.KindInt) && r.Type != string(backtest.KindFloat) {
		f.add(field+".type", []backtest.ParamKind{backtest.KindInt, backtest.KindFloat}, "%q is unknown", r.Type)
		return
	}
	if spec.Whole() && r.Type == string(backtest.KindFloat) {
		f.add(field+".type", backtest.KindInt, "must be int: the parameter is a whole number")
		return
	}
	if spec.Kind == backtest.KindEnum {
		f.add(field, spec.Labels, "is a choice: give a list of its labels")
		return
	}
	whole := r.isInt(spec)
	for _, end := range []struct {
		name  string
		value *float64
	}{{".low", r.Low}, {".high", r.High}} {
		if end.value == nil {
			f.add(field+end.name, nil, "is missing")
			return
		}
		if fault := spec.Check(field+end.name, *end.value); fault != nil {
			*f = append(*f, *fault)
			return
		}
		if whole && *end.value != math.Trunc(*end.value) {
			f.add(field+end.name, backtest.KindInt, "%v is not a whole number", *end.value)
			return
		}
	}
	s.checkStep(f, field, whole, r)
}

// checkStep checks an interval whose ends are in order.
func (s Spec) checkStep(f *faults, field string, whole bool, r Range) {
	low, high := *r.Low, *r.High
	switch {
	case low > high:
		f.add(field+".high", low, "%v is below low, %v", high, low)
	case r.Log && r.Step != nil:
		f.add(field+".log", nil, "cannot be set together with step")
	case r.Log && low <= 0:
		f.add(field+".low", nil, "must be above 0 for a logarithm")
	case r.Log && s.SearchType == SearchGrid:
		f.add(field+".log", nil, "has no grid; give a step or a list, or use search_type random")
	case r.Step == nil && !whole && s.SearchType == SearchGrid:
		f.add(field+".step", nil, "is missing; a grid of a continuous parameter needs it")
	case r.Step != nil && !(*r.Step > 0 && !math.IsInf(*r.Step, 0)):
		f.add(field+".step", nil, "must be above 0")
	case r.Step != nil && whole && *r.Step != math.Trunc(*r.Step):
		f.add(field+".step", backtest.KindInt, "%v is not a whole number", *r.Step)
	case r.Step != nil && (high-low) / *r.Step > maxAxisValues:
		f.add(field+".step", nil, "%v makes more than %d values", *r.Step, maxAxisValues)
	}
}

func (s Spec) checkSobol(axes int, f *faults) {
	if s.SearchType == SearchSobol && axes > maxSobolAxes {
		f.add("param_space", maxSobolAxes, "has %d parameters; a Sobol search has at most %d", axes, maxSobolAxes)
	}
}

// checkSize refuses what would have to be cut silently.
func (s Spec) checkSize(sp *space, f *faults) {
	if s.SearchType != SearchGrid {
		return
	}
	switch {
	case sp.size == math.MaxUint64:
		f.add("param_space", nil, "has more than 2^62 points; use search_type random, or coarser steps")
	case s.NTrials == nil && sp.size > MaxTrials:
		f.add("n_trials", MaxTrials, "is needed: the grid has %d points, more than %d; "+
			"set n_trials to run a seeded sample of them, or use coarser steps", sp.size, MaxTrials)
	}
}
