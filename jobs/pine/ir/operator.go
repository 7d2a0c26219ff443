package ir

import (
	"fmt"
	"math"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

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
