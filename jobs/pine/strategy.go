package pine

import (
	"fmt"
	"math"
	"slices"

	"millrace/jobs/backtest"
	"millrace/jobs/pine/ir"
	"millrace/jobs/portable"
)

// unbounded is the bound of a parameter whose input names none.
const unbounded = 1e9

// Strategy is a compiled script as the engine trades it: its inputs that can be searched are the
// parameters. Texts, colors, times and sessions keep their defaults. It is immutable and safe for
// concurrent use.
type Strategy struct {
	name    string
	program *Program
	specs   []backtest.ParamSpec
	inputs  []int // of each parameter, the input
	account backtest.Account
}

var _ backtest.Scripted = (*Strategy)(nil)

// NewStrategy makes a strategy of a program, under the name it is asked for by.
func NewStrategy(name string, p *Program) *Strategy {
	s := &Strategy{name: name, program: p, account: accountOf(p.Settings())}
	for i, in := range p.Inputs() {
		if spec, ok := paramOf(in); ok {
			s.specs, s.inputs = append(s.specs, spec), append(s.inputs, i)
		}
	}
	return s
}

// Name is what requests call the strategy.
func (s *Strategy) Name() string { return s.name }

// Doc is the script's own title.
func (s *Strategy) Doc() string { return s.program.Title() }

// Params are the inputs that can be searched, in the script's order.
func (s *Strategy) Params() []backtest.ParamSpec { return slices.Clone(s.specs) }

// Program is the compiled script.
func (s *Strategy) Program() *Program { return s.program }

// Account is what of the script's declaration can be said in the terms of an account.
func (s *Strategy) Account() backtest.Account { return s.account }

// Notes are the compilation's remarks, each with its line; those of an assumed path are left out for bars
// that have others inside.
func (s *Strategy) Notes(detailed bool) []string {
	var notes []string
	for _, d := range s.program.Notes() {
		if detailed && d.Code == "P904" { // use_bar_magnifier
			continue
		}
		notes = append(notes, fmt.Sprintf("line %d: %s", d.Line, d.Message))
	}
	return notes
}

// Trader makes a trader of the strategy.
func (s *Strategy) Trader(c *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return newTrader(s, c, cfg, Market{LotStep: lotStep}.of(c.Bars().Instrument()))
}

// TraderOf makes a trader of the strategy on an instrument. A tick of 0 is the dataset's, or read from the
// bars.
func (s *Strategy) TraderOf(c *backtest.IndicatorCache, cfg backtest.Config, m Market) backtest.Trader {
	if m.Tick == 0 {
		m.Tick = c.Bars().Instrument().TickSize
	}
	return newTrader(s, c, cfg, m)
}

// Warmup is how many bars before a window its trials see: what the script's offsets and lengths reach at the
// given parameters, and every bar there is when it may remember the first one.
func (s *Strategy) Warmup(b *backtest.Bars, longest backtest.Params) int {
	inputs := s.program.Defaults()
	for k, input := range s.inputs {
		if k < len(longest) && s.specs[k].Kind != backtest.KindEnum {
			inputs[input] = math.Max(inputs[input], longest[k])
		}
	}
	return min(b.Len(), ir.Warmup(s.program.ir, inputs))
}

// DefaultWarmup is the warm-up at the defaults; ok is false when it is every bar there is.
func (s *Strategy) DefaultWarmup() (bars int, ok bool) {
	bars = ir.Warmup(s.program.ir, s.program.Defaults())
	return bars, bars < ir.Unbounded
}

// accountOf puts the declaration's values into an account; what an account cannot say has the value
// that is nearest, and is traded as the script says.
func accountOf(s ir.Settings) backtest.Account {
	a := backtest.Account{Cash: s.Capital, Size: 1, Exclusive: true}
	if s.CommissionType == "" || s.CommissionType == "percent" {
		a.Commission = backtest.Commission(s.Commission / 100)
	}
	switch s.QtyType {
	case "percent_of_equity":
		a.Size = min(max(s.Qty/100, 1e-9), 1)
	case "", "fixed":
		a.Size = max(s.Qty, 1+1e-9)
	}
	return a
}

// paramOf is the parameter of an input. ok is false for inputs that are not searched.
func paramOf(in ir.Input) (spec backtest.ParamSpec, ok bool) {
	spec = backtest.ParamSpec{Name: in.Name, Default: in.Default, Min: in.Min, Max: in.Max, Step: in.Step, Group: in.Group, Tooltip: in.Tooltip}
	if in.Variable != in.Name {
		spec.Doc = in.Variable
	}
	switch in.Kind {
	case ir.InputInt, ir.InputFloat:
		spec.Kind = backtest.KindFloat
		if in.Kind == ir.InputInt {
			spec.Kind = backtest.KindInt
			spec.Step = max(1, math.Trunc(in.Step))
		}
		if len(in.Options) > 0 {
			spec.Min, spec.Max = slices.Min(in.Options), slices.Max(in.Options)
		}
		if math.IsNaN(spec.Min) {
			spec.Min = -unbounded
		}
		if math.IsNaN(spec.Max) {
			spec.Max = unbounded
		}
		spec.Min, spec.Max = min(spec.Min, in.Default), max(spec.Max, in.Default)
	case ir.InputBool:
		spec.Kind, spec.Step = backtest.KindBool, 1
	case ir.InputEnum, ir.InputSource, ir.InputTimeframe:
		spec.Kind, spec.Step, spec.Labels = backtest.KindEnum, 1, slices.Clone(in.Labels)
		if len(in.Labels) < 2 {
			return spec, false
		}
	default:
		return spec, false
	}
	return spec, !math.IsNaN(in.Default) && !math.IsInf(in.Default, 0)
}

// Axis is a range that a search may start from: a list of numbers or labels, or an interval.
type Axis struct {
	Values []float64
	Labels []string
	Low    float64
	High   float64
	Step   float64
}

// Space suggests a range for each parameter that reaches an order: the options there are, or a quarter
// of the default to four times it, within the bounds and on the step.
func (s *Strategy) Space() map[string]Axis {
	space := map[string]Axis{}
	for i, spec := range s.specs {
		in := s.program.Inputs()[s.inputs[i]]
		if !in.Used {
			continue
		}
		switch {
		case spec.Kind == backtest.KindEnum:
			space[spec.Name] = Axis{Labels: spec.Labels}
		case spec.Kind == backtest.KindBool:
			space[spec.Name] = Axis{Values: []float64{0, 1}}
		case len(in.Options) > 0:
			space[spec.Name] = Axis{Values: slices.Compact(slices.Sorted(slices.Values(in.Options)))}
		default:
			space[spec.Name] = suggest(spec)
		}
	}
	return space
}

// suggest is the range of a number.
func suggest(spec backtest.ParamSpec) Axis {
	low, high := spec.Default/4, spec.Default*4
	if low > high {
		low, high = high, low
	}
	switch {
	case spec.Default == 0:
		low, high = -10*max(spec.Step, 1), 10*max(spec.Step, 1)
	case spec.Kind == backtest.KindInt && spec.Default > 0:
		low = max(1, math.Floor(low))
	}
	step := spec.Step
	if step <= 0 {
		step = roundStep((high - low) / 15)
	}
	if n := math.Ceil((high - low) / step / 50); n > 1 {
		step *= n // at most about fifty values: a start, not a limit
	}
	if spec.Min > -unbounded {
		low = max(low, spec.Min)
	}
	if spec.Max < unbounded {
		high = min(high, spec.Max)
	}
	if spec.Kind == backtest.KindInt {
		low, high = math.Ceil(low), math.Floor(high)
	}
	return Axis{Low: low, High: max(low, high), Step: step}
}

// roundStep is a step of one significant digit near the given one.
func roundStep(step float64) float64 {
	if !(step > 0) {
		return 1
	}
	unit := portable.Pow(10, math.Floor(portable.Log10(step)))
	return math.Max(1, math.Round(step/unit)) * unit
}

// failure puts a recovered panic into words; it names no part of the script.
func failure(recovered any) error {
	return fmt.Errorf("the script cannot be run: internal fault: %v", recovered)
}
