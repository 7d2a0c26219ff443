package ir

import "slices"

// openSeries are known when a bar opens: its open, its times and its number.
var openSeries = []int{SeriesOpen, SeriesTime, SeriesTimeClose, SeriesIndex}

// foresight finds what a program over another timeframe knows only when its bar has closed. A request with
// lookahead on shows a bar's values from its first chart bar on: it is right only about values that do not
// depend on the bar's high, low, close or volume.
type foresight struct {
	l       *lowerer
	late    map[Slot]bool // known at the close only
	changed bool
}

// looksAhead reports whether a result of the sub-program is known only when the bar has closed.
func (l *lowerer) looksAhead(sub *Sub) bool {
	f := &foresight{l: l, late: map[Slot]bool{}, changed: true}
	for f.changed {
		f.changed = false
		f.block(sub.Code, false)
	}
	return slices.ContainsFunc(sub.Results, f.isLate)
}

func (f *foresight) isLate(s Slot) bool {
	info := f.l.info(s)
	if info.Kind == SlotBar {
		return !slices.Contains(openSeries, info.Index)
	}
	return f.late[s]
}

// block marks what instructions write; branch says that a condition known only at the close holds them.
func (f *foresight) block(b Block, branch bool) {
	for _, in := range b {
		late := branch || f.instLate(in)
		for _, d := range in.Dst {
			f.mark(d, late)
		}
		inner := branch || (in.Op == OpIf || in.Op == OpLoop) && slices.ContainsFunc(in.Args, f.isLate)
		for _, block := range in.Blocks {
			f.block(block, inner)
		}
	}
}

func (f *foresight) mark(s Slot, late bool) {
	if late && !f.late[s] {
		f.late[s], f.changed = true, true
	}
}

func (f *foresight) instLate(in *Inst) bool {
	switch in.Op {
	case OpBarHist:
		return !slices.Contains(openSeries, in.N) && !f.atLeastOne(in.Args[0])
	case OpHist:
		return !f.atLeastOne(in.Args[1]) && f.isLate(in.Args[0])
	case OpSource, OpObject, OpNew, OpField, OpSetField, OpSecurity:
		return true
	case OpKernel:
		if !ofArguments[in.Name] {
			return true // it reads the bar itself
		}
	}
	return slices.ContainsFunc(in.Args, f.isLate)
}

// atLeastOne reports whether an offset is one bar or more, whatever the inputs are.
func (f *foresight) atLeastOne(s Slot) bool {
	info := f.l.info(s)
	switch info.Kind {
	case SlotConst:
		return info.Value >= 1
	case SlotInput:
		return f.l.p.Inputs[info.Index].Min >= 1
	}
	return false
}

// ofArguments are the laws that see nothing but their arguments.
var ofArguments = map[string]bool{
	"sma": true, "ema": true, "rma": true, "wma": true, "hma": true, "swma": true, "alma": true, "rsi": true, "macd": true, "stdev": true,
	"variance": true, "dev": true, "bb": true, "bbw": true, "highest": true, "lowest": true, "highestbars": true, "lowestbars": true,
	"stoch": true, "crossover": true, "crossunder": true, "cross": true, "change": true, "mom": true, "roc": true, "cum": true, "sum": true,
	"pivothigh": true, "pivotlow": true, "valuewhen": true, "barssince": true, "linreg": true, "percentrank": true, "median": true, "mode": true,
	"percentile_linear_interpolation": true, "percentile_nearest_rank": true, "range": true, "cci": true, "cmo": true, "tsi": true, "cog": true,
	"rci": true, "correlation": true, "rising": true, "falling": true, "max": true, "min": true, "fixnan": true,
}
