package ir

import (
	"fmt"
	"math"
	"strings"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

func (l *lowerer) ident(x *syntax.Ident) value {
	if s := l.find(x.Name); s != nil && s.kind == symVar {
		return s.val
	}
	return l.builtin(x.Pos, x.Name)
}

// dotted spells a chain of members that begins with a name which no local symbol has.
func (l *lowerer) dotted(x syntax.Expr) string {
	switch x := x.(type) {
	case *syntax.Ident:
		if s := l.find(x.Name); s != nil && s.kind == symVar {
			return ""
		}
		return x.Name
	case *syntax.Member:
		if base := l.dotted(x.X); base != "" {
			return base + "." + x.Name
		}
	}
	return ""
}

// spelled is the chain of members as written, even when a variable has the name that it begins with.
func spelled(x syntax.Expr) string {
	switch x := x.(type) {
	case *syntax.Ident:
		return x.Name
	case *syntax.Member:
		if base := spelled(x.X); base != "" {
			return base + "." + x.Name
		}
	}
	return ""
}

// shadowed is the built-in name that is meant where a variable without fields has the name of its prefix.
func (l *lowerer) shadowed(x *syntax.Member) string {
	id, ok := x.X.(*syntax.Ident)
	if !ok {
		return ""
	}
	s := l.find(id.Name)
	if s == nil || s.kind != symVar || s.val.typ.Kind == types.Object {
		return ""
	}
	return spelled(x)
}

// hasVariable reports whether a name is a built-in variable or constant.
func (l *lowerer) hasVariable(name string) bool {
	modern := types.Modern(name, l.version, false)
	if _, ok := types.ConstantOf(modern); ok {
		return true
	}
	return types.Variable(modern) != nil
}

// hasFunction reports whether a name is a built-in function, supported or not.
func (l *lowerer) hasFunction(name string) bool {
	modern := types.Modern(name, l.version, true)
	if _, ok := types.Refused(modern); ok {
		return true
	}
	return types.Function(modern) != nil || types.Ignored(modern) || strings.HasPrefix(modern, "input.")
}

func (l *lowerer) member(x *syntax.Member) value {
	if name := l.shadowed(x); name != "" && l.hasVariable(name) {
		return l.builtin(x.Pos, name)
	}
	if name := l.dotted(x); name != "" {
		base, rest, _ := strings.Cut(name, ".")
		if s := l.find(base); s != nil && s.kind == symEnum {
			for i, f := range s.enum.Fields {
				if f.Name == rest {
					t := &types.Type{Kind: types.Enum, Name: base}
					return one(t, l.constant(t, float64(i)))
				}
			}
			l.errorAt(x.Pos, "P202", fmt.Sprintf("%s has no value %q", base, rest), "")
			return l.na()
		}
		return l.builtin(x.Pos, name)
	}
	v := l.scalar(x.X, "a field")
	if v.typ.Kind == types.Handle {
		return l.refused(x.Pos, "drawings hold no values here", "keep the value in a variable of your own", types.FloatType)
	}
	if v.typ.Kind != types.Object {
		l.errorAt(x.Pos, "P202", fmt.Sprintf("a %s has no field %q", v.typ, x.Name), "")
		return l.na()
	}
	n, t := l.field(v.typ, x)
	if n < 0 {
		return l.na()
	}
	dst := l.temp(t)
	l.emit(&Inst{Op: OpField, Dst: []Slot{dst}, Args: []Slot{v.slot()}, N: n, Class: v.typ.String(), Pos: x.Pos})
	return one(t, dst)
}

// refused emits what is an error only when it reaches an order.
func (l *lowerer) refused(p syntax.Pos, message, advice string, t *types.Type) value {
	dst := l.temp(t)
	l.emit(&Inst{Op: OpRefuse, Dst: []Slot{dst}, Name: message, Advice: advice, Pos: p})
	return one(t, dst)
}

// builtin is a built-in variable or constant.
func (l *lowerer) builtin(p syntax.Pos, written string) value {
	name := types.Modern(written, l.version, false)
	if name == "na" {
		return l.na()
	}
	if base, ok := strings.CutSuffix(name, ".all"); ok && types.IsDrawing(base) {
		return l.refused(p, "drawings hold no values here", "keep the values in an array of your own", types.ArrayOf(types.HandleOf(base)))
	}
	if r, ok := types.Refused(name); ok {
		t := types.Variable(name)
		if t == nil {
			t = types.FloatType
		}
		return l.refused(p, name+": "+r.Message, r.Advice, t)
	}
	for i, series := range SeriesNames {
		if name == series {
			return one(l.info(l.bars[i]).Type, l.bars[i])
		}
	}
	if t := types.Variable(name); t != nil {
		return l.variable(p, name, t)
	}
	if l.version < 5 && (name == "strategy.long" || name == "strategy.short") {
		return l.boolean(name == "strategy.long")
	}
	if c, ok := types.ConstantOf(name); ok {
		if c.Type.Kind == types.String {
			return one(c.Type, l.text(c.Text))
		}
		return one(c.Type, l.constant(c.Type, c.Number))
	}
	if types.PlainWord(name, l.version) {
		return one(types.StringType, l.text(strings.TrimPrefix(name, "input.")))
	}
	l.unknown(p, written)
	return l.na()
}

func (l *lowerer) unknown(p syntax.Pos, name string) {
	if s := l.find(name); s != nil {
		l.errorAt(p, "P201", fmt.Sprintf("%q is not a variable", name), "call it, or give the variable another name")
		return
	}
	advice := "declare it above this line"
	if m := types.Modern(name, 4, true); m != name && l.version >= 5 {
		advice = "its name is " + m + " from version 5 on"
	}
	l.errorAt(p, "P201", fmt.Sprintf("the name %q is not known", name), advice)
}

// variable is a built-in variable that is not a bar series.
func (l *lowerer) variable(p syntax.Pos, name string, t *types.Type) value {
	switch name {
	case "barstate.isconfirmed", "barstate.ishistory", "barstate.isnew", "session.ismarket", "chart.is_standard":
		return l.boolean(true)
	case "barstate.islast", "barstate.islastconfirmedhistory":
		l.note(p, "P906", name+" is false: which bar is the last is not known before it comes")
		return l.boolean(false)
	case "barstate.isrealtime", "session.ispremarket", "session.ispostmarket", "timeframe.isticks", "chart.is_heikinashi", "chart.is_renko", "chart.is_kagi",
		"chart.is_linebreak", "chart.is_pnf", "chart.is_range":
		return l.boolean(false)
	case "barstate.isfirst":
		return one(t, l.op(p, OpEq, t, l.bars[SeriesIndex], l.constant(types.IntType, 0)))
	case "chart.bg_color", "chart.fg_color":
		return one(t, l.constant(t, 0))
	}
	if strings.HasPrefix(name, "ta.") || strings.HasPrefix(name, "session.") {
		return l.everyBar(p, name, t)
	}
	if strings.HasPrefix(name, "strategy.") {
		dst := l.temp(t)
		l.emit(&Inst{Op: OpRead, Dst: []Slot{dst}, Name: name, Pos: p})
		return one(t, dst)
	}
	var args []Slot
	switch name {
	case "year", "month", "weekofyear", "dayofmonth", "dayofweek", "hour", "minute", "second", "time_tradingday":
		args = []Slot{l.bars[SeriesTime]}
	}
	v := l.function(p, name, t, args...)
	if name == "syminfo.tickerid" || name == "syminfo.ticker" || name == "syminfo.main_tickerid" {
		l.own[v.slot()] = ownStandard
	}
	return v
}

func (l *lowerer) function(p syntax.Pos, name string, t *types.Type, args ...Slot) value {
	dst := l.temp(t)
	l.emit(&Inst{Op: OpFunc, Dst: []Slot{dst}, Args: args, Name: name, Pos: p})
	return one(t, dst)
}

// everyBar is a variable whose state advances on every bar, with or without a reader: it stands before the
// script's first statement.
func (l *lowerer) everyBar(p syntax.Pos, name string, t *types.Type) value {
	if v, ok := l.builtins[name]; ok {
		return v
	}
	outer := l.block
	l.block = &l.prologue
	var v value
	switch name {
	case "ta.tr":
		v = l.kernel(p, "tr", []*types.Type{t}, l.boolean(false).slot())
	case "ta.vwap":
		day := l.function(p, "timeframe.change", types.BoolType, l.text("D"))
		na := l.constant(types.FloatType, math.NaN())
		v = l.kernel(p, "vwap", []*types.Type{t, t, t}, l.bars[SeriesHLC3], day.slot(), na)
		v = one(t, v.slots[0])
	case "session.isfirstbar", "session.isfirstbar_regular":
		v = l.function(p, "timeframe.change", types.BoolType, l.text("D"))
	case "session.islastbar", "session.islastbar_regular":
		v = l.function(p, "session.islastbar", types.BoolType, l.bars[SeriesTimeClose])
	default:
		v = l.kernel(p, strings.TrimPrefix(name, "ta."), []*types.Type{t})
	}
	l.block = outer
	l.builtins[name] = v
	return v
}

func (l *lowerer) kernel(p syntax.Pos, law string, results []*types.Type, args ...Slot) value {
	in := &Inst{Op: OpKernel, Args: args, Name: law, N: l.p.Kernels, Pos: p}
	l.p.Kernels++
	v := value{typ: results[0]}
	for _, t := range results {
		in.Dst = append(in.Dst, l.temp(t))
	}
	v.slots = in.Dst
	if len(results) > 1 {
		v.typ = &types.Type{Kind: types.Tuple, Items: results}
	}
	l.emit(in)
	return v
}
