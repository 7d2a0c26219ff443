package pine

import (
	"millrace/jobs/pine/ir"
	"millrace/jobs/pine/ta"
)

// bitPlan says which columns are kept as bits: those that guards read, and of them the ones of which
// nothing needs the numbers.
type bitPlan struct {
	kept []bool // by column
	only []bool
}

// planBits finds them. A column is bits only when all its values are 0 or 1 by the way they are computed and
// it is read neither as the argument of a law nor as history.
func planBits(plan *ir.Plan, guards ...[]guard) bitPlan {
	b := bitPlan{kept: make([]bool, len(plan.Order)), only: make([]bool, len(plan.Order))}
	for _, list := range guards {
		for _, g := range list {
			for _, n := range g.columns {
				b.kept[n] = true
			}
		}
	}
	for _, u := range plan.Units {
		if u.Kind == ir.UnitSteps {
			continue
		}
		for _, in := range u.Body.Code {
			if n, ok := plan.Columns[in.Dst[0]]; ok && b.kept[n] && (in.Op == ir.OpKernel && isCrossing(in.Name) || isPredicate(in.Op)) {
				b.only[n] = true
			}
		}
	}
	needed := func(s ir.Slot) {
		if n, ok := plan.Columns[s]; ok {
			b.only[n] = false
		}
	}
	var see func(block ir.Block)
	see = func(block ir.Block) {
		for _, in := range block {
			if in.Op == ir.OpHist {
				needed(in.Args[0])
			}
			for _, inner := range in.Blocks {
				see(inner)
			}
		}
	}
	for _, u := range plan.Units {
		see(u.Body.Code)
		if u.Kind == ir.UnitKernel {
			for _, a := range u.Body.Code[0].Args {
				needed(a)
			}
		}
	}
	see(plan.Residue.Code)
	return b
}

func isCrossing(law string) bool { return law == "crossover" || law == "crossunder" }

// isPredicate says whether an operation gives 0 or 1 whatever it is given.
func isPredicate(op ir.Op) bool {
	switch op {
	case ir.OpLt, ir.OpLe, ir.OpGt, ir.OpGe, ir.OpEq, ir.OpNe, ir.OpAnd, ir.OpOr, ir.OpIsNa:
		return true
	}
	return false
}

// words is how many words hold the bits of n bars.
func words(n int) int { return (n + 63) / 64 }

// bitAt is a bit as the machine's number.
func bitAt(bits []uint64, bar int) float64 {
	return bit(bits[bar>>6]>>(uint(bar)&63)&1 != 0)
}

// unpack writes the bits of bars from, from+1, … as numbers.
func unpack(dst []float64, bits []uint64, from int) {
	for i := range dst {
		dst[i] = bitAt(bits, from+i)
	}
}

// packEntry makes the bits of a unit's columns that are kept as both.
func (r *Run) packEntry(u *unitCode) {
	for _, n := range u.out {
		if r.bits[n] != nil && r.cols[n] != nil {
			ta.Pack(r.cols[n], r.bits[n])
		}
	}
}

// mask sets, for every bar, whether one of the guards lets the residue run on it, flat and with a position.
func (r *Run) mask(guards []guard, flat, open []uint64) {
	clear(flat)
	clear(open)
	for i := range guards {
		g := &guards[i]
		if r.isOff(g) {
			continue
		}
		for w := range flat {
			all := ^uint64(0)
			for _, n := range g.columns {
				all &= r.bits[n][w]
			}
			if g.need&(whenAny|whenFlat) != 0 {
				flat[w] |= all
			}
			if g.need&(whenAny|whenOpen) != 0 {
				open[w] |= all
			}
		}
	}
}

// isOff says whether a constant of the trial keeps a guard from holding on any bar.
func (r *Run) isOff(g *guard) bool {
	for _, s := range g.fixed {
		v := r.fixed[s]
		if info := &r.program.ir.Slots[s]; info.Kind == ir.SlotInput {
			v = r.inputs[info.Index]
		}
		if !isTrue(v) {
			return true
		}
	}
	return false
}
