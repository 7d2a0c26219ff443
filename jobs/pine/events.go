package pine

import (
	"strings"

	"millrace/jobs/pine/ir"
)

// events says on which bars the residue has to run: on the others it can give no order, and it
// remembers nothing from bar to bar.
type events struct {
	always bool // the residue keeps state, or an order has no condition known beforehand
	guards []guard
	once   bool // settings that the first bar makes
}

// guard is what must hold for one order to be given.
type guard struct {
	columns []int
	fixed   []ir.Slot
	need    byte // whenAny, whenOpen or whenFlat
}

// Bits of a bar's mask.
const (
	whenAny byte = 1 << iota
	whenOpen
	whenFlat
)

// eventFinder walks a residue.
type eventFinder struct {
	p     *ir.Program
	plan  *ir.Plan
	own   map[ir.Slot]bool
	def   map[ir.Slot]*ir.Inst
	count map[ir.Slot]int
	stale map[ir.Slot]bool // may hold the value of an earlier bar: says nothing about this one
	out   events
}

func newEventFinder(p *ir.Program, plan *ir.Plan) *eventFinder {
	f := &eventFinder{p: p, plan: plan, own: map[ir.Slot]bool{}, def: map[ir.Slot]*ir.Inst{}, count: map[ir.Slot]int{}}
	markWrites(plan.Residue.Code, f.own)
	f.define(plan.Residue.Code)
	return f
}

func findEvents(p *ir.Program, plan *ir.Plan) events {
	f := newEventFinder(p, plan)
	f.carries(plan.Residue.Code, map[ir.Slot]bool{})
	f.orders(plan.Residue.Code, nil, true)
	f.out.always = f.out.always || p.Settings.OnOrderFills
	return f.out
}

func (f *eventFinder) define(b ir.Block) {
	for _, in := range b {
		for _, d := range in.Dst {
			f.def[d] = in
			f.count[d]++
		}
		for _, inner := range in.Blocks {
			f.define(inner)
		}
	}
}

// carries looks for state: a slot that may be read before it is written on a bar, and instructions
// that remember.
func (f *eventFinder) carries(b ir.Block, written map[ir.Slot]bool) {
	for _, in := range b {
		switch in.Op {
		case ir.OpPush, ir.OpOnce, ir.OpKernel, ir.OpObject, ir.OpNew, ir.OpSetField, ir.OpField, ir.OpLoop, ir.OpBreak, ir.OpContinue:
			f.out.always = true
		case ir.OpHist:
			f.out.always = f.out.always || f.own[in.Args[0]]
		}
		for _, a := range in.Args {
			if f.own[a] && !written[a] {
				f.out.always = true
			}
		}
		if in.Op == ir.OpIf {
			f.branches(in, written)
			continue
		}
		for _, d := range in.Dst {
			written[d] = true
		}
	}
}

func (f *eventFinder) branches(in *ir.Inst, written map[ir.Slot]bool) {
	sides := [2]map[ir.Slot]bool{}
	for i := range sides {
		sides[i] = map[ir.Slot]bool{}
		for s := range written {
			sides[i][s] = true
		}
		if i < len(in.Blocks) {
			f.carries(in.Blocks[i], sides[i])
		}
	}
	for s := range sides[0] {
		if sides[1][s] {
			written[s] = true
		}
	}
}

// orders collects the guards of every order under the conditions of its branches.
func (f *eventFinder) orders(b ir.Block, conds []ir.Slot, top bool) {
	for _, in := range b {
		switch in.Op {
		case ir.OpOrder:
			if top && strings.HasPrefix(in.Name, "strategy.risk.") && f.constant(in.Args) {
				f.out.once = true
				continue
			}
			f.guard(conds)
		case ir.OpFail:
			f.guard(conds)
		case ir.OpIf:
			f.orders(in.Blocks[0], append(conds[:len(conds):len(conds)], in.Args[0]), false)
			f.orders(in.Blocks[1], conds, false)
		}
	}
}

func (f *eventFinder) constant(args []ir.Slot) bool {
	for _, a := range args {
		if kind := f.p.Slots[a].Kind; kind != ir.SlotConst && kind != ir.SlotInput && !f.plan.IsConst[a] {
			return false
		}
	}
	return true
}

func (f *eventFinder) guard(conds []ir.Slot) {
	g := guard{need: whenAny}
	for _, c := range conds {
		f.conjuncts(c, &g)
	}
	if len(g.columns)+len(g.fixed) == 0 && g.need == whenAny {
		f.out.always = true
	}
	f.out.guards = append(f.out.guards, g)
}

// conjuncts adds what must hold for a condition to be true.
func (f *eventFinder) conjuncts(s ir.Slot, g *guard) {
	if s == noSlot || f.stale[s] {
		return
	}
	if n, ok := f.plan.Columns[s]; ok && !f.own[s] {
		g.columns = append(g.columns, n)
		return
	}
	if f.plan.IsConst[s] || f.p.Slots[s].Kind == ir.SlotInput {
		g.fixed = append(g.fixed, s)
		return
	}
	in := f.def[s]
	if in == nil || f.count[s] != 1 {
		return
	}
	switch in.Op {
	case ir.OpAnd:
		f.conjuncts(in.Args[0], g)
		f.conjuncts(in.Args[1], g)
	case ir.OpSet:
		f.conjuncts(in.Args[0], g)
	case ir.OpGt, ir.OpLt, ir.OpNe, ir.OpEq:
		if f.position(in.Args[0], in.Args[1]) || f.position(in.Args[1], in.Args[0]) {
			if in.Op == ir.OpEq {
				g.need = whenFlat
			} else if g.need == whenAny {
				g.need = whenOpen
			}
		}
	}
}

// position reports whether a is the position's size and b is zero.
func (f *eventFinder) position(a, b ir.Slot) bool {
	in := f.def[a]
	if in == nil || f.count[a] != 1 || in.Op != ir.OpRead || in.Name != "strategy.position_size" && in.Name != "strategy.opentrades" {
		return false
	}
	info := f.p.Slots[b]
	return info.Kind == ir.SlotConst && info.Value == 0
}

// class says how a program runs: S orders at market on events, B with levels too, P a residue that
// runs on every bar.
func (pc *planCode) class() string {
	if pc.events.always {
		return "P"
	}
	class := "S"
	see := func(in *ir.Inst) {
		switch {
		case in.Op == ir.OpOrder && in.Name == "strategy.exit", in.Op == ir.OpRead && in.Name != "strategy.position_size":
			class = "B"
		}
	}
	var walk func(b ir.Block)
	walk = func(b ir.Block) {
		for _, in := range b {
			see(in)
			for _, inner := range in.Blocks {
				walk(inner)
			}
		}
	}
	walk(pc.plan.Residue.Code)
	return class
}
