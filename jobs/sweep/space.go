package sweep

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"millrace/jobs/backtest"
	"millrace/jobs/portable"
)

// Range says which values a parameter takes: a list, or an interval with a step, or (for searches
// that draw) an interval without one.
type Range struct {
	Values []float64 // the list; when set, nothing else is
	Labels []string  // the list, of a parameter whose values have names

	Low, High *float64
	Step      *float64 // nil: 1 for an integer, otherwise continuous
	Log       bool     // draws are even in the logarithm
	Type      string   // "int" or "float"; "" for the strategy's own
}

// rangeObject is the JSON form of an interval.
type rangeObject struct {
	Low  *float64 `json:"low"`
	High *float64 `json:"high"`
	Step *float64 `json:"step,omitzero"`
	Log  bool     `json:"log,omitzero"`
	Type string   `json:"type,omitzero"`
}

// JSONForms gives the API's document both forms of a range: a list or an object.
func (Range) JSONForms() []any { return []any{[]float64{}, []string{}, []bool{}, rangeObject{}} }

// MarshalJSON writes a list or an object, as the request had it.
func (r Range) MarshalJSON() ([]byte, error) {
	if r.Labels != nil {
		return json.Marshal(r.Labels)
	}
	if r.Values != nil {
		return json.Marshal(r.Values)
	}
	return json.Marshal(rangeObject{r.Low, r.High, r.Step, r.Log, r.Type})
}

// UnmarshalJSON reads a list of numbers, of true and false, or of labels; or {low, high, step|log, type}.
func (r *Range) UnmarshalJSON(data []byte) error {
	switch kind := jsontext.Value(data).Kind(); kind {
	case jsontext.KindBeginArray:
		return r.readList(data)
	case jsontext.KindBeginObject:
		var o rangeObject
		if err := json.Unmarshal(data, &o, json.RejectUnknownMembers(true)); err != nil {
			return fmt.Errorf("interval of values: %w", err)
		}
		*r = Range{Low: o.Low, High: o.High, Step: o.Step, Log: o.Log, Type: o.Type}
	default:
		return fmt.Errorf("want a list of numbers or {low, high, step}, not %s", kind)
	}
	return nil
}

// readList reads a list. One of labels has labels only; true and false are 1 and 0.
func (r *Range) readList(data []byte) error {
	var entries []jsontext.Value
	if err := json.Unmarshal(data, &entries); err != nil {
		return fmt.Errorf("list of values: %w", err)
	}
	*r = Range{}
	values := make([]float64, 0, len(entries))
	for i, entry := range entries {
		switch kind := entry.Kind(); kind {
		case jsontext.KindTrue, jsontext.KindFalse:
			v := 0.0
			if kind == jsontext.KindTrue {
				v = 1
			}
			values = append(values, v)
		case jsontext.KindString:
			var label string
			if err := json.Unmarshal(entry, &label); err != nil {
				return fmt.Errorf("list of values: %w", err)
			}
			r.Labels = append(r.Labels, label)
		case jsontext.KindNull:
			return fmt.Errorf("list of values: entry %d is null", i)
		default:
			var v float64
			if err := json.Unmarshal(entry, &v); err != nil {
				return fmt.Errorf("list of values: %w", err)
			}
			values = append(values, v)
		}
	}
	switch {
	case r.Labels == nil:
		r.Values = values
	case len(values) > 0:
		return errors.New("list of values: has both labels and numbers")
	}
	return nil
}

// axis is one parameter's values. A discrete axis has count values; a continuous one, or one whose
// draws are even in the logarithm, has count 0 or a count that draws do not follow.
type axis struct {
	name      string
	values    []float64 // a list, or nil
	low, high float64
	step      float64 // between values; 0 when continuous
	count     uint64  // number of values; 0 when continuous
	log       bool
	searched  bool
}

// at is the axis's k-th value. Rounding to ten decimals keeps 0.1+2·0.1 at 0.3.
func (a *axis) at(k uint64) float64 {
	if a.values != nil {
		return a.values[k]
	}
	value := a.low + float64(float64(k)*a.step)
	if a.step != math.Trunc(a.step) && math.Abs(value) < 1e5 {
		return math.Round(value*1e10) / 1e10
	}
	return value
}

// draw maps u in [0,1) to a value of the axis.
func (a *axis) draw(u float64) float64 {
	switch {
	case a.log && a.count > 0: // whole numbers, even in the logarithm
		value := math.Floor(portable.Exp(portable.Log(a.low) + float64(u*(portable.Log(a.high+1)-portable.Log(a.low)))))
		return min(max(value, a.low), a.high)
	case a.log:
		return min(max(portable.Exp(portable.Log(a.low)+float64(u*(portable.Log(a.high)-portable.Log(a.low)))), a.low), a.high)
	case a.count > 0:
		return a.at(min(uint64(u*float64(a.count)), a.count-1))
	default:
		return a.low + float64(u*(a.high-a.low))
	}
}

// unit maps a value of the axis back to [0,1], the inverse of draw up to its rounding.
func (a *axis) unit(value float64) float64 {
	switch {
	case a.values != nil:
		return (float64(a.position(value)) + 0.5) / float64(len(a.values))
	case a.low == a.high:
		return 0.5
	case a.log:
		return (portable.Log(value) - portable.Log(a.low)) / (portable.Log(a.high) - portable.Log(a.low))
	default:
		return (value - a.low) / (a.high - a.low)
	}
}

// position is the index of the value nearest to the given one.
func (a *axis) position(value float64) int {
	if a.values != nil {
		at, _ := slices.BinarySearch(a.values, value)
		return at
	}
	return int(math.Round((value - a.low) / a.step))
}

// space is the product of the axes of all of the strategy's parameters, in their order.
type space struct {
	axes     []axis
	discrete bool   // every point has an index
	size     uint64 // number of points when discrete; math.MaxUint64 when above 2^62
}

// maxPoints is the most points that a discrete space can be indexed by.
const maxPoints = 1 << 62

func newSpace(strategy backtest.Strategy, ranges map[string]Range) *space {
	sp := &space{discrete: true, size: 1}
	for _, spec := range strategy.Params() {
		a := axis{name: spec.Name, values: []float64{spec.Default}, count: 1}
		if r, ok := ranges[spec.Name]; ok {
			a = newAxis(spec, r)
		}
		sp.axes = append(sp.axes, a)
		sp.discrete = sp.discrete && a.count > 0 && !a.log
		hi, lo := bits.Mul64(sp.size, max(a.count, 1))
		if sp.size = lo; hi > 0 || lo > maxPoints {
			sp.size = math.MaxUint64
		}
	}
	return sp
}

// newAxis makes the axis of a range that checkRange found no fault with.
func newAxis(spec backtest.ParamSpec, r Range) axis {
	if r.Values != nil {
		return axis{name: spec.Name, values: slices.Sorted(slices.Values(r.Values)), count: uint64(len(r.Values)), searched: true}
	}
	a := axis{name: spec.Name, low: *r.Low, high: *r.High, log: r.Log, searched: true}
	switch {
	case r.Step != nil:
		a.step = *r.Step
	case r.isInt(spec):
		a.step = 1
	default:
		return a
	}
	a.count = uint64((a.high-a.low)/a.step+1e-9) + 1
	return a
}

func (r Range) isInt(spec backtest.ParamSpec) bool {
	return spec.Whole() || r.Type == string(backtest.KindInt)
}

// point writes the parameters of the i-th point of a discrete space; the last axis varies fastest.
func (sp *space) point(i uint64, out backtest.Params) {
	for k := len(sp.axes) - 1; k >= 0; k-- {
		a := &sp.axes[k]
		if a.count == 1 {
			out[k] = a.at(0)
			continue
		}
		out[k] = a.at(i % a.count)
		i /= a.count
	}
}

// searched are the indexes of the axes that are searched.
func (sp *space) searched() []int {
	var at []int
	for k := range sp.axes {
		if sp.axes[k].searched {
			at = append(at, k)
		}
	}
	return at
}
