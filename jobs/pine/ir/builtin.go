package ir

import (
	"fmt"
	"math"
	"strings"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// callBuiltin lowers a call of a built-in function; recv is a method's receiver.
func (l *lowerer) callBuiltin(x *syntax.Call, written string, recv *value, want bool) value {
	name := types.Modern(written, l.version, true)
	switch {
	case name == "strategy":
		return l.strategy(x)
	case name == "indicator" || name == "library":
		l.errorAt(x.Pos, "P302", fmt.Sprintf("the script is declared with %s(): it gives no orders", written), "declare it with strategy() and add strategy.entry and strategy.exit calls")
		l.declared = true
		return l.void()
	case name == "input" || strings.HasPrefix(name, "input."):
		return l.input(x, name)
	case name == "request.security":
		return l.security(x)
	case strings.HasPrefix(name, "ticker."):
		return l.ticker(x, name)
	case name == "timestamp":
		return l.timestamp(x)
	case name == "color" && l.version < 5:
		return one(types.ColorType, l.constant(types.ColorType, 0))
	case name == "iff":
		return l.iff(x)
	case name == "offset" && l.version < 5:
		return l.offset(x)
	case strings.HasPrefix(name, "array.new") || strings.HasPrefix(name, "matrix.new") || name == "map.new" || name == "array.from":
		return l.newCollection(x, name)
	case (name == "line" || name == "label" || name == "box" || name == "table" || name == "linefill" || name == "polyline") && len(x.Args) == 1:
		return l.drawing(name)
	case types.Ignored(name):
		if strings.HasPrefix(name, "color.") {
			return one(types.ColorType, l.constant(types.ColorType, 0))
		}
		l.plot(x, name)
		base, _, _ := strings.Cut(name, ".")
		return l.drawing(base)
	}
	if r, ok := types.Refused(name); ok {
		return l.refusedCall(x, name, r)
	}
	sig := types.Function(name)
	if old := types.Function(name + "@4"); old != nil && l.version < 5 {
		sig = old
	}
	if sig == nil {
		l.unknownFunction(x.Pos, written)
		return l.na()
	}
	args, ok := l.bindArguments(x, sig, recv)
	if !ok {
		return l.na()
	}
	switch base, rest, _ := strings.Cut(name, "."); base {
	case "ta":
		return l.callTA(x, rest, args)
	case "math":
		return l.callMath(x, rest, args)
	case "array", "matrix", "map":
		return l.callObject(x, name, args)
	case "strategy":
		return l.callStrategy(x, name, args)
	}
	return l.callPlain(x, name, args)
}

func (l *lowerer) refusedCall(x *syntax.Call, name string, r types.Refusal) value {
	if strings.HasPrefix(name, "request.") {
		l.errorAt(x.Pos, "P305", name+": "+r.Message, r.Advice)
		return l.na()
	}
	return l.refused(x.Pos, name+": "+r.Message, r.Advice, types.FloatType)
}

func (l *lowerer) unknownFunction(p syntax.Pos, name string) {
	advice := "declare it above this line"
	if m := types.Modern(name, 4, true); m != name && l.version >= 5 {
		advice = "its name is " + m + " from version 5 on"
	} else if s := l.find(name); s != nil {
		l.errorAt(p, "P201", fmt.Sprintf("%q is not a function", name), "")
		return
	}
	l.errorAt(p, "P201", fmt.Sprintf("the function %q is not known", name), advice)
}

// callTA lowers a law of ta: forms and defaults become the kernel's arguments.
func (l *lowerer) callTA(x *syntax.Call, law string, a *arguments) value {
	sig := a.sig
	fill := func(i int, s Slot, t *types.Type) {
		if a.vals[i] == nil {
			v := one(t, s)
			a.vals[i] = &v
		}
	}
	switch law {
	case "highest", "highestbars", "pivothigh":
		fill(0, l.bars[SeriesHigh], types.FloatType)
	case "lowest", "lowestbars", "pivotlow":
		fill(0, l.bars[SeriesLow], types.FloatType)
	case "tr":
		fill(0, l.boolean(false).slot(), types.BoolType)
		if info := l.info(a.vals[0].slot()); info.Kind == SlotConst && !True(info.Value) {
			return l.everyBar(x.Pos, "ta.tr", types.FloatType)
		}
	case "alma":
		fill(4, l.boolean(false).slot(), types.BoolType)
	case "stdev", "variance":
		fill(2, l.boolean(true).slot(), types.BoolType)
	case "kc", "kcw":
		fill(3, l.boolean(true).slot(), types.BoolType)
	case "change":
		fill(1, l.constant(types.IntType, 1), types.IntType)
		if a.vals[0].typ.Kind == types.Bool {
			before := l.history(x.Pos, nil, *a.vals[0], l.constant(types.IntType, 1))
			return l.compare(&syntax.Binary{Node: x.Node, Op: "!="}, *a.vals[0], before)
		}
	case "vwap":
		return l.vwap(x, a)
	case "rsi":
		if l.version < 5 && a.vals[1].typ.Kind == types.Float && l.info(a.vals[1].slot()).Kind == SlotVar {
			one100, ratio := l.constant(types.IntType, 100), l.op(x.Pos, OpDiv, types.FloatType, a.vals[0].slot(), a.vals[1].slot())
			below := l.op(x.Pos, OpAdd, types.FloatType, l.constant(types.IntType, 1), ratio)
			return one(types.FloatType, l.op(x.Pos, OpSub, types.FloatType, one100, l.op(x.Pos, OpDiv, types.FloatType, one100, below)))
		}
	}
	slots := make([]Slot, len(sig.Params))
	for i := range slots {
		if a.vals[i] != nil {
			v := l.plainValue(x, *a.vals[i], "ta."+law)
			a.vals[i] = &v
		}
		slots[i] = a.slot(i, nil)
	}
	results := make([]*types.Type, len(sig.Results))
	for i, r := range sig.Results {
		switch r {
		case "num", "self":
			results[i] = numeric(a.vals[0].typ)
		case "self2":
			results[i] = numeric(a.vals[1].typ)
		default:
			results[i] = types.Scalar(r)
		}
	}
	if l.depth > 0 && !l.warned && len(l.inlining) == 0 && l.loops == 0 {
		l.warned = true
		l.diags.Add(x.Pos, syntax.Warning, "P901", "ta."+law+" keeps state and stands in a branch: it sees only the bars on which the branch runs", "call it outside and use its value in the branch")
	}
	return l.kernel(x.Pos, law, results, slots...)
}

func numeric(t *types.Type) *types.Type {
	if t.Kind == types.NA {
		return types.FloatType
	}
	return t
}

func (l *lowerer) vwap(x *syntax.Call, a *arguments) value {
	anchor := value{types.BoolType, nil}
	if a.vals[1] != nil {
		anchor.slots = []Slot{a.slot(1, nil)}
	} else {
		anchor = l.function(x.Pos, "timeframe.change", types.BoolType, l.text("D"))
	}
	three := []*types.Type{types.FloatType, types.FloatType, types.FloatType}
	v := l.kernel(x.Pos, "vwap", three, a.slot(0, nil), anchor.slot(), a.slot(2, nil))
	if a.vals[2] != nil {
		return v
	}
	return one(types.FloatType, v.slots[0])
}

// callPlain lowers conversions, na, nz, texts and times.
func (l *lowerer) callPlain(x *syntax.Call, name string, a *arguments) value {
	switch name {
	case "int", "float", "bool", "string", "color":
		return l.cast(x, name, *a.vals[0])
	case "na":
		if a.vals[0].typ.Kind == types.Bool && l.version >= 6 {
			l.errorAt(x.Pos, "P203", "a bool is never na from version 6 on", "drop na()")
		}
		return one(types.BoolType, l.op(x.Pos, OpIsNa, types.BoolType, a.vals[0].slot()))
	case "nz":
		return l.nz(x, a)
	case "fixnan":
		v := l.plainValue(x, *a.vals[0], name)
		if v.typ.Kind == types.NA {
			return v
		}
		return l.kernel(x.Pos, "fixnan", []*types.Type{v.typ}, v.slot())
	case "runtime.error":
		l.emit(&Inst{Op: OpFail, Args: []Slot{a.slot(0, nil)}, Pos: x.Pos})
		return l.void()
	case "str.format":
		slots := []Slot{a.slot(0, nil)}
		names := "str.format"
		for _, v := range a.extra {
			if v.typ.IsReference() {
				v = l.collectionText(x, v, l.constant(types.StringType, math.NaN()))
			}
			slots = append(slots, v.slot())
			names += "|" + v.typ.String()
		}
		return l.function(x.Pos, names, types.StringType, slots...)
	case "str.tostring":
		if a.vals[0].typ.IsReference() {
			return l.collectionText(x, *a.vals[0], a.slot(1, nil))
		}
		return l.function(x.Pos, "str.tostring|"+a.vals[0].typ.String(), types.StringType, a.vals[0].slot(), a.slot(1, nil))
	case "str.split":
		t := types.ArrayOf(types.StringType)
		dst := l.temp(t)
		l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: []Slot{a.slot(0, nil), a.slot(1, nil)}, Name: name, Class: t.String(), Pos: x.Pos})
		return one(t, dst)
	}
	slots := make([]Slot, len(a.sig.Params))
	for i := range slots {
		slots[i] = a.slot(i, nil)
	}
	if name == "time" || name == "time_close" {
		slots = append(slots, l.bars[SeriesTime])
	}
	return l.function(x.Pos, name+"()", types.Scalar(a.sig.Results[0]), slots...)
}

// ticker lowers functions that describe the chart's own symbol.
func (l *lowerer) ticker(x *syntax.Call, name string) value {
	kind := ownStandard
	switch name {
	case "ticker.heikinashi":
		kind = ownHeikinAshi
	case "ticker.new", "ticker.standard", "ticker.modify", "ticker.inherit":
	default:
		r, _ := types.Refused(name)
		return l.refused(x.Pos, name+": "+r.Message, r.Advice, types.StringType)
	}
	for _, arg := range x.Args {
		v := l.scalar(arg.Value, name)
		if v.typ.Kind == types.String && l.own[v.slot()] == ownHeikinAshi {
			kind = ownHeikinAshi
		}
	}
	v := l.function(x.Pos, "syminfo.tickerid", types.StringType)
	l.own[v.slot()] = kind
	return v
}
