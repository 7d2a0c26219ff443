package backtest

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"millrace/jobs/invalid"
)

// Strategy trades by parameters. A Strategy is stateless and safe for concurrent use.
type Strategy interface {
	Name() string
	Doc() string
	// Params are the parameters, in the order of Params.
	Params() []ParamSpec
	// Trader makes a trader of the strategy over the cache's bars; that of a Signaler is the
	// cache's NewRunner. The config must be valid.
	Trader(c *IndicatorCache, cfg Config) Trader
}

// Strategies lists every strategy, by name. Adding one is a file and a line here.
func Strategies() []Strategy {
	return []Strategy{
		bbReversal{}, breakout52w{}, donchianBreakout{}, emaCross{}, macdCross{}, openingRange{}, rsiReversal{}, smaCross{},
	}
}

// Lookup finds a strategy by name.
func Lookup(name string) (Strategy, bool) {
	all := Strategies()
	i := slices.IndexFunc(all, func(s Strategy) bool { return s.Name() == name })
	if i < 0 {
		return nil, false
	}
	return all[i], true
}

// CheckParams puts named values into the strategy's order. A parameter that is not named takes its
// default; a name that is unknown, a value out of bounds and a fraction for an integer are errors.
func CheckParams(s Strategy, values map[string]float64) (Params, []invalid.FieldError) {
	specs := s.Params()
	params := make(Params, len(specs))
	var errs []invalid.FieldError
	seen := 0
	for i, spec := range specs {
		value, ok := values[spec.Name]
		if !ok {
			value = spec.Default
		} else {
			seen++
		}
		params[i] = value
		if problem := spec.Check("params."+spec.Name, value); problem != nil {
			errs = append(errs, *problem)
		}
	}
	if seen < len(values) {
		for name := range values {
			if !slices.ContainsFunc(specs, func(spec ParamSpec) bool { return spec.Name == name }) {
				errs = append(errs, invalid.FieldError{
					Field: "params." + name, Message: fmt.Sprintf("%s has no such parameter", s.Name()), Limit: names(specs),
				})
			}
		}
		slices.SortFunc(errs, func(a, b invalid.FieldError) int { return strings.Compare(a.Field, b.Field) })
	}
	return params, errs
}

// Check returns what is wrong with a value of the parameter, or nil.
func (p ParamSpec) Check(field string, value float64) *invalid.FieldError {
	switch {
	case !(value >= p.Min && value <= p.Max):
		return &invalid.FieldError{
			Field: field, Message: fmt.Sprintf("%v is outside %v to %v", value, p.Min, p.Max), Limit: []float64{p.Min, p.Max},
		}
	case p.Whole() && value != math.Trunc(value):
		return &invalid.FieldError{Field: field, Message: fmt.Sprintf("%v is not a whole number", value), Limit: "int"}
	}
	return nil
}

// Whole reports whether values of the parameter are whole numbers: all but those of KindFloat are.
func (p ParamSpec) Whole() bool { return p.Kind != KindFloat }

// Value is the number of a label of the parameter.
func (p ParamSpec) Value(label string) (float64, bool) {
	for i, l := range p.Labels {
		if l == label {
			return float64(i), true
		}
	}
	return 0, false
}

func period(name string, def, low, high int, doc string) ParamSpec {
	return ParamSpec{Name: name, Kind: KindInt, Default: float64(def), Min: float64(low), Max: float64(high), Step: 1, Doc: doc}
}

func level(name string, def, low, high float64, doc string) ParamSpec {
	return ParamSpec{Name: name, Kind: KindFloat, Default: def, Min: low, Max: high, Doc: doc}
}

func names(specs []ParamSpec) []string {
	all := make([]string, len(specs))
	for i, spec := range specs {
		all[i] = spec.Name
	}
	return all
}
