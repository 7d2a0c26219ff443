package pine

import (
	"errors"
	"fmt"
	"math"

	"millrace/jobs/backtest"
	"millrace/jobs/pine/ir"
	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/ta"
)

// RunError is a failure of a script while it runs.
type RunError struct {
	Line, Column int
	Message      string
}

// Error implements error.
func (e *RunError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// frame is what a machine runs over: bars with the series derived from them.
type frame struct {
	bars     *backtest.Bars
	series   [ir.SeriesCount][]float64
	interval int64  // milliseconds; 0 for months
	tf       string // as timeframe.period spells it
}

// ring is a slot's history: the last entry is that of the bar last pushed.
type ring struct {
	buf  []float64
	mask int
	n    int // entries ever
	bar  int // of the last entry
}

func (r *ring) push(bar int, v float64) {
	if r.bar != bar {
		r.bar = bar
		r.n++
	}
	r.buf[(r.n-1)&r.mask] = v
}

func (r *ring) back(k int) float64 {
	if k >= r.n || k > r.mask {
		return math.NaN()
	}
	return r.buf[(r.n-1-k)&r.mask]
}

// machine runs a body once a bar.
type machine struct {
	run     *Run
	c       *code
	f       *frame
	regs    []float64
	rings   []ring
	flags   []bool
	kernels []ta.Kernel // by call
	subs    map[int]*stretched
	heap    *heap
	bar     int
	passes  int
	args    []float64
	taped   bool // calls of laws are recorded: see checkpoint
	tapes   [][]float64
	outs    [4]float64
}

const (
	passesPerBar = 10_000 // passes of loops on one bar
	passesPerRun = 1 << 31
	pauseWork    = 1 << 18 // elements worked on between two questions whether to stop
)

func newMachine(r *Run, c *code, f *frame) *machine {
	m := &machine{run: r, c: c, f: f, regs: make([]float64, max(c.regs, 1)), flags: make([]bool, c.flags), heap: newHeap(), args: make([]float64, 64)}
	m.kernels = make([]ta.Kernel, len(c.calls))
	m.rings = make([]ring, len(c.rings))
	for i, r := range c.rings {
		size := 2
		for size <= r.Depth {
			size *= 2
		}
		m.rings[i] = ring{buf: make([]float64, size), mask: size - 1}
	}
	return m
}

// reset makes the machine as new for the run's inputs.
func (m *machine) reset() {
	for i := range m.regs {
		m.regs[i] = math.NaN()
	}
	for _, c := range m.c.consts {
		m.regs[c.reg] = c.value
	}
	for _, in := range m.c.inputs {
		m.regs[in.reg] = m.run.inputs[in.index]
	}
	for _, f := range m.c.fixed {
		m.regs[f.reg] = m.run.fixed[f.index]
	}
	clear(m.flags)
	for i := range m.rings {
		m.rings[i].n, m.rings[i].bar = 0, -1
	}
	for _, k := range m.kernels {
		if k != nil {
			k.Reset()
		}
	}
	m.heap.reset()
	m.subs = nil
}

// fail makes an error of the instruction at pc.
func (m *machine) fail(pc int, message string) error {
	return failAt(m.c.lines[pc], message)
}

func failAt(p syntax.Pos, message string) error {
	return &RunError{Line: int(p.Line), Column: int(p.Column), Message: message}
}

// step runs the body on a bar.
func (m *machine) step(bar int) error {
	m.bar, m.passes = bar, 0
	regs := m.regs
	for _, b := range m.c.bars {
		regs[b.reg] = m.f.series[b.index][bar]
	}
	for _, c := range m.c.cols {
		regs[c.reg] = m.run.cols[c.index][bar]
	}
	instrs := m.c.instrs
	for pc := 0; ; pc++ {
		in := &instrs[pc]
		switch in.op {
		case opcode(ir.OpSet):
			regs[in.d] = regs[in.a]
		case opcode(ir.OpAdd):
			regs[in.d] = regs[in.a] + regs[in.b]
		case opcode(ir.OpSub):
			regs[in.d] = regs[in.a] - regs[in.b]
		case opcode(ir.OpMul):
			regs[in.d] = float64(regs[in.a] * regs[in.b])
		case opcode(ir.OpDiv):
			regs[in.d] = regs[in.a] / regs[in.b]
		case opcode(ir.OpLt):
			regs[in.d] = bit(regs[in.a]-regs[in.b] < -tolerance)
		case opcode(ir.OpGt):
			regs[in.d] = bit(regs[in.a]-regs[in.b] > tolerance)
		case opcode(ir.OpLe):
			a, b := regs[in.a], regs[in.b]
			regs[in.d] = bit(a-b <= tolerance || a == b)
		case opcode(ir.OpGe):
			a, b := regs[in.a], regs[in.b]
			regs[in.d] = bit(a-b >= -tolerance || a == b)
		case opcode(ir.OpEq):
			a, b := regs[in.a], regs[in.b]
			regs[in.d] = bit(a-b <= tolerance && a-b >= -tolerance || a == b)
		case opcode(ir.OpAnd):
			a, b := regs[in.a], regs[in.b]
			regs[in.d] = bit(a != 0 && a == a && b != 0 && b == b)
		case opcode(ir.OpOr):
			a, b := regs[in.a], regs[in.b]
			regs[in.d] = bit(a != 0 && a == a || b != 0 && b == b)
		case opcode(ir.OpSelect):
			if v := regs[in.a]; v != 0 && v == v {
				regs[in.d] = regs[in.b]
			} else {
				regs[in.d] = regs[in.c]
			}
		case opcode(ir.OpNz):
			if v := regs[in.a]; v == v {
				regs[in.d] = v
			} else {
				regs[in.d] = regs[in.b]
			}
		case opcode(ir.OpIsNa):
			v := regs[in.a]
			regs[in.d] = bit(v-v != 0)
		case opcode(ir.OpNeg):
			regs[in.d] = -regs[in.a]
		case opJumpGt:
			if !(regs[in.a]-regs[in.b] > tolerance) {
				pc = int(in.c) - 1
			}
		case opJumpLt:
			if !(regs[in.a]-regs[in.b] < -tolerance) {
				pc = int(in.c) - 1
			}
		case opJumpEq:
			a, b := regs[in.a], regs[in.b]
			if !(a-b <= tolerance && a-b >= -tolerance || a == b) {
				pc = int(in.c) - 1
			}
		case opPosition:
			regs[in.d] = m.run.emu.PositionSize()
		case opJump:
			pc = int(in.c) - 1
		case opJumpFalse:
			if v := regs[in.a]; v == 0 || v != v {
				pc = int(in.c) - 1
			}
		case opJumpTrue:
			if v := regs[in.a]; v != 0 && v == v {
				pc = int(in.c) - 1
			}
		case opHistK:
			regs[in.d] = m.rings[in.b].back(int(in.c))
		case opBarHistK:
			if k := bar - int(in.c); k >= 0 {
				regs[in.d] = m.f.series[in.b][k]
			} else {
				regs[in.d] = math.NaN()
			}
		case opPush:
			m.rings[in.b].push(bar, regs[in.a])
		case opColHistK:
			if k := bar - int(in.c); k >= 0 {
				regs[in.d] = m.run.cols[in.b][k]
			} else {
				regs[in.d] = math.NaN()
			}
		case opSkipDone:
			if m.flags[in.b] {
				pc = int(in.c) - 1
			}
			m.flags[in.b] = true
		case opEnd:
			return nil
		default:
			if in.op < opJump {
				regs[in.d], _ = ir.Eval(ir.Op(in.op), regs[in.a], regs[in.b], 0)
				continue
			}
			if err := m.slow(pc, in); err != nil {
				return err
			}
		}
	}
}

const tolerance = 1e-10

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// slow runs what needs more than registers.
func (m *machine) slow(pc int, in *instr) error {
	regs := m.regs
	switch in.op {
	case opPass:
		return m.pass(pc)
	case opSource:
		n := whole(regs[in.a])
		if n < 0 || n >= len(ir.Sources) {
			n = 3
		}
		regs[in.d] = m.f.series[ir.Sources[n]][m.bar]
	case opHist, opBarHist, opColHist:
		k := regs[in.a]
		if k != k {
			regs[in.d] = k
			return nil
		}
		if k < 0 || k > ir.MaxOffset {
			return m.fail(pc, fmt.Sprintf("the offset %v is outside 0 to %d", k, ir.MaxOffset))
		}
		if in.op == opHist {
			regs[in.d] = m.rings[in.b].back(int(k))
		} else if i := m.bar - int(k); i >= 0 && in.op == opColHist {
			regs[in.d] = m.run.cols[in.b][i]
		} else if i := m.bar - int(k); i >= 0 {
			regs[in.d] = m.f.series[in.b][i]
		} else {
			regs[in.d] = math.NaN()
		}
	case opField, opSetField:
		return m.field(pc, in)
	case opFail:
		return m.fail(pc, "the script stops: "+m.run.text(regs[in.a]))
	default:
		c := &m.c.calls[in.c]
		if len(c.args) > len(m.args) {
			m.args = make([]float64, len(c.args))
		}
		args := m.args[:len(c.args)]
		for i, a := range c.args {
			args[i] = regs[a]
		}
		return m.call(in, c, args)
	}
	return nil
}

// pass counts a loop's pass.
func (m *machine) pass(pc int) error {
	m.passes++
	m.run.passes++
	if m.passes > passesPerBar {
		return m.fail(pc, fmt.Sprintf("loops make more than %d passes on one bar", passesPerBar))
	}
	if m.run.passes > passesPerRun {
		return m.fail(pc, "loops make more passes than a run may")
	}
	if m.run.passes&(1<<14-1) == 0 && m.run.stopped() {
		return ErrStopped
	}
	return nil
}

// worked counts elements that were worked on, and asks now and then whether to stop.
func (m *machine) worked(n int) error {
	r := m.run
	if r.work += 1 + n; r.work < pauseWork {
		return nil
	}
	if r.work = 0; r.stopped() {
		return ErrStopped
	}
	return nil
}

func (m *machine) call(in *instr, c *callInfo, args []float64) error {
	regs := m.regs
	switch in.op {
	case opFunc, opObject:
		v, err := c.fn(m, c, args)
		if errors.Is(err, ErrStopped) {
			return err
		}
		if err != nil {
			return failAt(c.pos, err.Error())
		}
		if len(c.dst) > 0 {
			regs[c.dst[0]] = v
		}
		if in.op == opObject && len(args) > 0 {
			return m.worked(m.heap.size(args[0]))
		}
	case opKernel:
		k := m.kernels[in.c]
		if k == nil {
			if k = ta.New(c.name, m.f.bars); k == nil {
				return failAt(c.pos, "ta."+c.name+" is not available")
			}
			m.kernels[in.c] = k
		}
		if m.taped {
			m.tape(int(in.c), args)
		}
		if err := k.Next(m.bar, args, m.outs[:len(c.dst)]); err != nil {
			return failAt(c.pos, "ta."+c.name+": "+err.Error())
		}
		for i, d := range c.dst {
			regs[d] = m.outs[i]
		}
		return m.worked(m.bar >> 3)
	case opRead:
		v, err := m.run.read(c, args)
		if err != nil {
			return failAt(c.pos, err.Error())
		}
		regs[c.dst[0]] = v
	case opOrder:
		m.run.order(c, args)
		if err := m.run.emu.Err(); err != nil {
			return failAt(c.pos, err.Error())
		}
	case opNew:
		v, err := m.heap.object(args)
		if err != nil {
			return failAt(c.pos, err.Error())
		}
		regs[c.dst[0]] = v
	case opSecurity:
		return m.security(c, args[0])
	}
	return nil
}

func (m *machine) field(pc int, in *instr) error {
	o := m.heap.get(m.regs[in.a])
	if o == nil {
		return m.fail(pc, "a field of na is used")
	}
	if int(in.c) >= len(o.vals) {
		return m.fail(pc, "the object has no such field")
	}
	if in.op == opField {
		m.regs[in.d] = o.vals[in.c]
	} else {
		o.vals[in.c] = m.regs[in.b]
	}
	return nil
}
