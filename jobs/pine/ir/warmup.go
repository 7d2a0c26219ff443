package ir

import (
	"math"

	"millrace/jobs/pine/types"
)

// Unbounded is the warm-up of a script that may remember its first bar.
const Unbounded = math.MaxInt32

// Warmup is how many bars before one decide, beside it, what the script does on it, with inputs up to the given
// values: the longest offsets and lengths on any way from a price to an order. What never forgets makes it
// Unbounded: variables that keep their value, counts, and laws whose past does not fade.
func Warmup(p *Program, inputs []float64) int {
	w := &warmth{p: p, inputs: inputs, need: make([]int, len(p.Slots)), writers: map[Slot][]*Inst{}}
	visit(p.Code, func(in *Inst) {
		for _, d := range in.Dst {
			w.writers[d] = append(w.writers[d], in)
		}
	})
	w.carried(p.Code, map[Slot]bool{})
	for changed := true; changed && !w.endless; {
		changed = false
		w.branch(p.Code, 0, 0, &changed)
	}
	if w.endless {
		return Unbounded
	}
	return w.most
}

// warmth finds how far back slots reach.
type warmth struct {
	p       *Program
	inputs  []float64
	need    []int
	writers map[Slot][]*Inst
	most    int
	endless bool
}

// carried looks for slots that a bar may read before it writes them.
func (w *warmth) carried(b Block, written map[Slot]bool) {
	for _, in := range b {
		for _, a := range in.Args {
			if w.p.Slots[a].Kind == SlotVar && !written[a] && len(w.writers[a]) > 0 {
				w.endless = true
			}
		}
		if len(in.Blocks) == 0 {
			for _, d := range in.Dst {
				written[d] = true
			}
			continue
		}
		sides := make([]map[Slot]bool, len(in.Blocks))
		for i, inner := range in.Blocks {
			sides[i] = map[Slot]bool{}
			for s := range written {
				sides[i][s] = true
			}
			w.carried(inner, sides[i])
		}
		if in.Op == OpIf {
			for s := range sides[0] {
				written[s] = written[s] || sides[1][s]
			}
		}
	}
}

// branch adds what instructions need to what they write; depth says how many conditions hold them, and cond
// how far those reach.
func (w *warmth) branch(b Block, depth, cond int, changed *bool) {
	for _, in := range b {
		reach := max(cond, w.reach(in, depth))
		if reach >= Unbounded || w.endless {
			w.endless = true
			return
		}
		w.most = max(w.most, reach)
		for _, d := range in.Dst {
			if reach > w.need[d] {
				w.need[d], *changed = reach, true
			}
		}
		for _, inner := range in.Blocks {
			w.branch(inner, depth+1, reach, changed)
		}
	}
}

// reach is how far back an instruction reaches through its arguments.
func (w *warmth) reach(in *Inst, depth int) int {
	far := 0
	for _, a := range in.Args {
		if info := w.p.Slots[a]; info.Kind == SlotBar && info.Index == SeriesIndex {
			return Unbounded // the bar's number is that of the history
		}
		far = max(far, w.need[a])
	}
	switch in.Op {
	case OpOnce, OpSecurity, OpObject, OpNew, OpField, OpSetField, OpLoop:
		return Unbounded
	case OpPush:
		if depth > 0 {
			return Unbounded // a history of runs, not of bars
		}
	case OpBarHist:
		return w.plus(far, w.upper(in.Args[0], 0))
	case OpHist:
		return w.plus(far, w.upper(in.Args[1], 0))
	case OpKernel:
		if depth > 0 {
			return Unbounded
		}
		return w.plus(far, w.law(in))
	case OpFunc:
		if in.Name == "timeframe.change" || in.Name == "session.islastbar" {
			return far + 1
		}
	}
	return far
}

func (w *warmth) plus(far int, more float64) int {
	if !(more >= 0) || more > 1e6 {
		return Unbounded
	}
	return far + int(math.Ceil(more))
}

// windowed are laws that see as many bars as their lengths say, with the factor by which a law forgets: after
// forty lengths of rma, and twenty of ema, less than the last bit of a start is left.
var windowed = map[string]float64{
	"sma": 1, "sum": 1, "wma": 1, "hma": 2, "vwma": 1, "alma": 1, "stdev": 1, "variance": 1, "dev": 1, "bb": 1, "bbw": 1, "stoch": 1,
	"highest": 1, "lowest": 1, "highestbars": 1, "lowestbars": 1, "change": 1, "mom": 1, "roc": 1, "pivothigh": 1, "pivotlow": 1, "linreg": 1,
	"percentrank": 1, "percentile_linear_interpolation": 1, "percentile_nearest_rank": 1, "median": 1, "mode": 1, "range": 1, "cci": 1,
	"cmo": 1, "cog": 1, "rci": 1, "wpr": 1, "mfi": 1, "correlation": 1, "rising": 1, "falling": 1,
	"ema": 20, "macd": 20, "kc": 20, "kcw": 20, "tsi": 20, "rma": 40, "rsi": 40, "atr": 40, "dmi": 40,
}

// law is how far a law reaches: the sum of its lengths, by its factor.
func (w *warmth) law(in *Inst) float64 {
	switch in.Name {
	case "swma":
		return 4
	case "tr", "crossover", "crossunder":
		return 1
	}
	factor, ok := windowed[in.Name]
	if !ok {
		return math.Inf(1)
	}
	sum := 1.0
	for _, a := range in.Args {
		if info := w.p.Slots[a]; info.Type.Kind == types.Int || info.Kind != SlotBar && w.fixed(a) {
			sum += math.Max(0, w.upper(a, 0))
		}
	}
	return factor * sum
}

// fixed reports whether a slot is a constant or an input.
func (w *warmth) fixed(s Slot) bool {
	kind := w.p.Slots[s].Kind
	return kind == SlotConst || kind == SlotInput
}

// upper is a bound of a slot's values that holds for all inputs up to the given ones; infinite where none is
// seen.
func (w *warmth) upper(s Slot, depth int) float64 {
	info := w.p.Slots[s]
	switch {
	case info.Kind == SlotConst:
		return info.Value
	case info.Kind == SlotInput:
		return w.inputs[info.Index]
	case info.Kind == SlotBar || depth > 20 || len(w.writers[s]) == 0:
		return math.Inf(1)
	}
	most := math.Inf(-1)
	for _, in := range w.writers[s] {
		most = math.Max(most, w.result(in, depth+1))
	}
	return most
}

func (w *warmth) result(in *Inst, depth int) float64 {
	at := func(i int) float64 { return w.upper(in.Args[i], depth) }
	switch in.Op {
	case OpSet, OpTrunc, OpFloor, OpAbs, OpSqrt:
		return at(0)
	case OpCeil:
		return math.Ceil(at(0))
	case OpSelect:
		return math.Max(at(1), at(2))
	case OpMax, OpMin, OpNz:
		return math.Max(at(0), at(1))
	case OpAdd:
		return at(0) + at(1)
	case OpMul:
		if a, b := at(0), at(1); a >= 0 && b >= 0 {
			return a * b
		}
	case OpDiv, OpSub:
		if b := w.p.Slots[in.Args[1]]; b.Kind == SlotConst && b.Value >= 1 {
			return at(0)
		}
	}
	return math.Inf(1)
}
