package ir

import (
	"fmt"
	"math"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// scoped lowers a body in a scope and block of its own.
func (l *lowerer) scoped(body []syntax.Stmt, want bool) (Block, value) {
	var v value
	l.push()
	l.depth++
	b := l.inBlock(func() { v = l.statements(body, want) })
	l.depth--
	l.pop()
	return b, v
}

// merged is the value of an if or switch, a slot for each result; nothing when the branches agree on none.
func (l *lowerer) merged(p syntax.Pos, want bool, vs ...value) value {
	if !want {
		return l.void()
	}
	var t *types.Type
	width := 0
	for _, v := range vs {
		if v.typ.Kind == types.Void {
			return l.void()
		}
		switch {
		case t == nil:
			t, width = v.typ, len(v.slots)
		case len(v.slots) != width && v.typ.Kind != types.NA:
			return l.void()
		case width > 1 || t.Kind == types.Tuple && v.typ.Kind == types.Tuple:
			if v.typ.Kind == types.Tuple && t.Kind == types.Tuple {
				items := make([]*types.Type, width)
				for i := range items {
					items[i] = l.join(p, t.Items[i], v.typ.Items[i])
				}
				t = &types.Type{Kind: types.Tuple, Items: items}
			}
		default:
			j := types.Join(t, v.typ, l.version)
			if j == nil {
				return l.void()
			}
			t = j
		}
	}
	out := value{typ: t}
	for i := range width {
		item := t
		if t.Kind == types.Tuple {
			item = t.Items[i]
		}
		out.slots = append(out.slots, l.temp(item))
	}
	return out
}

// none is what a conditional without a matching branch gives.
func (l *lowerer) none(like value) value {
	t := like.typ
	if t.Kind == types.Bool && l.version >= 6 {
		return l.boolean(false)
	}
	if len(like.slots) < 2 {
		return l.na()
	}
	out := value{typ: t}
	for i := range like.slots {
		out.slots = append(out.slots, l.constant(t.Items[i], math.NaN()))
	}
	return out
}

func (l *lowerer) ifExpr(x *syntax.If, want bool) value {
	cond := l.condition(x.Cond)
	then, a := l.scoped(x.Then, want)
	other, b := l.scoped(x.Else, want)
	if x.Else == nil {
		b = l.none(a)
	}
	dst := l.merged(x.Pos, want, a, b)
	return l.branches(x.Pos, cond, then, other, dst, a, b)
}

func (l *lowerer) switchExpr(x *syntax.Switch, want bool) value {
	var subject value
	if x.X != nil {
		subject = l.scalar(x.X, "a switch")
	}
	type arm struct {
		test      Block
		cond      Slot
		body      Block
		val       value
		isDefault bool
		pos       syntax.Pos
	}
	var arms []arm
	var vals []value
	hasDefault := false
	for _, c := range x.Cases {
		a := arm{isDefault: c.Cond == nil, pos: c.Pos}
		l.depth++
		if !a.isDefault {
			a.test = l.inBlock(func() {
				if x.X == nil {
					a.cond = l.condition(c.Cond)
					return
				}
				b := l.scalar(c.Cond, "a case")
				a.cond = l.compare(&syntax.Binary{Node: c.Node, Op: "=="}, subject, b).slot()
			})
		}
		l.depth--
		a.body, a.val = l.scoped(c.Body, want)
		hasDefault = hasDefault || a.isDefault
		arms = append(arms, a)
		vals = append(vals, a.val)
	}
	if len(arms) == 0 {
		return l.void()
	}
	if !hasDefault {
		vals = append(vals, l.none(vals[0]))
	}
	dst := l.merged(x.Pos, want, vals...)
	// From the last arm to the first.
	var rest Block
	if !hasDefault {
		rest = l.copies(x.Pos, nil, dst, vals[len(vals)-1])
	}
	for i := len(arms) - 1; i >= 0; i-- {
		if a := arms[i]; a.isDefault {
			rest = l.copies(a.pos, a.body, dst, a.val)
		}
	}
	for i := len(arms) - 1; i >= 0; i-- {
		a := arms[i]
		if a.isDefault {
			continue
		}
		rest = append(a.test, &Inst{Op: OpIf, Args: []Slot{a.cond}, Blocks: []Block{l.copies(a.pos, a.body, dst, a.val), rest}, Pos: a.pos})
	}
	*l.block = append(*l.block, rest...)
	return dst
}

func (l *lowerer) copies(p syntax.Pos, b Block, dst, v value) Block {
	for i := range dst.slots {
		if i < len(v.slots) {
			b = append(b, &Inst{Op: OpSet, Dst: []Slot{dst.slots[i]}, Args: []Slot{v.slots[i]}, Pos: p})
			l.info(dst.slots[i]).Sets++
		}
	}
	return b
}

// loop emits a loop; its value is that of the body's last pass.
func (l *lowerer) loop(p syntax.Pos, head func() Slot, body []syntax.Stmt, declare func(), step func(), want bool) value {
	var cond Slot
	l.depth++
	l.loops++
	headBlock := l.inBlock(func() { cond = head() })
	l.push()
	var v value
	bodyBlock := l.inBlock(func() {
		declare()
		v = l.statements(body, want)
	})
	l.pop()
	stepBlock := l.inBlock(step)
	l.loops--
	l.depth--
	dst := l.merged(p, want, v)
	for i, s := range dst.slots {
		l.set(p, s, l.constant(l.info(s).Type, math.NaN()))
		bodyBlock = append(bodyBlock, &Inst{Op: OpSet, Dst: []Slot{s}, Args: []Slot{v.slots[i]}, Pos: p})
		l.info(s).Sets++
	}
	l.emit(&Inst{Op: OpLoop, Args: []Slot{cond}, Blocks: []Block{headBlock, bodyBlock, stepBlock}, Pos: p})
	return dst
}

func (l *lowerer) while(x *syntax.While, want bool) value {
	return l.loop(x.Pos, func() Slot { return l.condition(x.Cond) }, x.Body, func() {}, func() {}, want)
}

func (l *lowerer) loopNumber(x syntax.Expr, what string) value {
	v, ok := l.number(l.scalar(x, what))
	if !ok {
		l.errorAt(x.At(), "P203", fmt.Sprintf("%s is a number, not a %s", what, v.typ), "")
		return one(types.IntType, l.constant(types.IntType, 0))
	}
	return v
}

func (l *lowerer) forExpr(x *syntax.For, want bool) value {
	from := l.loopNumber(x.From, "a loop's bound")
	to := l.loopNumber(x.To, "a loop's bound")
	t := from.typ
	if to.typ.Kind == types.Float {
		t = types.FloatType
	}
	by := value{types.IntType, []Slot{l.constant(types.IntType, 1)}}
	if x.By != nil {
		by = l.loopNumber(x.By, "a loop's step")
		by.slots = []Slot{l.op(x.Pos, OpAbs, by.typ, by.slot())}
		if by.typ.Kind == types.Float {
			t = types.FloatType
		}
	}
	counter := l.newSlot(SlotInfo{Type: t, Name: x.Name})
	end := l.temp(to.typ)
	l.set(x.Pos, counter, from.slot())
	l.set(x.Pos, end, to.slot())
	down := l.op(x.Pos, OpLt, types.BoolType, to.slot(), from.slot())
	step := l.op(x.Pos, OpSelect, by.typ, down, l.op(x.Pos, OpNeg, by.typ, by.slot()), by.slot())
	shown := l.newSlot(SlotInfo{Type: t, Name: x.Name})
	head := func() Slot {
		if l.version >= 6 { // the bound is read before every pass
			l.set(x.Pos, end, l.loopNumber(x.To, "a loop's bound").slot())
		}
		up := l.op(x.Pos, OpLe, types.BoolType, counter, end)
		back := l.op(x.Pos, OpGe, types.BoolType, counter, end)
		return l.op(x.Pos, OpSelect, types.BoolType, down, back, up)
	}
	declare := func() {
		l.set(x.Pos, shown, counter) // the body may change its copy only
		l.declare(x.Name, &symbol{kind: symVar, val: one(t, shown)})
	}
	return l.loop(x.Pos, head, x.Body, declare, func() { l.set(x.Pos, counter, l.op(x.Pos, OpAdd, t, counter, step)) }, want)
}

func (l *lowerer) forIn(x *syntax.ForIn, want bool) value {
	c := l.scalar(x.X, "a loop")
	get, size := "array.get", "array.size"
	elem := c.typ.Elem
	switch c.typ.Kind {
	case types.Array:
	case types.Matrix:
		get, size, elem = "matrix.row", "matrix.rows", types.ArrayOf(c.typ.Elem)
	case types.Map:
		get, size = "map.at", "map.size"
	default:
		l.errorAt(x.Pos, "P203", fmt.Sprintf("a loop cannot walk a %s", c.typ), "walk an array, a matrix or a map")
		return l.void()
	}
	collection := l.temp(c.typ)
	l.set(x.Pos, collection, c.slot())
	counter := l.temp(types.IntType)
	l.set(x.Pos, counter, l.constant(types.IntType, 0))
	object := func(name string, t *types.Type, args ...Slot) Slot {
		dst := l.temp(t)
		l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: args, Name: name, Class: c.typ.String(), Pos: x.Pos})
		return dst
	}
	head := func() Slot {
		return l.op(x.Pos, OpLt, types.BoolType, counter, object(size, types.IntType, collection))
	}
	declare := func() {
		item := l.newSlot(SlotInfo{Type: elem, Name: x.Name})
		l.set(x.Pos, item, object(get, elem, collection, counter))
		l.declare(x.Name, &symbol{kind: symVar, val: one(elem, item)})
		if x.Key == "" {
			return
		}
		kt, from := types.IntType, counter
		if c.typ.Kind == types.Map {
			kt = c.typ.Key
			from = object("map.key_at", kt, collection, counter)
		}
		key := l.newSlot(SlotInfo{Type: kt, Name: x.Key})
		l.set(x.Pos, key, from)
		l.declare(x.Key, &symbol{kind: symVar, val: one(kt, key)})
	}
	step := func() {
		l.set(x.Pos, counter, l.op(x.Pos, OpAdd, types.IntType, counter, l.constant(types.IntType, 1)))
	}
	return l.loop(x.Pos, head, x.Body, declare, step, want)
}
