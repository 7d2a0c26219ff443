package pine

import (
	"errors"
	"fmt"
	"math"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/broker"
	"millrace/jobs/pine/ir"
	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/ta"
)

// RunError is a failure of a script while it runs.
type RunError struct {
	Line, Column int
	Message      string
	// Limit says that the script went beyond a bound that holds for every script.
	Limit bool
}

// Error implements error.
func (e *RunError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// ExceedsLimit is Limit, for backtest.Examine.
func (e *RunError) ExceedsLimit() bool { return e.Limit }

// limitError is a bound that a script went beyond.
type limitError string

// Error implements error.
func (e limitError) Error() string { return string(e) }

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
	orders  []prepared  // by call
	subs    map[int]*stretched
	heap    *heap
	bar     int
	passes  int
	before  []float64 // state and flags as remembered
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
	m.orders = make([]prepared, len(c.calls))
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
	m.prepareOrders()
}

// fail makes an error of the instruction at pc.
func (m *machine) fail(pc int, message string) error {
	return failAt(m.c.lines[pc], message)
}

func failAt(p syntax.Pos, message string) error {
	return &RunError{Line: int(p.Line), Column: int(p.Column), Message: message}
}

// failBy makes an error of what failed at a place of the script.
func failBy(p syntax.Pos, err error) error {
	var own limitError
	var orders *broker.LimitError
	return &RunError{Line: int(p.Line), Column: int(p.Column), Message: err.Error(), Limit: errors.As(err, &own) || errors.As(err, &orders)}
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
	for _, c := range m.c.bits {
		regs[c.reg] = bitAt(m.run.bits[c.index], bar)
	}
	if m.c.readsPosition {
		regs[m.c.position] = m.run.emu.PositionSize()
	}
	instrs, pc := m.c.instrs, 0
	if m.c.entry > 0 && m.flags[m.c.onceDone] {
		pc = m.c.entry
	}
	for ; ; pc++ {
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
		case opcode(ir.OpMax):
			regs[in.d] = max(regs[in.a], regs[in.b])
		case opcode(ir.OpMin):
			regs[in.d] = min(regs[in.a], regs[in.b])
		case opcode(ir.OpAbs):
			regs[in.d] = math.Abs(regs[in.a])
		case opcode(ir.OpNe):
			d := regs[in.a] - regs[in.b]
			regs[in.d] = bit(d > tolerance || d < -tolerance)
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
		case opJumpGe:
			a, b := regs[in.a], regs[in.b]
			if !(a-b >= -tolerance || a == b) {
				pc = int(in.c) - 1
			}
		case opJumpLe:
			a, b := regs[in.a], regs[in.b]
			if !(a-b <= tolerance || a == b) {
				pc = int(in.c) - 1
			}
		case opJumpNe:
			if d := regs[in.a] - regs[in.b]; !(d > tolerance || d < -tolerance) {
				pc = int(in.c) - 1
			}
		case opJumpAnd:
			a, b := regs[in.a], regs[in.b]
			if !(a != 0 && a == a && b != 0 && b == b) {
				pc = int(in.c) - 1
			}
		case opJumpOr:
			a, b := regs[in.a], regs[in.b]
			if !(a != 0 && a == a || b != 0 && b == b) {
				pc = int(in.c) - 1
			}
		case opMulAdd:
			regs[in.d] = float64(regs[in.a]*regs[in.b]) + regs[in.c]
		case opMulSub:
			regs[in.d] = float64(regs[in.a]*regs[in.b]) - regs[in.c]
		case opSubMul:
			regs[in.d] = regs[in.c] - float64(regs[in.a]*regs[in.b])
		case opGive:
			m.give(in.c)
			if err := m.run.emu.Err(); err != nil {
				return failBy(m.c.calls[in.c].pos, err)
			}
		case opValue:
			v, err := m.run.read(&m.c.calls[in.c], nil)
			if err != nil {
				return failBy(m.c.calls[in.c].pos, err)
			}
			regs[in.d] = v
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

// remember keeps the state that bars hand on, for unchanged.
func (m *machine) remember() {
	m.before = m.before[:0]
	for _, r := range m.c.state {
		m.before = append(m.before, m.regs[r])
	}
	for _, f := range m.flags {
		m.before = append(m.before, bit(f))
	}
}

// unchanged says whether the state is, to the bit, what was remembered.
func (m *machine) unchanged() bool {
	for i, r := range m.c.state {
		if math.Float64bits(m.regs[r]) != math.Float64bits(m.before[i]) {
			return false
		}
	}
	for i, f := range m.flags {
		if bit(f) != m.before[len(m.c.state)+i] {
			return false
		}
	}
	return true
}
