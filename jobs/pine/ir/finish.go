package ir

import (
	"fmt"
	"strings"

	"millrace/jobs/pine/syntax"
)

// finish drops dead instructions, puts the records of histories in, and reports what is refused and
// which inputs have no effect.
func (l *lowerer) finish() {
	l.reduce(&l.p.Body, nil)
	refused := false
	used := map[Slot]bool{}
	orders := 0
	see := func(in *Inst) {
		switch in.Op {
		case OpRefuse:
			if l.plots {
				break // it reaches a plot alone, which then has no value
			}
			l.errorAt(in.Pos, fmt.Sprintf("P%d", max(in.N, 305)), in.Name, in.Advice)
			refused = true
		case OpOrder:
			orders++
		}
		for _, a := range in.Args {
			used[a] = true
		}
	}
	visit(l.p.Code, see)
	visit(l.p.Code, func(in *Inst) {
		if in.Op == OpSecurity {
			visit(l.p.Subs[in.N].Code, func(in *Inst) {
				for _, a := range in.Args {
					used[a] = true
				}
			})
			for _, s := range l.p.Subs[in.N].Results {
				used[s] = true
			}
		}
	})
	if refused {
		return
	}
	if orders == 0 {
		l.errorAt(syntax.Pos{Line: 1, Column: 1}, "P302", "the script gives no orders", "add strategy.entry and strategy.close or strategy.exit calls")
	}
	for s := range l.p.Slots {
		if info := &l.p.Slots[s]; info.Kind == SlotInput && used[Slot(s)] {
			l.p.Inputs[info.Index].Used = true
		}
	}
}

// classOf groups objects that may be the same: ints are floats here.
func classOf(class string) string { return strings.ReplaceAll(class, "int", "float") }

// mutates reports whether an object operation changes its first argument, by its name's last part.
func mutates(name string) bool {
	_, op, _ := strings.Cut(name, ".")
	switch op {
	case "push", "unshift", "pop", "shift", "set", "clear", "insert", "remove", "reverse", "sort", "concat", "fill", "put", "put_all",
		"add_row", "add_col", "remove_row", "remove_col", "swap_rows", "swap_columns", "reshape":
		return true
	}
	return false
}

// liveness marks what reaches an order, an error or a wanted slot.
type liveness struct {
	slots   []bool
	classes map[string]bool
	insts   map[*Inst]bool
	changed bool
}

func (v *liveness) use(s Slot) {
	if !v.slots[s] {
		v.slots[s] = true
		v.changed = true
	}
}

func (v *liveness) class(c string) {
	if c = classOf(c); c != "" && !v.classes[c] {
		v.classes[c] = true
		v.changed = true
	}
}

// block marks a block's instructions from the last to the first; loop says that it is a live loop's.
func (v *liveness) block(b Block, loop, effects bool) (any bool) {
	for i := len(b) - 1; i >= 0; i-- {
		if v.inst(b[i], loop, effects) {
			any = true
		}
	}
	return any
}

func (v *liveness) inst(in *Inst, loop, effects bool) bool {
	live := v.insts[in]
	switch in.Op {
	case OpOrder, OpFail:
		live = live || effects
	case OpBreak, OpContinue:
		live = live || loop
	case OpObject, OpSetField:
		if (in.Op == OpSetField || mutates(in.Name)) && v.classes[classOf(in.Class)] {
			live = true
		}
	}
	for _, d := range in.Dst {
		if v.slots[d] {
			live = true
		}
	}
	inLoop := loop
	if in.Op == OpLoop {
		inLoop = live
	}
	for n, inner := range in.Blocks {
		if in.Op == OpLoop && n != 1 {
			continue
		}
		if v.block(inner, inLoop, effects) {
			live = true
		}
	}
	if !live {
		return false
	}
	if !v.insts[in] {
		v.insts[in] = true
		v.changed = true
		for _, a := range in.Args {
			v.use(a)
		}
		v.class(in.Class)
	}
	if in.Op == OpLoop {
		v.block(in.Blocks[0], true, effects)
		v.block(in.Blocks[1], true, effects)
		v.block(in.Blocks[2], true, effects)
	}
	return true
}

// reduce keeps what reaches the wanted slots, or orders, errors and plots when there are none, and records histories.
func (l *lowerer) reduce(body *Body, wanted []Slot) {
	effects := wanted == nil
	if effects {
		wanted = l.plotted()
	}
	v := &liveness{slots: make([]bool, len(l.p.Slots)), classes: map[string]bool{}, insts: map[*Inst]bool{}}
	for _, s := range wanted {
		v.slots[s] = true
	}
	for v.changed = true; v.changed; {
		v.changed = false
		v.block(body.Code, false, effects)
	}
	body.Code = keep(body.Code, v)
	l.rings(body, wanted)
}

func keep(b Block, v *liveness) Block {
	var out Block
	for _, in := range b {
		if !v.insts[in] {
			continue
		}
		for i := range in.Blocks {
			in.Blocks[i] = keep(in.Blocks[i], v)
		}
		out = append(out, in)
	}
	return out
}

// rings gives each slot whose history is read a ring, and records it after every write.
func (l *lowerer) rings(body *Body, wanted []Slot) {
	number := map[Slot]int{}
	visit(body.Code, func(in *Inst) {
		if in.Op != OpHist {
			return
		}
		n, ok := number[in.Args[0]]
		if !ok {
			n = len(body.Rings)
			number[in.Args[0]] = n
			body.Rings = append(body.Rings, Ring{Slot: in.Args[0]})
		}
		in.N = n
		depth := MaxOffset
		if c, ok := l.constNumber(in.Args[1]); ok && c == c {
			depth = int(c)
		}
		body.Rings[n].Depth = max(body.Rings[n].Depth, depth)
	})
	reads := make([]int32, len(l.p.Slots))
	writes := make([]int32, len(l.p.Slots))
	visit(body.Code, func(in *Inst) {
		for _, a := range in.Args {
			reads[a]++
		}
		for _, d := range in.Dst {
			writes[d]++
		}
	})
	for _, s := range wanted {
		reads[s] += 2
	}
	wantedTemp := func(s Slot) bool { _, ring := number[s]; return !ring && reads[s] == 1 && writes[s] == 1 }
	body.Code = l.record(body.Code, number, wantedTemp)
}

// record puts OpPush after writes, drops copies of a slot to itself, and writes into a variable at
// once what is computed only to be copied there.
func (l *lowerer) record(b Block, number map[Slot]int, temporary func(Slot) bool) Block {
	var out Block
	for _, in := range b {
		for i := range in.Blocks {
			in.Blocks[i] = l.record(in.Blocks[i], number, temporary)
		}
		if in.Op == OpSet && in.Args[0] == in.Dst[0] {
			if n, ok := number[in.Dst[0]]; ok {
				out = append(out, &Inst{Op: OpPush, Args: in.Dst, N: n, Pos: in.Pos})
			}
			continue
		}
		if in.Op == OpSet && len(out) > 0 && temporary(in.Args[0]) {
			last := out[len(out)-1]
			if len(last.Dst) == 1 && last.Dst[0] == in.Args[0] && last.Op != OpIf && last.Op != OpLoop {
				last.Dst = []Slot{in.Dst[0]}
				in = nil
			}
		}
		var dst []Slot
		if in != nil {
			out = append(out, in)
			dst = in.Dst
		} else {
			dst = out[len(out)-1].Dst
		}
		for _, d := range dst {
			if n, ok := number[d]; ok {
				out = append(out, &Inst{Op: OpPush, Args: []Slot{d}, N: n, Pos: out[len(out)-1].Pos})
			}
		}
	}
	return out
}
