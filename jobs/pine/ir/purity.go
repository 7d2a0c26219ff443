package ir

import (
	"strings"

	"millrace/jobs/pine/types"
)

// purity finds which instructions do not depend on the broker, through variables, collections and
// branches: those can be computed for all bars before a trial.
type purity struct {
	p       *Program
	impure  map[*Inst]bool
	slots   []bool
	classes map[string]bool
	writers []int32
	always  map[Slot]bool // slots recorded on every bar
	changed bool
}

func findImpure(p *Program, body *Body) *purity {
	v := &purity{p: p, impure: map[*Inst]bool{}, slots: make([]bool, len(p.Slots)), classes: map[string]bool{}, writers: make([]int32, len(p.Slots)), always: map[Slot]bool{}}
	for _, in := range body.Code {
		if in.Op == OpPush {
			v.always[in.Args[0]] = true
		}
	}
	visit(body.Code, func(in *Inst) {
		for _, d := range in.Dst {
			v.writers[d]++
		}
	})
	for v.changed = true; v.changed; {
		v.changed = false
		for _, in := range body.Code {
			v.inst(in, false, false)
		}
	}
	return v
}

// inst marks an instruction; ctx says that a branch which depends on the broker holds it, all that
// nothing in it may be computed apart. It reports whether the instruction or one inside is impure.
func (v *purity) inst(in *Inst, ctx, all bool) bool {
	bad := v.impure[in] || all || v.touches(in)
	switch in.Op {
	case OpRead, OpOrder, OpFail, OpRefuse:
		bad = true
	case OpFunc, OpObject:
		bad = bad || v.makesText(in)
	}
	if ctx && !bad {
		bad = !v.hoistable(in)
	}
	inner := ctx
	if in.Op == OpIf && len(in.Args) > 0 && v.slots[in.Args[0]] {
		inner = true
	}
	any := bad
	for again := true; again; {
		again = false
		for _, b := range in.Blocks {
			for _, c := range b {
				if v.inst(c, inner || bad, all || bad && in.Op != OpIf) {
					any = true
				}
			}
		}
		if any && !bad && (in.Op == OpLoop || in.Op == OpOnce) {
			bad, again = true, true
		}
	}
	if bad {
		v.mark(in)
	}
	return any
}

// touches reports whether an instruction reads or writes what is impure.
func (v *purity) touches(in *Inst) bool {
	for _, list := range [][]Slot{in.Args, in.Dst} {
		for _, s := range list {
			if v.slots[s] || v.classes[v.class(s)] {
				return true
			}
		}
	}
	return in.Class != "" && v.classes[classOf(in.Class)]
}

// class is the class of the objects a slot refers to, or "".
func (v *purity) class(s Slot) string {
	if t := v.p.Slots[s].Type; t.IsReference() {
		return classOf(t.String())
	}
	return ""
}

// makesText reports whether a text is made while running: its number holds for one trial only.
func (v *purity) makesText(in *Inst) bool {
	switch in.Name {
	case "array.join", "array.tostring", "matrix.tostring", "str.split":
		return true
	}
	if in.Op != OpFunc || len(in.Dst) == 0 || v.p.Slots[in.Dst[0]].Type.Kind != types.String {
		return false
	}
	return !fixedText(in.Name)
}

// fixedText reports whether a function gives a text of the market.
func fixedText(name string) bool {
	return strings.HasPrefix(name, "syminfo.") || name == "timeframe.period" || name == "timeframe.main_period"
}

// hoistable reports whether an instruction may run although its branch does not.
func (v *purity) hoistable(in *Inst) bool {
	for _, d := range in.Dst {
		if v.writers[d] > 1 {
			return false
		}
	}
	switch {
	case in.Op <= OpToBool && in.Op != OpFunc, in.Op == OpSource:
		return true
	case in.Op == OpFunc:
		return strings.HasPrefix(in.Name, "math.") || fixedText(in.Name) || len(in.Args) == 1 && in.Name != "timeframe.change"
	case in.Op == OpBarHist:
		return v.p.Slots[in.Args[0]].Kind == SlotConst
	case in.Op == OpHist:
		return v.p.Slots[in.Args[1]].Kind == SlotConst
	}
	return in.Op == OpIf // its parts decide
}

func (v *purity) mark(in *Inst) {
	if !v.impure[in] {
		v.impure[in] = true
		v.changed = true
	}
	set := func(s Slot) {
		if !v.slots[s] {
			v.slots[s] = true
			v.changed = true
		}
	}
	class := func(c string) {
		if c != "" && !v.classes[c] {
			v.classes[c] = true
			v.changed = true
		}
	}
	for _, d := range in.Dst {
		set(d)
	}
	if in.Op == OpPush || in.Op == OpHist && !v.always[in.Args[0]] {
		set(in.Args[0]) // the history is that of the residue
	}
	class(classOf(in.Class))
	for _, s := range in.Args {
		class(v.class(s))
	}
	for _, s := range in.Dst {
		class(v.class(s))
	}
}
