package pine

import "millrace/jobs/pine/ir"

// fused are the jumps that take a comparison, or a logical operation, in.
var fused = map[opcode]opcode{
	opcode(ir.OpGt): opJumpGt, opcode(ir.OpLt): opJumpLt, opcode(ir.OpEq): opJumpEq, opcode(ir.OpGe): opJumpGe,
	opcode(ir.OpLe): opJumpLe, opcode(ir.OpNe): opJumpNe, opcode(ir.OpAnd): opJumpAnd, opcode(ir.OpOr): opJumpOr,
}

// unless emits a jump that is taken when a branch's condition is false. A comparison just before it
// that nothing else reads becomes part of it.
func (g *generator) unless(in *ir.Inst) int {
	if last := g.just(in.Args[0]); last >= 0 {
		if i := &g.c.instrs[last]; fused[i.op] != 0 {
			i.op = fused[i.op]
			return last
		}
	}
	return g.put(instr{op: opJumpFalse, a: g.at(in.Args[0])}, in.Pos)
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
