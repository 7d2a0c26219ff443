package pine

import (
	"fmt"

	"millrace/jobs/pine/ir"
	"millrace/jobs/pine/syntax"
)

// generator makes code of a body.
type generator struct {
	p     *ir.Program
	c     *code
	reg   map[ir.Slot]uint16
	flag  map[int]int
	reads map[ir.Slot]int
	// writes counts the instructions that write a slot.
	writes map[ir.Slot]int
	loops  []loopLabels
	once   int // blocks around that run only once
	plan   *ir.Plan
	bits   *bitPlan
	own    map[ir.Slot]bool // slots the body writes
	// Instructions before joined end a path of their own: a jump leads to the one after them.
	joined int
	err    error
}

type loopLabels struct{ breaks, continues []int }

// generate makes machine code. With a plan, slots that the body does not write are constants of the
// trial or columns. Others read the results after the body has run. The error is about sizes only.
func generate(p *ir.Program, body *ir.Body, pc *planCode, results ...ir.Slot) (*code, error) {
	var plan *ir.Plan
	if pc != nil {
		plan = pc.plan
	}
	g := &generator{p: p, c: &code{rings: body.Rings}, reg: map[ir.Slot]uint16{}, flag: map[int]int{}, reads: map[ir.Slot]int{}, writes: map[ir.Slot]int{}, plan: plan, own: map[ir.Slot]bool{}}
	if pc != nil {
		g.bits = &pc.bits
	}
	countReads(body.Code, g.reads)
	countWrites(body.Code, g.writes)
	markWrites(body.Code, g.own)
	for _, s := range results {
		g.reads[s]++ // from outside
	}
	if plan != nil {
		g.c.rings = usedRings(body)
	}
	for _, r := range g.c.rings {
		if plan == nil || g.own[r.Slot] {
			g.at(r.Slot)
		}
	}
	g.block(body.Code)
	g.put(instr{op: opEnd}, syntax.Pos{})
	g.findVarying()
	g.c.findEntry()
	g.c.flags = len(g.flag)
	g.c.regs = len(g.c.slots)
	if g.c.regs > 60_000 {
		g.err = fmt.Errorf("the script needs %d registers, more than 60000", g.c.regs)
	}
	return g.c, g.err
}

// findEntry finds the end of what runs once at the beginning. The blocks follow one another, so where the flag of the
// last is set, those of all are.
func (c *code) findEntry() {
	for in := &c.instrs[0]; in.op == opSkipDone; in = &c.instrs[c.entry] {
		c.entry, c.onceDone = int(in.c), int(in.b)
	}
}

// findVarying finds the arguments of entries and exits that are not constant in a trial.
func (g *generator) findVarying() {
	constant := map[uint16]bool{}
	for _, c := range g.c.consts {
		constant[c.reg] = true
	}
	for _, list := range [][]regInput{g.c.inputs, g.c.fixed} {
		for _, c := range list {
			constant[c.reg] = true
		}
	}
	for k := range g.c.calls {
		c := &g.c.calls[k]
		for i, a := range c.args {
			if c.orders && !constant[a] {
				c.varying = append(c.varying, i)
			}
		}
	}
}

func countReads(b ir.Block, reads map[ir.Slot]int) {
	for _, in := range b {
		for _, a := range in.Args {
			reads[a]++
		}
		for _, inner := range in.Blocks {
			countReads(inner, reads)
		}
	}
}

func countWrites(b ir.Block, writes map[ir.Slot]int) {
	for _, in := range b {
		for _, d := range in.Dst {
			writes[d]++
		}
		for _, inner := range in.Blocks {
			countWrites(inner, writes)
		}
	}
}

func markWrites(b ir.Block, own map[ir.Slot]bool) {
	for _, in := range b {
		for _, d := range in.Dst {
			own[d] = true
		}
		for _, inner := range in.Blocks {
			markWrites(inner, own)
		}
	}
}

// usedRings are the rings a body records into; the others get no memory.
func usedRings(body *ir.Body) []ir.Ring {
	used := make([]ir.Ring, len(body.Rings))
	var see func(b ir.Block)
	see = func(b ir.Block) {
		for _, in := range b {
			if in.Op == ir.OpPush {
				used[in.N] = body.Rings[in.N]
			}
			for _, inner := range in.Blocks {
				see(inner)
			}
		}
	}
	see(body.Code)
	for i := range used {
		used[i].Slot = body.Rings[i].Slot
	}
	return used
}

// column is the number of the column a slot is for this body.
func (g *generator) column(s ir.Slot) (int, bool) {
	if g.plan == nil || g.own[s] {
		return 0, false
	}
	n, ok := g.plan.Columns[s]
	return n, ok
}

// at is a slot's register.
func (g *generator) at(s ir.Slot) uint16 {
	if r, ok := g.reg[s]; ok {
		return r
	}
	n := len(g.c.slots)
	r := uint16(min(n, 65_535))
	g.reg[s] = r
	g.c.slots = append(g.c.slots, s)
	switch info := g.p.Slots[s]; info.Kind {
	case ir.SlotConst:
		g.c.consts = append(g.c.consts, regValue{r, info.Value})
	case ir.SlotInput:
		g.c.inputs = append(g.c.inputs, regInput{r, info.Index})
	case ir.SlotBar:
		g.c.bars = append(g.c.bars, regInput{r, info.Index})
	default:
		if g.plan != nil && g.plan.IsConst[s] && !g.own[s] {
			g.c.fixed = append(g.c.fixed, regInput{r, int(s)})
		} else if n, ok := g.column(s); ok && g.bits.only[n] {
			g.c.bits = append(g.c.bits, regInput{r, n})
		} else if ok {
			g.c.cols = append(g.c.cols, regInput{r, n})
		}
	}
	return r
}

func (g *generator) put(i instr, pos syntax.Pos) int {
	g.c.instrs = append(g.c.instrs, i)
	g.c.lines = append(g.c.lines, pos)
	return len(g.c.instrs) - 1
}

func (g *generator) here() int32 { return int32(len(g.c.instrs)) }

func (g *generator) land(jumps ...int) {
	for _, at := range jumps {
		g.c.instrs[at].c = g.here()
	}
	g.joined = len(g.c.instrs)
}

func (g *generator) call(in *ir.Inst) (int32, *callInfo) {
	c := callInfo{name: in.Name, n: in.N, class: in.Class, pos: in.Pos}
	for _, a := range in.Args {
		c.args = append(c.args, g.at(a))
	}
	for _, d := range in.Dst {
		c.dst = append(c.dst, g.at(d))
	}
	g.c.calls = append(g.c.calls, c)
	return int32(len(g.c.calls) - 1), &g.c.calls[len(g.c.calls)-1]
}

func (g *generator) block(b ir.Block) {
	for _, in := range b {
		g.inst(in)
	}
}

func (g *generator) inst(in *ir.Inst) {
	switch in.Op {
	case ir.OpIf:
		g.branch(in)
	case ir.OpOnce:
		n, ok := g.flag[in.N]
		if !ok {
			n = len(g.flag)
			g.flag[in.N] = n
		}
		at := g.put(instr{op: opSkipDone, b: uint16(n)}, in.Pos)
		g.once++
		g.block(in.Blocks[0])
		g.once--
		g.land(at)
	case ir.OpLoop:
		g.loop(in)
	case ir.OpBreak, ir.OpContinue:
		at := g.put(instr{op: opJump}, in.Pos)
		if len(g.loops) == 0 {
			return
		}
		l := &g.loops[len(g.loops)-1]
		if in.Op == ir.OpBreak {
			l.breaks = append(l.breaks, at)
		} else {
			l.continues = append(l.continues, at)
		}
	case ir.OpHist:
		if n, ok := g.column(in.Args[0]); ok {
			if v, ok := g.fixed(in.Args[1]); ok && v == v && v >= 0 {
				g.put(instr{op: opColHistK, d: g.at(in.Dst[0]), b: uint16(n), c: int32(v)}, in.Pos)
			} else {
				g.put(instr{op: opColHist, d: g.at(in.Dst[0]), a: g.at(in.Args[1]), b: uint16(n)}, in.Pos)
			}
			return
		}
		if v, ok := g.fixed(in.Args[1]); ok && v == v && v >= 0 {
			g.put(instr{op: opHistK, d: g.at(in.Dst[0]), b: uint16(in.N), c: int32(v)}, in.Pos)
			return
		}
		g.put(instr{op: opHist, d: g.at(in.Dst[0]), a: g.at(in.Args[1]), b: uint16(in.N)}, in.Pos)
	case ir.OpBarHist:
		if v, ok := g.fixed(in.Args[0]); ok && v == v && v >= 0 {
			g.put(instr{op: opBarHistK, d: g.at(in.Dst[0]), b: uint16(in.N), c: int32(v)}, in.Pos)
			return
		}
		g.put(instr{op: opBarHist, d: g.at(in.Dst[0]), a: g.at(in.Args[0]), b: uint16(in.N)}, in.Pos)
	case ir.OpPush:
		g.put(instr{op: opPush, a: g.at(in.Args[0]), b: uint16(in.N)}, in.Pos)
	case ir.OpSource:
		g.put(instr{op: opSource, d: g.at(in.Dst[0]), a: g.at(in.Args[0])}, in.Pos)
	case ir.OpField:
		g.put(instr{op: opField, d: g.at(in.Dst[0]), a: g.at(in.Args[0]), c: int32(in.N)}, in.Pos)
	case ir.OpSetField:
		g.put(instr{op: opSetField, a: g.at(in.Args[0]), b: g.at(in.Args[1]), c: int32(in.N)}, in.Pos)
	case ir.OpRead:
		if in.Name == "strategy.position_size" {
			g.position(in)
			return
		}
		g.calling(in)
	case ir.OpFail:
		g.put(instr{op: opFail, a: g.at(in.Args[0])}, in.Pos)
	default:
		g.calling(in)
	}
}

func (g *generator) fixed(s ir.Slot) (float64, bool) {
	info := g.p.Slots[s]
	return info.Value, info.Kind == ir.SlotConst
}

// calling emits scalar operations and those with lists of registers.
func (g *generator) calling(in *ir.Inst) {
	if in.Op <= ir.OpToBool {
		if g.mulAdd(in) {
			return
		}
		i := instr{op: opcode(in.Op), d: g.at(in.Dst[0]), a: g.at(in.Args[0])}
		if len(in.Args) > 1 {
			i.b = g.at(in.Args[1])
		}
		if len(in.Args) > 2 {
			i.c = int32(g.at(in.Args[2]))
		}
		g.put(i, in.Pos)
		return
	}
	n, c := g.call(in)
	op := opcode(0)
	switch in.Op {
	case ir.OpFunc:
		op = opFunc
		if c.fn = findFunction(in.Name); c.fn == nil {
			g.err = fmt.Errorf("the function %s is not available", in.Name)
		}
	case ir.OpKernel:
		op = opKernel
	case ir.OpRead:
		op, c.code = opRead, readNumber(in.Name)
		if c.code < 0 {
			g.err = fmt.Errorf("%s is not available", in.Name)
		}
		if c.code < readOpen && len(c.dst) == 1 && len(c.args) == 0 {
			g.put(instr{op: opValue, d: c.dst[0], c: n}, in.Pos)
			return
		}
	case ir.OpOrder:
		op, c.code = opOrder, orderNumber(in.Name)
		if c.orders = c.code >= 0 && c.code <= orderExit; c.orders {
			op = opGive
		}
	case ir.OpObject:
		op = opObject
		if c.fn = findObject(in.Name); c.fn == nil {
			g.err = fmt.Errorf("%s is not available", in.Name)
		}
	case ir.OpNew:
		op = opNew
	case ir.OpSecurity:
		op = opSecurity
		g.c.subs = append(g.c.subs, in.N)
	}
	g.put(instr{op: op, c: n}, in.Pos)
}

func (g *generator) branch(in *ir.Inst) {
	skips := g.unless(in)
	if only := skips[0]; len(in.Blocks[0]) == 0 && len(skips) == 1 && g.c.instrs[only].op == opJumpFalse {
		g.c.instrs[only].op = opJumpTrue
		g.block(in.Blocks[1])
		g.land(only)
		return
	}
	g.block(in.Blocks[0])
	if len(in.Blocks[1]) == 0 {
		g.land(skips...)
		return
	}
	end := g.put(instr{op: opJump}, in.Pos)
	g.land(skips...)
	g.block(in.Blocks[1])
	g.land(end)
}

func (g *generator) loop(in *ir.Inst) {
	top := g.here()
	g.joined = len(g.c.instrs)
	g.put(instr{op: opPass}, in.Pos)
	g.block(in.Blocks[0])
	out := g.put(instr{op: opJumpFalse, a: g.at(in.Args[0])}, in.Pos)
	g.loops = append(g.loops, loopLabels{})
	g.block(in.Blocks[1])
	l := g.loops[len(g.loops)-1]
	g.loops = g.loops[:len(g.loops)-1]
	if len(l.continues) > 0 {
		g.land(l.continues...)
	}
	g.block(in.Blocks[2])
	g.put(instr{op: opJump, c: top}, in.Pos)
	g.land(append(l.breaks, out)...)
}
