package ir

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// expr lowers an expression. Without want its value is not used.
func (l *lowerer) expr(x syntax.Expr, want bool) value {
	if l.over {
		return l.na()
	}
	switch x := x.(type) {
	case *syntax.Number:
		if x.Int {
			return one(types.IntType, l.constant(types.IntType, x.Value))
		}
		return one(types.FloatType, l.constant(types.FloatType, x.Value))
	case *syntax.Text:
		return one(types.StringType, l.text(x.Value))
	case *syntax.Bool:
		return l.boolean(x.Value)
	case *syntax.Color:
		n, _ := strconv.ParseUint(strings.TrimPrefix(x.Value, "#")[:6], 16, 32)
		return one(types.ColorType, l.constant(types.ColorType, float64(n)))
	case *syntax.Ident:
		return l.ident(x)
	case *syntax.Member:
		return l.member(x)
	case *syntax.Call:
		return l.call(x, want)
	case *syntax.Index:
		return l.index(x)
	case *syntax.Unary:
		return l.unary(x)
	case *syntax.Binary:
		return l.binary(x)
	case *syntax.Ternary:
		return l.ternary(x)
	case *syntax.Tuple:
		return l.tuple(x)
	case *syntax.If:
		return l.ifExpr(x, want)
	case *syntax.For:
		return l.forExpr(x, want)
	case *syntax.ForIn:
		return l.forIn(x, want)
	case *syntax.While:
		return l.while(x, want)
	case *syntax.Switch:
		return l.switchExpr(x, want)
	}
	return l.na()
}

// scalar lowers an expression that must have one value.
func (l *lowerer) scalar(x syntax.Expr, what string) value {
	v := l.expr(x, true)
	if len(v.slots) == 1 && v.typ.Kind != types.Tuple {
		return v
	}
	if !l.diags.HasErrors() {
		l.errorAt(x.At(), "P203", fmt.Sprintf("%s wants one value and gets %s", what, describe(v.typ)), "")
	}
	return l.na()
}

func (l *lowerer) condition(x syntax.Expr) Slot {
	return l.convert(x.At(), l.scalar(x, "a condition"), types.BoolType, "a condition").slot()
}

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

func (l *lowerer) member(x *syntax.Member) value {
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

// index lowers the history operator.
func (l *lowerer) index(x *syntax.Index) value {
	v := l.scalar(x.X, "a history")
	k := l.scalar(x.I, "an offset")
	if !k.typ.IsNumber() && k.typ.Kind != types.NA {
		l.errorAt(x.I.At(), "P203", fmt.Sprintf("an offset is an int, not a %s", k.typ), "")
		return v
	}
	if c, ok := l.constNumber(k.slot()); ok {
		switch {
		case c == 0:
			return v
		case c < 0:
			l.errorAt(x.I.At(), "P304", "a negative offset reads the future", "use an offset of zero or more")
			return v
		case c > MaxOffset:
			l.errorAt(x.I.At(), "P404", fmt.Sprintf("an offset is at most %d bars", MaxOffset), "")
			return v
		}
	}
	if name := l.dotted(x.X); name != "" {
		if s, ok := l.chartSeries(x.X.At(), types.Modern(name, l.version, false)); ok {
			return l.history(x.Pos, &syntax.Ident{Node: x.Node}, s, k.slot())
		}
	}
	return l.history(x.Pos, x.X, v, k.slot())
}

// chartSeries gives a built-in variable a value on every bar, before the script's first statement, so
// that its history counts bars also where a branch reads it.
func (l *lowerer) chartSeries(p syntax.Pos, name string) (value, bool) {
	t := types.Variable(name)
	if t == nil || slices.Contains(SeriesNames[:], name) || strings.HasPrefix(name, "ta.") || strings.HasPrefix(name, "session.") {
		return value{}, false
	}
	if _, refused := types.Refused(name); refused || l.find(name) != nil {
		return value{}, false
	}
	key := "history of " + name
	if v, ok := l.builtins[key]; ok {
		return v, true
	}
	outer := l.block
	l.block = &l.prologue
	v := l.variable(p, name, t)
	ok := l.info(v.slot()).Kind == SlotVar
	if ok {
		slot := l.temp(t)
		l.set(p, slot, v.slot())
		v = one(t, slot)
		l.builtins[key] = v
	}
	l.block = outer
	return v, ok
}

func (l *lowerer) history(p syntax.Pos, x syntax.Expr, v value, k Slot) value {
	info := l.info(v.slot())
	switch info.Kind {
	case SlotBar:
		dst := l.temp(v.typ)
		l.emit(&Inst{Op: OpBarHist, Dst: []Slot{dst}, Args: []Slot{k}, N: info.Index, Pos: p})
		return one(v.typ, dst)
	case SlotConst, SlotInput:
		return l.constHistory(p, v, k)
	}
	slot := v.slot()
	if _, named := x.(*syntax.Ident); !named {
		slot = l.temp(v.typ)
		l.set(p, slot, v.slot())
	}
	dst := l.temp(v.typ)
	l.emit(&Inst{Op: OpHist, Dst: []Slot{dst}, Args: []Slot{slot, k}, Pos: p})
	if v.typ.Kind == types.Bool && l.version >= 6 {
		return one(v.typ, l.op(p, OpNz, v.typ, dst, l.boolean(false).slot()))
	}
	return one(v.typ, dst)
}

// constHistory is a constant's history: na before the first bar.
func (l *lowerer) constHistory(p syntax.Pos, v value, k Slot) value {
	enough := l.op(p, OpGe, types.BoolType, l.bars[SeriesIndex], k)
	before := l.constant(v.typ, math.NaN())
	if v.typ.Kind == types.Bool && l.version >= 6 {
		before = l.boolean(false).slot()
	}
	return one(v.typ, l.op(p, OpSelect, v.typ, enough, v.slot(), before))
}

func (l *lowerer) unary(x *syntax.Unary) value {
	v := l.scalar(x.X, "“"+x.Op+"”")
	if x.Op == "not" {
		v = l.convert(x.Pos, v, types.BoolType, "“not”")
		return one(types.BoolType, l.op(x.Pos, OpNot, types.BoolType, v.slot()))
	}
	if v.typ.Kind == types.NA {
		return v
	}
	if !v.typ.IsNumber() && !(v.typ.Kind == types.Bool && l.version < 6) {
		l.errorAt(x.Pos, "P203", fmt.Sprintf("“%s” wants a number and gets a %s", x.Op, v.typ), "")
		return l.na()
	}
	t := v.typ
	if t.Kind == types.Bool {
		t = types.IntType
	}
	if x.Op == "+" {
		return one(t, v.slot())
	}
	return one(t, l.op(x.Pos, OpNeg, t, v.slot()))
}

func (l *lowerer) binary(x *syntax.Binary) value {
	switch x.Op {
	case "and", "or":
		return l.logical(x)
	}
	a := l.scalar(x.X, "“"+x.Op+"”")
	b := l.scalar(x.Y, "“"+x.Op+"”")
	switch x.Op {
	case "==", "!=", "<", ">", "<=", ">=":
		return l.compare(x, a, b)
	}
	return l.arithmetic(x.Pos, x.Op, a, b)
}

var arithmetic = map[string]Op{"+": OpAdd, "-": OpSub, "*": OpMul, "/": OpDiv, "%": OpMod}

// number gives a value as a number where the version lets it be one.
func (l *lowerer) number(v value) (value, bool) {
	switch {
	case v.typ.IsNumber():
		return v, true
	case v.typ.Kind == types.NA:
		return one(types.FloatType, v.slot()), true
	case v.typ.Kind == types.Bool && l.version < 6:
		return one(types.IntType, v.slot()), true
	}
	return v, false
}

func (l *lowerer) arithmetic(p syntax.Pos, op string, a, b value) value {
	if op == "+" && (a.typ.Kind == types.String || b.typ.Kind == types.String) {
		if a.typ.Kind != b.typ.Kind && a.typ.Kind != types.NA && b.typ.Kind != types.NA {
			l.errorAt(p, "P203", fmt.Sprintf("“+” cannot join a %s and a %s", a.typ, b.typ), "convert with str.tostring")
			return one(types.StringType, l.text(""))
		}
		if s, ok := l.constText(a.slot()); ok {
			if t, ok := l.constText(b.slot()); ok {
				return one(types.StringType, l.text(s+t))
			}
		}
		return l.function(p, "concat", types.StringType, a.slot(), b.slot())
	}
	a, okA := l.number(a)
	b, okB := l.number(b)
	if !okA || !okB {
		l.errorAt(p, "P203", fmt.Sprintf("“%s” wants numbers and gets a %s and a %s", op, a.typ, b.typ), "")
		return one(types.FloatType, l.constant(types.FloatType, math.NaN()))
	}
	t := types.FloatType
	if a.typ.Kind == types.Int && b.typ.Kind == types.Int && (op != "/" || l.version < 6) {
		t = types.IntType
	}
	r := l.op(p, arithmetic[op], t, a.slot(), b.slot())
	if op == "/" && t.Kind == types.Int {
		if l.info(a.slot()).Kind == SlotConst && l.info(b.slot()).Kind == SlotConst {
			r = l.op(p, OpTrunc, t, r)
		}
	}
	return one(t, r)
}

var comparisons = map[string]Op{"==": OpEq, "!=": OpNe, "<": OpLt, ">": OpGt, "<=": OpLe, ">=": OpGe}

func (l *lowerer) compare(x *syntax.Binary, a, b value) value {
	ok := false
	switch {
	case a.typ.Kind == types.NA || b.typ.Kind == types.NA:
		ok = true
	case x.Op == "==" || x.Op == "!=":
		ok = types.Join(a.typ, b.typ, l.version) != nil
	default:
		_, okA := l.number(a)
		_, okB := l.number(b)
		ok = okA && okB
	}
	if !ok {
		l.errorAt(x.Pos, "P203", fmt.Sprintf("“%s” cannot compare a %s with a %s", x.Op, a.typ, b.typ), "")
		return l.boolean(false)
	}
	return one(types.BoolType, l.op(x.Pos, comparisons[x.Op], types.BoolType, a.slot(), b.slot()))
}

// logical lowers and, or: lazily from version 6 on.
func (l *lowerer) logical(x *syntax.Binary) value {
	a := l.condition(x.X)
	op := OpAnd
	if x.Op == "or" {
		op = OpOr
	}
	if l.version < 6 {
		return one(types.BoolType, l.op(x.Pos, op, types.BoolType, a, l.condition(x.Y)))
	}
	if info := l.info(a); info.Kind == SlotConst {
		if True(info.Value) == (op == OpOr) {
			return l.boolean(op == OpOr)
		}
		return one(types.BoolType, l.condition(x.Y))
	}
	var b Slot
	l.depth++
	block := l.inBlock(func() { b = l.condition(x.Y) })
	l.depth--
	if plainBlock(block) {
		*l.block = append(*l.block, block...)
		return one(types.BoolType, l.op(x.Pos, op, types.BoolType, a, b))
	}
	dst := l.temp(types.BoolType)
	l.set(x.Pos, dst, a)
	block = append(block, &Inst{Op: OpSet, Dst: []Slot{dst}, Args: []Slot{b}, Pos: x.Pos})
	l.info(dst).Sets++
	in := &Inst{Op: OpIf, Args: []Slot{a}, Blocks: []Block{block, nil}, Pos: x.Pos}
	if op == OpOr {
		in.Blocks = []Block{nil, block}
	}
	l.emit(in)
	return one(types.BoolType, dst)
}

// plainBlock reports whether a block may run although its value is not used.
func plainBlock(b Block) bool {
	for _, in := range b {
		if in.Op > OpToBool && in.Op != OpRead && in.Op != OpBarHist && in.Op != OpHist {
			return false
		}
	}
	return len(b) < 24
}

func (l *lowerer) ternary(x *syntax.Ternary) value {
	cond := l.condition(x.Cond)
	if info := l.info(cond); info.Kind == SlotConst {
		// The other side is checked, and dropped.
		var v, other value
		l.depth++
		if True(info.Value) {
			l.inBlock(func() { other = l.expr(x.Else, true) })
			l.depth--
			v = l.expr(x.Then, true)
		} else {
			l.inBlock(func() { other = l.expr(x.Then, true) })
			l.depth--
			v = l.expr(x.Else, true)
		}
		if t := types.Join(v.typ, other.typ, l.version); t != nil && len(v.slots) == 1 {
			v.typ = t
		}
		return v
	}
	var a, b value
	l.depth++
	then := l.inBlock(func() { a = l.scalar(x.Then, "“?”") })
	other := l.inBlock(func() { b = l.scalar(x.Else, "“?”") })
	l.depth--
	t := l.join(x.Pos, a.typ, b.typ)
	if plainBlock(then) && plainBlock(other) {
		*l.block = append(append(*l.block, then...), other...)
		return one(t, l.op(x.Pos, OpSelect, t, cond, a.slot(), b.slot()))
	}
	dst := l.temp(t)
	return l.branches(x.Pos, cond, then, other, value{t, []Slot{dst}}, a, b)
}

func (l *lowerer) join(p syntax.Pos, a, b *types.Type) *types.Type {
	if t := types.Join(a, b, l.version); t != nil {
		return t
	}
	l.errorAt(p, "P203", fmt.Sprintf("the branches give a %s and a %s", a, b), "give both the same type")
	return types.FloatType
}

// branches emits an if whose branches write dst.
func (l *lowerer) branches(p syntax.Pos, cond Slot, then, other Block, dst, a, b value) value {
	copyTo := func(block Block, v value) Block {
		for i := range dst.slots {
			if i < len(v.slots) {
				block = append(block, &Inst{Op: OpSet, Dst: []Slot{dst.slots[i]}, Args: []Slot{v.slots[i]}, Pos: p})
				l.info(dst.slots[i]).Sets++
			}
		}
		return block
	}
	l.emit(&Inst{Op: OpIf, Args: []Slot{cond}, Blocks: []Block{copyTo(then, a), copyTo(other, b)}, Pos: p})
	return dst
}

func (l *lowerer) tuple(x *syntax.Tuple) value {
	v := value{typ: &types.Type{Kind: types.Tuple}}
	for _, item := range x.Items {
		i := l.scalar(item, "a tuple")
		v.slots = append(v.slots, i.slot())
		v.typ.Items = append(v.typ.Items, i.typ)
	}
	return v
}

// mentions reports whether an expression reads a name.
func mentions(x syntax.Expr, name string) bool {
	found := false
	walk(x, func(e syntax.Expr) {
		if id, ok := e.(*syntax.Ident); ok && id.Name == name {
			found = true
		}
	})
	return found
}

// walk visits an expression's parts.
func walk(x syntax.Expr, visit func(syntax.Expr)) {
	if x == nil {
		return
	}
	visit(x)
	switch x := x.(type) {
	case *syntax.Member:
		walk(x.X, visit)
	case *syntax.Call:
		walk(x.Fun, visit)
		for _, a := range x.Args {
			walk(a.Value, visit)
		}
	case *syntax.Index:
		walk(x.X, visit)
		walk(x.I, visit)
	case *syntax.Unary:
		walk(x.X, visit)
	case *syntax.Binary:
		walk(x.X, visit)
		walk(x.Y, visit)
	case *syntax.Ternary:
		walk(x.Cond, visit)
		walk(x.Then, visit)
		walk(x.Else, visit)
	case *syntax.Tuple:
		for _, i := range x.Items {
			walk(i, visit)
		}
	case *syntax.If:
		walk(x.Cond, visit)
		walkBody(x.Then, visit)
		walkBody(x.Else, visit)
	case *syntax.For:
		walk(x.From, visit)
		walk(x.To, visit)
		walk(x.By, visit)
		walkBody(x.Body, visit)
	case *syntax.ForIn:
		walk(x.X, visit)
		walkBody(x.Body, visit)
	case *syntax.While:
		walk(x.Cond, visit)
		walkBody(x.Body, visit)
	case *syntax.Switch:
		walk(x.X, visit)
		for _, c := range x.Cases {
			walk(c.Cond, visit)
			walkBody(c.Body, visit)
		}
	}
}

// walkBody visits the expressions of statements; targets of assignments count as read.
func walkBody(body []syntax.Stmt, visit func(syntax.Expr)) {
	for _, s := range body {
		switch s := s.(type) {
		case *syntax.Decl:
			walk(s.Value, visit)
		case *syntax.TupleDecl:
			walk(s.Value, visit)
		case *syntax.Assign:
			walk(s.Target, visit)
			walk(s.Value, visit)
		case *syntax.ExprStmt:
			walk(s.X, visit)
		}
	}
}
