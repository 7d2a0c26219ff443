package pine

import (
	"errors"
	"fmt"
	"math"

	"millrace/jobs/pine/ir"
	"millrace/jobs/pine/ta"
)

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
		return failBy(m.c.lines[pc], limitError(fmt.Sprintf("loops make more than %d passes on one bar", passesPerBar)))
	}
	if m.run.passes > passesPerRun {
		return failBy(m.c.lines[pc], limitError("loops make more passes than a run may"))
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
			return failBy(c.pos, err)
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
			return failBy(c.pos, err)
		}
		regs[c.dst[0]] = v
	case opOrder:
		m.run.order(c, args)
		if err := m.run.emu.Err(); err != nil {
			return failBy(c.pos, err)
		}
	case opNew:
		v, err := m.heap.object(args)
		if err != nil {
			return failBy(c.pos, err)
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
