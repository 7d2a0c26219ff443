package pine

import (
	"maps"
	"math"
	"slices"
	"strings"

	"millrace/jobs/pine/ir"
)

// idle says on which bars a residue that keeps state has to run while no position is open and no order is
// live. Once a run on such a bar has changed nothing, runs on the bars after it change nothing either, up to the first
// on which a guard holds: all that differs from bar to bar reaches state and orders under the guards alone.
type idle struct {
	possible bool
	guards   []guard
	state    []ir.Slot // slots that may be read before they are written on a bar
}

// idleFinder follows a residue under the assumption that the broker is idle.
type idleFinder struct {
	*eventFinder
	possible bool
	guards   []guard
}

// facts are what is known of slots on an idle bar: values, and which may differ from bar to bar.
type facts struct {
	known   map[ir.Slot]float64
	varying map[ir.Slot]bool
}

func findIdle(p *ir.Program, plan *ir.Plan) idle {
	f := &idleFinder{eventFinder: newEventFinder(p, plan), possible: true}
	f.stale = map[ir.Slot]bool{}
	f.reads(plan.Residue.Code, map[ir.Slot]bool{})
	f.block(plan.Residue.Code, nil, &facts{map[ir.Slot]float64{}, map[ir.Slot]bool{}})
	out := idle{possible: f.possible, guards: f.guards}
	out.state = slices.Sorted(maps.Keys(f.stale))
	return out
}

// reads finds the slots that may be read before they are written.
func (f *idleFinder) reads(b ir.Block, written map[ir.Slot]bool) {
	for _, in := range b {
		for _, a := range in.Args {
			if f.own[a] && !written[a] {
				f.stale[a] = true
			}
		}
		var sides []map[ir.Slot]bool
		for _, inner := range in.Blocks {
			side := maps.Clone(written)
			f.reads(inner, side)
			sides = append(sides, side)
		}
		if in.Op == ir.OpIf && len(sides) == 2 {
			for s := range sides[0] {
				if sides[1][s] {
					written[s] = true
				}
			}
		}
		for _, d := range in.Dst {
			written[d] = true
		}
	}
}

// block follows instructions; conds are the conditions of the path that may differ from bar to bar, noSlot for
// the other side of one.
func (f *idleFinder) block(b ir.Block, conds []ir.Slot, k *facts) {
	for _, in := range b {
		switch in.Op {
		case ir.OpIf:
			f.sides(in, conds, k)
		case ir.OpOnce:
			// What it wrote stays: the state includes that it has run.
			if len(conds) > 0 {
				f.effect(conds)
				f.forget(in, k)
			} else {
				f.lose(in, k)
			}
		case ir.OpOrder:
			if !f.harmless(in) {
				f.effect(conds)
			}
		case ir.OpPush, ir.OpKernel, ir.OpObject, ir.OpNew, ir.OpField, ir.OpSetField, ir.OpLoop, ir.OpBreak, ir.OpContinue, ir.OpFail:
			f.effect(conds)
			f.forget(in, k)
		default:
			f.value(in, conds, k)
		}
	}
}

// harmless says whether an order call does nothing while the broker is idle, or nothing that it did not do before.
func (f *idleFinder) harmless(in *ir.Inst) bool {
	switch in.Name {
	case "strategy.exit", "strategy.close", "strategy.close_all", "strategy.cancel", "strategy.cancel_all":
		return true
	}
	return strings.HasPrefix(in.Name, "strategy.risk.") && f.constant(in.Args)
}

// effect notes a change that must not be missed: the path to it needs a guard.
func (f *idleFinder) effect(conds []ir.Slot) {
	g := guard{need: whenAny}
	for _, c := range conds {
		f.conjuncts(c, &g)
	}
	g.need = whenAny
	if len(g.columns) == 0 {
		f.possible = false
		return
	}
	f.guards = append(f.guards, g)
}

// forget marks all that an instruction writes as varying.
func (f *idleFinder) forget(in *ir.Inst, k *facts) {
	for _, d := range in.Dst {
		delete(k.known, d)
		k.varying[d] = true
	}
	for _, inner := range in.Blocks {
		for _, x := range inner {
			f.forget(x, k)
		}
	}
}

// lose forgets the values of all that an instruction writes.
func (f *idleFinder) lose(in *ir.Inst, k *facts) {
	for _, d := range in.Dst {
		delete(k.known, d)
	}
	for _, inner := range in.Blocks {
		for _, x := range inner {
			f.lose(x, k)
		}
	}
}

func (f *idleFinder) sides(in *ir.Inst, conds []ir.Slot, k *facts) {
	c := in.Args[0]
	if v, ok := f.valueOf(c, k); ok {
		if isTrue(v) {
			f.block(in.Blocks[0], conds, k)
		} else {
			f.block(in.Blocks[1], conds, k)
		}
		return
	}
	varies := f.varies(c, k)
	then, other := k.clone(), k.clone()
	if varies {
		f.block(in.Blocks[0], append(conds[:len(conds):len(conds)], c), then)
		f.block(in.Blocks[1], append(conds[:len(conds):len(conds)], noSlot), other)
	} else {
		f.block(in.Blocks[0], conds, then)
		f.block(in.Blocks[1], conds, other)
	}
	k.join(then, other)
	if varies {
		for _, inner := range in.Blocks {
			for _, x := range inner {
				f.forget(x, k)
			}
		}
	}
}

// noSlot stands for a condition that no guard can be made of.
const noSlot = ir.Slot(-1)

func (k *facts) clone() *facts { return &facts{maps.Clone(k.known), maps.Clone(k.varying)} }

// join is what holds whichever of two paths was taken.
func (k *facts) join(a, b *facts) {
	clear(k.known)
	for s, v := range a.known {
		if w, ok := b.known[s]; ok && (v == w || v != v && w != w) {
			k.known[s] = v
		}
	}
	for _, side := range []*facts{a, b} {
		for s := range side.varying {
			k.varying[s] = true
		}
	}
}

// valueOf is the value of a slot when it is known.
func (f *idleFinder) valueOf(s ir.Slot, k *facts) (float64, bool) {
	if info := &f.p.Slots[s]; info.Kind == ir.SlotConst {
		return info.Value, true
	}
	v, ok := k.known[s]
	return v, ok
}

// varies says whether a slot's value may differ from idle bar to idle bar.
func (f *idleFinder) varies(s ir.Slot, k *facts) bool {
	switch kind := f.p.Slots[s].Kind; {
	case kind == ir.SlotConst, kind == ir.SlotInput:
		return false
	case f.own[s]:
		return k.varying[s]
	}
	return !f.plan.IsConst[s]
}

// value follows an instruction that only computes. State that it writes with what varies, or on a path that does, is an
// effect.
func (f *idleFinder) value(in *ir.Inst, conds []ir.Slot, k *facts) {
	varies := in.Op == ir.OpFunc || in.Op > ir.OpFunc && in.Op != ir.OpRead
	for _, a := range in.Args {
		varies = varies || f.varies(a, k)
	}
	v, known := f.compute(in, k)
	for _, d := range in.Dst {
		delete(k.known, d)
		delete(k.varying, d)
		switch {
		case known:
			k.known[d] = v
		case varies:
			k.varying[d] = true
		}
		if f.stale[d] && (varies && !known || len(conds) > 0) {
			f.effect(conds)
		}
	}
}

// compute is what an instruction gives on every idle bar, when that is known.
func (f *idleFinder) compute(in *ir.Inst, k *facts) (float64, bool) {
	if in.Op == ir.OpRead {
		return idleRead(in.Name)
	}
	if in.Op > ir.OpToBool || in.Op == ir.OpFunc || len(in.Args) > 3 {
		return 0, false
	}
	var args [3]float64
	all := true
	for i, a := range in.Args {
		v, ok := f.valueOf(a, k)
		args[i] = v
		switch {
		case ok && in.Op == ir.OpAnd && !isTrue(v):
			return 0, true
		case ok && in.Op == ir.OpOr && isTrue(v):
			return 1, true
		}
		all = all && ok
	}
	if !all {
		return 0, false
	}
	return ir.Eval(in.Op, args[0], args[1], args[2])
}

// idleRead is what the broker says while it is idle.
func idleRead(name string) (float64, bool) {
	switch name {
	case "strategy.position_size", "strategy.opentrades", "strategy.openprofit":
		return 0, true
	case "strategy.position_avg_price":
		return math.NaN(), true
	}
	return 0, false
}
