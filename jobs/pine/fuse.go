package pine

import "millrace/jobs/pine/ir"

// fused are the jumps that take a comparison, or a logical operation, in.
var fused = map[opcode]opcode{
	opcode(ir.OpGt): opJumpGt, opcode(ir.OpLt): opJumpLt, opcode(ir.OpEq): opJumpEq, opcode(ir.OpGe): opJumpGe,
	opcode(ir.OpLe): opJumpLe, opcode(ir.OpNe): opJumpNe, opcode(ir.OpAnd): opJumpAnd, opcode(ir.OpOr): opJumpOr,
}

// unless emits the jumps, of which one is taken when a branch's condition is false. A comparison just before them
// that nothing else reads becomes part of its jump.
func (g *generator) unless(in *ir.Inst) []int {
	if last := g.just(in.Args[0]); last >= 0 {
		if jumps := g.unlessAll(last); jumps != nil {
			return jumps
		}
		if i := &g.c.instrs[last]; fused[i.op] != 0 {
			i.op = fused[i.op]
			return []int{last}
		}
	}
	return []int{g.put(instr{op: opJumpFalse, a: g.at(in.Args[0])}, in.Pos)}
}

// unlessAll makes jumps of a conjunction, one for each condition, so that the first that is false decides. The
// instruction at last is the final one, and its second condition is computed just before it and read by it alone.
func (g *generator) unlessAll(last int) []int {
	and, pos := g.c.instrs[last], g.c.lines[last]
	if and.op != opcode(ir.OpAnd) {
		return nil
	}
	if !g.lone(last-1, and.b) {
		and.a, and.b = and.b, and.a
	}
	if !g.lone(last-1, and.b) {
		return nil
	}
	second := g.c.instrs[last-1]
	g.c.instrs, g.c.lines = g.c.instrs[:last-1], g.c.lines[:last-1]
	var jumps []int
	if first := last - 2; g.lone(first, and.a) {
		if jumps = g.unlessAll(first); jumps == nil {
			g.c.instrs[first].op = fused[g.c.instrs[first].op]
			jumps = []int{first}
		}
	} else {
		jumps = []int{g.put(instr{op: opJumpFalse, a: and.a}, pos)}
	}
	second.op = fused[second.op]
	return append(jumps, g.put(second, pos))
}

// lone reports whether the instruction computes a condition into a register that only one instruction reads, and a jump
// can take it in.
func (g *generator) lone(at int, reg uint16) bool {
	if at < max(g.joined, 0) || g.c.instrs[at].d != reg || fused[g.c.instrs[at].op] == 0 {
		return false
	}
	s := g.c.slots[reg]
	return s != noSlot && g.reads[s] == 1 && g.own[s]
}

// just is the instruction before the next one when it computes a slot that only the next one reads; otherwise −1.
// Without a plan nothing is fused: that code is what the rest is compared with.
func (g *generator) just(s ir.Slot) int {
	last := len(g.c.instrs) - 1
	if g.plan == nil || last < g.joined || g.reads[s] != 1 || !g.own[s] || g.c.instrs[last].d != g.at(s) {
		return -1
	}
	return last
}

// mulAdd makes one instruction of a product and the sum or difference that alone reads it. The product is rounded
// before it is added.
func (g *generator) mulAdd(in *ir.Inst) bool {
	if in.Op != ir.OpAdd && in.Op != ir.OpSub || in.Args[0] == in.Args[1] {
		return false
	}
	for k, s := range in.Args {
		last := g.just(s)
		if last < 0 || g.c.instrs[last].op != opcode(ir.OpMul) {
			continue
		}
		op := opMulAdd
		if in.Op == ir.OpSub {
			op = [2]opcode{opMulSub, opSubMul}[k]
		}
		d, c := g.at(in.Dst[0]), g.at(in.Args[1-k])
		i := &g.c.instrs[last]
		i.op, i.d, i.c = op, d, int32(c)
		return true
	}
	return false
}

// position reads the size of the position, which is the same all over a bar: it is loaded once, before the first
// instruction.
func (g *generator) position(in *ir.Inst) {
	d := in.Dst[0]
	if g.plan == nil {
		g.calling(in)
		return
	}
	if !g.c.readsPosition {
		g.c.readsPosition, g.c.position = true, g.extra()
	}
	if _, used := g.reg[d]; !used && g.writes[d] == 1 && g.once == 0 {
		g.reg[d] = g.c.position
		return
	}
	g.put(instr{op: opcode(ir.OpSet), d: g.at(d), a: g.c.position}, in.Pos)
}

// extra is a register that no slot has.
func (g *generator) extra() uint16 {
	n := len(g.c.slots)
	g.c.slots = append(g.c.slots, noSlot)
	return uint16(min(n, 65_535))
}
