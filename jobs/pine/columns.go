package pine

import (
	"errors"
	"math"
	"sync"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/broker"
	"millrace/jobs/pine/ir"
	"millrace/jobs/pine/ta"
)

// columnBytes bounds what a cache keeps of columns that no run uses.
const columnBytes = 96 << 20

// Columns keeps a program's columns over one history, for all runs made of it: a column depends on
// the inputs that reach it only, and trials that share them share it. Safe for concurrent use.
type Columns struct {
	program *Program
	bars    *backtest.Bars
	market  Market
	frame   *frame
	days    []int32
	series  broker.Series

	mu    sync.Mutex
	byKey map[columnKey]*entry
	all   []*entry
	free  [][]float64
	limit int // columns kept
	held  int
	dice  uint64
}

// columnKey is a unit with the values of the inputs that reach it.
type columnKey struct {
	unit   int
	inputs string
}

// entry is a unit's columns for some inputs.
type entry struct {
	key    columnKey
	values [][]float64
	fault  columnFault
	users  int
	filled chan struct{}
}

// columnFault is a run-time error of a column and the bar it happens on.
type columnFault struct {
	err error
	bar int
}

// NewColumns makes an empty cache.
func (p *Program) NewColumns(bars *backtest.Bars, market Market) *Columns {
	market = market.withDefaults()
	return &Columns{
		program: p, bars: bars, market: market, frame: newFrame(bars, ""), days: dayNumbers(bars, market.Zone), byKey: map[columnKey]*entry{},
		series: broker.NewSeries(bars.Open, bars.High, bars.Low, bars.Close),
		limit:  max(64, columnBytes/(8*max(1, bars.Len()))),
	}
}

// take finds or makes the columns of a key; when made, the caller fills them and closes filled.
func (c *Columns) take(key columnKey, columns int) (e *entry, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[key]; e != nil {
		e.users++
		return e, true
	}
	for c.held+columns > c.limit && c.evict() {
	}
	e = &entry{key: key, users: 1, filled: make(chan struct{})}
	for range columns {
		var v []float64
		if n := len(c.free); n > 0 {
			v, c.free = c.free[n-1], c.free[:n-1]
		} else {
			v = make([]float64, c.bars.Len())
		}
		e.values = append(e.values, v)
	}
	c.held += columns
	c.byKey[key] = e
	c.all = append(c.all, e)
	return e, false
}

// evict forgets an entry that nobody uses, by lot.
func (c *Columns) evict() bool {
	if len(c.all) == 0 {
		return false
	}
	c.dice = c.dice*6364136223846793005 + 1442695040888963407
	from := int((c.dice >> 33) % uint64(len(c.all)))
	for i := range c.all {
		at := (from + i) % len(c.all)
		if e := c.all[at]; e.users == 0 {
			c.all[at] = c.all[len(c.all)-1]
			c.all = c.all[:len(c.all)-1]
			delete(c.byKey, e.key)
			c.free = append(c.free, e.values...)
			c.held -= len(e.values)
			return true
		}
	}
	return false
}

func (c *Columns) giveBack(entries []*entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		e.users--
	}
}

// forget ends the filling of an entry that has no lasting result.
func (c *Columns) forget(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey[e.key] == e {
		delete(c.byKey, e.key)
		e.key.unit = -1
	}
}

// prepareColumns computes what is constant in the trial, and every column or finds it in the cache.
func (r *Run) prepareColumns() error {
	pc := r.program.plan
	r.columns.giveBack(r.held)
	r.held, r.faults = r.held[:0], r.faults[:0]
	r.resetTexts()
	r.uniform.reset()
	if err := r.uniform.step(0); err != nil {
		return err
	}
	for reg, s := range pc.uniform.slots {
		r.fixed[s] = r.uniform.regs[reg]
	}
	for i, u := range pc.units {
		e, found := r.columns.take(columnKey{i, r.inputKey(u.unit.Inputs)}, len(u.out))
		r.held = append(r.held, e)
		for j, n := range u.out {
			r.cols[n] = e.values[j]
		}
		if !found {
			r.fillEntry(u, e)
		} else {
			<-e.filled
		}
		if e.fault.err != nil {
			if errors.Is(e.fault.err, ErrStopped) {
				return ErrStopped
			}
			r.faults = append(r.faults, e.fault)
		}
	}
	return nil
}

// fillEntry computes an entry's columns and lets those who wait for it go on, whatever happens.
func (r *Run) fillEntry(u *unitCode, e *entry) {
	e.fault = columnFault{err: ErrStopped}
	defer func() {
		if errors.Is(e.fault.err, ErrStopped) {
			r.columns.forget(e)
		}
		close(e.filled)
	}()
	e.fault = r.fill(u)
}

// inputKey spells the values of inputs.
func (r *Run) inputKey(inputs []int) string {
	r.key = r.key[:0]
	for _, i := range inputs {
		bits := math.Float64bits(r.inputs[i])
		for range 8 {
			r.key = append(r.key, byte(bits))
			bits >>= 8
		}
	}
	return string(r.key)
}

// fill computes a unit's columns. After an error the rest is na.
func (r *Run) fill(u *unitCode) columnFault {
	switch u.unit.Kind {
	case ir.UnitKernel:
		args := make([][]float64, len(u.args))
		for i, a := range u.args {
			args[i] = r.series(a)
		}
		out := make([][]float64, len(u.out))
		for i, n := range u.out {
			out[i] = r.cols[n]
		}
		if err := ta.ColumnUntil(r.stop, u.law, r.bars, args, out); err != nil {
			for _, o := range out {
				fillNaN(o)
			}
			if errors.Is(err, ta.ErrStopped) {
				return columnFault{ErrStopped, 0}
			}
			return columnFault{failAt(u.unit.Body.Code[0].Pos, "ta."+u.law+": "+err.Error()), 0}
		}
	case ir.UnitVector:
		r.fillVector(u)
	default:
		return r.fillSteps(u)
	}
	return columnFault{}
}

func fillNaN(v []float64) {
	for i := range v {
		v[i] = math.NaN()
	}
}

// series is an operand's values: one for a constant.
func (r *Run) series(o operand) []float64 {
	switch o.kind {
	case fromBar:
		return r.frame.series[o.index]
	case fromColumn:
		return r.cols[o.index]
	}
	return []float64{r.scalar(o)}
}

func (r *Run) scalar(o operand) float64 {
	switch o.kind {
	case fromInput:
		return r.inputs[o.index]
	case fromFixed:
		return r.fixed[o.index]
	}
	return o.value
}

// fillSteps runs a unit's instructions on every bar.
func (r *Run) fillSteps(u *unitCode) columnFault {
	m := newMachine(r, u.code, r.frame)
	m.reset()
	for _, o := range u.code.outs {
		fillNaN(r.cols[o.index])
	}
	for bar := range r.bars.Len() {
		if err := m.step(bar); err != nil {
			return columnFault{err, bar}
		}
		for _, o := range u.code.outs {
			r.cols[o.index][bar] = m.regs[o.reg]
		}
		if bar&4095 == 4095 && r.stopped() {
			return columnFault{ErrStopped, bar}
		}
		m.heap.collect(m, r.program.ir)
	}
	return columnFault{}
}

// vectorBlock is how many bars a vector operation does at once: few enough that what passes between
// operations stays in the first cache.
const vectorBlock = 1024

func (r *Run) fillVector(u *unitCode) {
	temps := make([]float64, u.temp*vectorBlock)
	var spread [3][]float64
	n := r.bars.Len()
	for from := 0; from < n; from += vectorBlock {
		to := min(from+vectorBlock, n)
		for k := range u.ops {
			op := &u.ops[k]
			dst := r.block(op.dst, temps, from, to, nil)
			var args [3][]float64
			if op.op == ir.OpBarHist || op.op == ir.OpHist {
				r.shift(dst, op, from)
				continue
			}
			for i := range op.n {
				args[i] = r.block(op.args[i], temps, from, to, &spread[i])
			}
			vectorise(op.op, dst, args[0], args[1], args[2])
		}
	}
}

// block is an operand's values of the bars from to to; constants are spread out.
func (r *Run) block(o operand, temps []float64, from, to int, spread *[]float64) []float64 {
	switch o.kind {
	case fromBar:
		return r.frame.series[o.index][from:to]
	case fromColumn:
		return r.cols[o.index][from:to]
	case fromTemp:
		return temps[o.index*vectorBlock:][:to-from]
	}
	if *spread == nil {
		*spread = make([]float64, vectorBlock)
	}
	v, s := r.scalar(o), (*spread)[:to-from]
	for i := range s {
		s[i] = v
	}
	return s
}

// shift writes a series some bars back.
func (r *Run) shift(dst []float64, op *vectorOp, from int) {
	src := r.series(op.args[0])
	for i := range dst {
		if k := from + i - op.back; k >= 0 {
			dst[i] = src[k]
		} else {
			dst[i] = math.NaN()
		}
	}
}

// vectorise does an operation on blocks of one length.
func vectorise(op ir.Op, d, a, b, c []float64) {
	a = a[:len(d)]
	switch op {
	case ir.OpSet:
		copy(d, a)
		return
	case ir.OpNot, ir.OpIsNa, ir.OpAbs, ir.OpNeg, ir.OpFloor, ir.OpCeil, ir.OpTrunc, ir.OpSqrt, ir.OpToBool:
		for i, x := range a {
			d[i], _ = ir.Eval(op, x, 0, 0)
		}
		return
	}
	b = b[:len(d)]
	switch op {
	case ir.OpAdd:
		for i, x := range a {
			d[i] = x + b[i]
		}
	case ir.OpSub:
		for i, x := range a {
			d[i] = x - b[i]
		}
	case ir.OpMul:
		for i, x := range a {
			d[i] = x * b[i]
		}
	case ir.OpDiv:
		for i, x := range a {
			d[i] = x / b[i]
		}
	case ir.OpGt:
		for i, x := range a {
			d[i] = bit(x-b[i] > tolerance)
		}
	case ir.OpLt:
		for i, x := range a {
			d[i] = bit(x-b[i] < -tolerance)
		}
	case ir.OpAnd:
		for i, x := range a {
			d[i] = bit(isTrue(x) && isTrue(b[i]))
		}
	case ir.OpOr:
		for i, x := range a {
			d[i] = bit(isTrue(x) || isTrue(b[i]))
		}
	case ir.OpSelect:
		c = c[:len(d)]
		for i, x := range a {
			if isTrue(x) {
				d[i] = b[i]
			} else {
				d[i] = c[i]
			}
		}
	default:
		for i, x := range a {
			d[i], _ = ir.Eval(op, x, b[i], 0)
		}
	}
}
