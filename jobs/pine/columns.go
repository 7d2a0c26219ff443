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
	limit int // bytes of columns kept
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
	values [][]float64 // by output; nil where only bits are kept
	bits   [][]uint64  // nil where none are
	bytes  int
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
		limit:  max(64*8*bars.Len(), columnBytes),
	}
}

// take finds or makes the columns of a key; when made, the caller fills them and closes filled.
func (c *Columns) take(unit int, inputs []byte) (e *entry, found bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byKey[columnKey{unit, string(inputs)}]; e != nil {
		e.users++
		return e, true
	}
	e = c.make(columnKey{unit, string(inputs)}, c.program.plan.units[unit].out)
	c.held += e.bytes
	c.byKey[e.key] = e
	c.all = append(c.all, e)
	return e, false
}

// entryBytes is about what an entry takes beside its columns.
const entryBytes = 512

// make makes room for the columns of a unit and gives them memory.
func (c *Columns) make(key columnKey, columns []int) *entry {
	e := &entry{key: key, users: 1, filled: make(chan struct{}), bytes: entryBytes}
	n, bits := c.bars.Len(), &c.program.plan.bits
	e.values, e.bits = make([][]float64, len(columns)), make([][]uint64, len(columns))
	for _, k := range columns {
		if !bits.only[k] {
			e.bytes += 8 * n
		}
		if bits.kept[k] {
			e.bytes += 8 * words(n)
		}
	}
	for c.held+e.bytes > c.limit && c.evict() {
	}
	for i, k := range columns {
		if bits.kept[k] {
			e.bits[i] = make([]uint64, words(n))
		}
		if bits.only[k] {
			continue
		}
		if last := len(c.free) - 1; last >= 0 {
			e.values[i], c.free = c.free[last], c.free[:last]
		} else {
			e.values[i] = make([]float64, n)
		}
	}
	return e
}

// keepFree is how many columns without a user keep their memory.
const keepFree = 16

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
			for _, v := range e.values {
				if v != nil && len(c.free) < keepFree {
					c.free = append(c.free, v)
				}
			}
			c.held -= e.bytes
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
		e, found := r.columns.take(i, r.inputKey(u.unit.Inputs))
		r.held = append(r.held, e)
		for j, n := range u.out {
			r.cols[n], r.bits[n] = e.values[j], e.bits[j]
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
	fault := r.fill(u)
	r.packEntry(u)
	e.fault = fault
}

// inputKey spells the values of inputs.
func (r *Run) inputKey(inputs []int) []byte {
	r.key = r.key[:0]
	for _, i := range inputs {
		bits := math.Float64bits(r.inputs[i])
		for range 8 {
			r.key = append(r.key, byte(bits))
			bits >>= 8
		}
	}
	return r.key
}

// fill computes a unit's columns. After an error the rest is na.
func (r *Run) fill(u *unitCode) columnFault {
	switch u.unit.Kind {
	case ir.UnitKernel:
		args := make([][]float64, len(u.args))
		for i, a := range u.args {
			args[i] = r.series(a)
		}
		if n := u.out[0]; r.cols[n] == nil {
			ta.Crossings(u.law == "crossunder", args[0], args[1], r.bars.Len(), r.bits[n])
			return columnFault{}
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
