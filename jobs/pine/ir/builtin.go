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
		base, _, _ := strings.Cut(name, ".")
		return l.drawing(base)
	}
	if r, ok := types.Refused(name); ok && !(name == "math.random" && len(x.Args) == 3) {
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

var mathOps = map[string]Op{"abs": OpAbs, "sqrt": OpSqrt, "floor": OpFloor, "ceil": OpCeil}

func (l *lowerer) callMath(x *syntax.Call, name string, a *arguments) value {
	switch name {
	case "sum":
		return l.kernel(x.Pos, "sum", []*types.Type{types.FloatType}, a.slot(0, nil), a.slot(1, nil))
	case "max", "min", "avg":
		return l.variadic(x, name, a)
	case "random":
		return l.refused(x.Pos, "math.random: the generator behind it is not public", "use a series of your own", types.FloatType)
	}
	t := types.Scalar(a.sig.Results[0])
	if a.sig.Results[0] == "num" {
		n, _ := l.number(*a.vals[0])
		t = n.typ
	}
	if name == "round" {
		t = types.IntType
		if a.vals[1] != nil {
			t = types.FloatType
		}
	}
	if op, ok := mathOps[name]; ok {
		return one(t, l.op(x.Pos, op, t, a.slot(0, nil)))
	}
	slots := make([]Slot, len(a.sig.Params))
	consts := make([]float64, len(slots))
	fixed := name != "round_to_mintick"
	for i := range slots {
		slots[i] = a.slot(i, nil)
		v, ok := l.constNumber(slots[i])
		consts[i], fixed = v, fixed && ok
	}
	if f := Math(name); fixed && f != nil {
		return one(t, l.constant(t, f(consts)))
	}
	return l.function(x.Pos, "math."+name, t, slots...)
}

// Math is the pure function math.name over its arguments, or nil. round_to_mintick needs the market.
func Math(name string) func([]float64) float64 {
	one := func(f func(float64) float64) func([]float64) float64 {
		return func(a []float64) float64 { return f(a[0]) }
	}
	switch name {
	case "pow":
		return func(a []float64) float64 { return math.Pow(a[0], a[1]) }
	case "exp":
		return one(math.Exp)
	case "log":
		return one(math.Log)
	case "log10":
		return one(math.Log10)
	case "sin":
		return one(math.Sin)
	case "cos":
		return one(math.Cos)
	case "tan":
		return one(math.Tan)
	case "asin":
		return one(math.Asin)
	case "acos":
		return one(math.Acos)
	case "atan":
		return one(math.Atan)
	case "todegrees":
		return func(a []float64) float64 { return a[0] * 180 / math.Pi }
	case "toradians":
		return func(a []float64) float64 { return a[0] * math.Pi / 180 }
	case "sign":
		return func(a []float64) float64 {
			switch {
			case a[0] > 0:
				return 1
			case a[0] < 0:
				return -1
			}
			return a[0]
		}
	case "round":
		return func(a []float64) float64 {
			if a[1] != a[1] {
				return math.Floor(a[0] + 0.5)
			}
			scale := math.Pow(10, a[1])
			return math.Floor(a[0]*scale+0.5) / scale
		}
	}
	return nil
}

func (l *lowerer) variadic(x *syntax.Call, name string, a *arguments) value {
	if len(a.extra) == 0 {
		l.errorAt(x.Pos, "P204", "math."+name+" needs arguments", "")
		return l.na()
	}
	t := types.IntType
	var slots []Slot
	for _, v := range a.extra {
		n, ok := l.number(v)
		if !ok {
			l.errorAt(x.Pos, "P203", fmt.Sprintf("math.%s wants numbers and gets a %s", name, v.typ), "")
			return l.na()
		}
		if n.typ.Kind == types.Float {
			t = types.FloatType
		}
		slots = append(slots, n.slot())
	}
	op := map[string]Op{"max": OpMax, "min": OpMin, "avg": OpAdd}[name]
	if name == "avg" {
		t = types.FloatType
	}
	r := slots[0]
	for _, s := range slots[1:] {
		r = l.op(x.Pos, op, t, r, s)
	}
	if name == "avg" {
		r = l.op(x.Pos, OpDiv, t, r, l.constant(types.IntType, float64(len(slots))))
	}
	return one(t, r)
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
		v := *a.vals[0]
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
			slots = append(slots, v.slot())
			names += "|" + v.typ.String()
		}
		return l.function(x.Pos, names, types.StringType, slots...)
	case "str.tostring":
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

func (l *lowerer) cast(x *syntax.Call, name string, v value) value {
	t := types.Scalar(name)
	switch {
	case v.typ.Kind == types.NA:
		if t.Kind == types.Bool && l.version >= 6 {
			return l.boolean(false)
		}
		return one(t, l.constant(t, math.NaN()))
	case types.Same(t, v.typ):
		return v
	case name == "int":
		if n, ok := l.number(v); ok {
			return one(t, l.op(x.Pos, OpTrunc, t, n.slot()))
		}
	case name == "float":
		if n, ok := l.number(v); ok {
			return one(t, n.slot())
		}
	case name == "bool" && v.typ.IsNumber():
		return one(t, l.op(x.Pos, OpToBool, t, l.op(x.Pos, OpNz, v.typ, v.slot(), l.constant(types.IntType, 0))))
	case name == "color" && v.typ.IsNumber(), name == "string" && v.typ.Kind == types.Handle:
		return one(t, v.slot())
	}
	l.errorAt(x.Pos, "P203", fmt.Sprintf("a %s cannot become a %s", v.typ, name), "")
	return one(t, l.constant(t, math.NaN()))
}

func (l *lowerer) nz(x *syntax.Call, a *arguments) value {
	v := *a.vals[0]
	if v.typ.Kind == types.Bool && l.version >= 6 {
		l.errorAt(x.Pos, "P203", "a bool is never na from version 6 on", "drop nz()")
	}
	if v.typ.Kind == types.NA {
		v.typ = types.FloatType
	}
	repl := l.constant(v.typ, 0)
	if v.typ.Kind == types.String {
		repl = l.text("")
	}
	t := v.typ
	if r := a.vals[1]; r != nil {
		repl = r.slot()
		if j := types.Join(t, r.typ, l.version); j != nil {
			t = j
		} else {
			l.errorAt(x.Pos, "P203", fmt.Sprintf("nz cannot replace a %s by a %s", t, r.typ), "")
		}
	}
	return one(t, l.op(x.Pos, OpNz, t, v.slot(), repl))
}

// iff is version 4's function: both sides are computed.
func (l *lowerer) iff(x *syntax.Call) value {
	if len(x.Args) != 3 || l.version > 4 {
		l.errorAt(x.Pos, "P201", "iff takes a condition and two values, before version 5", "write cond ? a : b")
		return l.na()
	}
	cond := l.condition(x.Args[0].Value)
	a := l.scalar(x.Args[1].Value, "iff")
	b := l.scalar(x.Args[2].Value, "iff")
	t := l.join(x.Pos, a.typ, b.typ)
	return one(t, l.op(x.Pos, OpSelect, t, cond, a.slot(), b.slot()))
}

func (l *lowerer) offset(x *syntax.Call) value {
	if len(x.Args) != 2 {
		l.errorAt(x.Pos, "P204", "offset takes a series and a number of bars", "")
		return l.na()
	}
	return l.index(&syntax.Index{Node: x.Node, X: x.Args[0].Value, I: x.Args[1].Value})
}

// timestamp lowers timestamp(text), timestamp(year, month, day, hour, minute, second) and the form with
// a time zone first.
func (l *lowerer) timestamp(x *syntax.Call) value {
	na := l.constant(types.IntType, math.NaN())
	slots := []Slot{l.constant(types.StringType, math.NaN()), na, na, na, na, na, na}
	names := []string{"timezone", "year", "month", "day", "hour", "minute", "second"}
	at := 1
	for i, arg := range x.Args {
		v := l.scalar(arg.Value, "timestamp")
		if arg.Name == "" && i == 0 && v.typ.Kind == types.String && len(x.Args) == 1 || arg.Name == "dateString" {
			if text, ok := l.constText(v.slot()); ok {
				ms, err := ParseDate(text)
				if err != nil {
					l.errorAt(arg.Pos, "P208", err.Error(), "write it as 2024-01-31 or 31 Jan 2024 00:00 +0000")
				}
				return one(types.IntType, l.constant(types.IntType, float64(ms)))
			}
			return l.function(x.Pos, "timestamp.text", types.IntType, v.slot())
		}
		n := at
		if arg.Name == "" && i == 0 && v.typ.Kind == types.String {
			n = 0
		} else if arg.Name == "" {
			at++
		}
		if arg.Name != "" {
			n = -1
			for j, name := range names {
				if name == arg.Name {
					n = j
				}
			}
		}
		if n < 0 || n >= len(slots) {
			l.errorAt(arg.Pos, "P204", "timestamp takes a time zone, year, month, day, hour, minute and second", "")
			return l.na()
		}
		slots[n] = v.slot()
	}
	return l.function(x.Pos, "timestamp", types.IntType, slots...)
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

// newCollection lowers array.new<T>, array.new_float, array.from, matrix.new<T>, map.new<K, V>.
func (l *lowerer) newCollection(x *syntax.Call, name string) value {
	sigs := map[string][]string{"array": {"size", "initial_value"}, "matrix": {"rows", "columns", "initial_value"}, "map": {}}
	base, rest, _ := strings.Cut(name, ".")
	if name == "array.from" {
		return l.arrayFrom(x)
	}
	var t *types.Type
	if kind, ok := strings.CutPrefix(rest, "new_"); ok {
		elem := types.Scalar(kind)
		if elem == nil {
			elem = types.HandleOf(kind)
		}
		t = types.ArrayOf(elem)
	} else {
		ref := &syntax.TypeRef{Node: x.Node, Name: base, Args: x.TypeArgs}
		if len(x.TypeArgs) == 0 {
			if base == "map" {
				l.errorAt(x.Pos, "P205", "a map needs the types of its keys and values", "write map.new<string, float>()")
				return l.na()
			}
			ref.Args = []*syntax.TypeRef{{Node: x.Node, Name: "float"}}
		}
		t = l.resolve(ref)
	}
	slots := make([]Slot, 0, 3)
	for i, p := range sigs[base] {
		var v value
		found := false
		for j, a := range x.Args {
			if a.Name == p || a.Name == "" && j == i {
				v, found = l.scalar(a.Value, name), true
			}
		}
		switch {
		case p == "initial_value" && found:
			v = l.convert(x.Pos, v, t.Elem, p)
		case p == "initial_value" && t.Elem.Kind == types.Bool && l.version >= 6:
			v = l.boolean(false)
		case p == "initial_value":
			v = one(t.Elem, l.constant(t.Elem, math.NaN()))
		case !found:
			v = one(types.IntType, l.constant(types.IntType, 0))
		}
		slots = append(slots, v.slot())
	}
	dst := l.temp(t)
	l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: slots, Name: base + ".new", Class: t.String(), Pos: x.Pos})
	return one(t, dst)
}

func (l *lowerer) arrayFrom(x *syntax.Call) value {
	var slots []Slot
	elem := types.NAType
	for _, a := range x.Args {
		v := l.scalar(a.Value, "array.from")
		elem = l.join(a.Pos, elem, v.typ)
		slots = append(slots, v.slot())
	}
	if elem.Kind == types.NA {
		elem = types.FloatType
	}
	t := types.ArrayOf(elem)
	dst := l.temp(t)
	l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: slots, Name: "array.from", Class: t.String(), Pos: x.Pos})
	return one(t, dst)
}

// callObject lowers the functions of collections.
func (l *lowerer) callObject(x *syntax.Call, name string, a *arguments) value {
	first := a.vals[0].typ
	want := map[string]types.Kind{"arr": types.Array, "mat": types.Matrix, "map": types.Map}[a.sig.Params[0].Type]
	if first.Kind != want {
		if first.Kind != types.NA || l.diags.HasErrors() {
			l.errorAt(x.Pos, "P203", fmt.Sprintf("%s wants another collection than a %s", name, first), "")
		}
		return l.na()
	}
	slots := make([]Slot, len(a.sig.Params))
	for i := range slots {
		slots[i] = a.slot(i, first)
	}
	var t *types.Type
	class := first.String()
	switch r := a.sig.Results[0]; r {
	case "self":
		t = first
	case "elem":
		t = first.Elem
	case "elems":
		t = types.ArrayOf(first.Elem)
	case "keys":
		t = types.ArrayOf(first.Key)
	case "floats":
		t = types.ArrayOf(types.FloatType)
	case "ints":
		t = types.ArrayOf(types.IntType)
	case "mult":
		t = first
		if a.vals[1].typ.Kind == types.Array {
			t = a.vals[1].typ
			name = "matrix.mult_array"
		} else if a.vals[1].typ.Kind != types.Matrix {
			name = "matrix.mult_number"
		}
	default:
		t = types.Scalar(r)
	}
	if (name == "matrix.sum" || name == "matrix.diff") && a.vals[1].typ.Kind != types.Matrix {
		name += "_number"
	}
	if t.Kind == types.Void {
		l.emit(&Inst{Op: OpObject, Args: slots, Name: name, Class: class, Pos: x.Pos})
		return l.void()
	}
	dst := l.temp(t)
	l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: slots, Name: name, Class: class, Pos: x.Pos})
	return one(t, dst)
}
