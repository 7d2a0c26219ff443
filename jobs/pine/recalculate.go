package pine

// checkpoint is a machine's state at the start of a bar, to which it goes back when the bar is calculated
// again: variables, histories and collections then are those of the bar before. Laws have no copies: their
// calls are recorded, and made again.
type checkpoint struct {
	bar      int
	taken    bool
	regs     []float64
	flags    []bool
	rings    []ringMark
	objects  []object
	free     []int
	elements int
	calls    []int // length of each law's record
}

// ringMark is what a bar may change of a history.
type ringMark struct {
	n, bar int
	next   float64 // the entry that the next one overwrites
}

// recalculate has the machine run again inside a bar after fills, when the script asks for it. Orders that
// are processed on the close leave nothing to calculate before it.
func (r *Run) recalculate(m *machine) {
	m.taped = r.settings.OnOrderFills && !r.settings.ProcessOnClose
	if !m.taped {
		return
	}
	m.tapes = make([][]float64, len(m.c.calls))
	r.emu.Recalculate(func() error {
		if r.point.taken {
			m.restore(&r.point)
		} else {
			m.save(&r.point)
		}
		err := m.step(r.point.bar)
		r.keepSide()
		return err
	})
}

// tape records a call of a law.
func (m *machine) tape(call int, args []float64) {
	m.tapes[call] = append(append(m.tapes[call], float64(m.bar)), args...)
}

// save keeps the state before a bar.
func (m *machine) save(p *checkpoint) {
	p.taken = true
	p.regs = append(p.regs[:0], m.regs...)
	p.flags = append(p.flags[:0], m.flags...)
	p.rings = p.rings[:0]
	for i := range m.rings {
		r := &m.rings[i]
		p.rings = append(p.rings, ringMark{r.n, r.bar, r.buf[r.n&r.mask]})
	}
	p.calls = p.calls[:0]
	for _, t := range m.tapes {
		p.calls = append(p.calls, len(t))
	}
	h := m.heap
	p.free, p.elements = append(p.free[:0], h.free...), h.elements
	for len(p.objects) < len(h.objects) {
		p.objects = append(p.objects, object{})
	}
	p.objects = p.objects[:len(h.objects)]
	for i, o := range h.objects {
		copyObject(&p.objects[i], o)
	}
}

// restore goes back to the state before the bar.
func (m *machine) restore(p *checkpoint) {
	copy(m.regs, p.regs)
	copy(m.flags, p.flags)
	for i := range m.rings {
		r, was := &m.rings[i], p.rings[i]
		r.n, r.bar = was.n, was.bar
		r.buf[r.n&r.mask] = was.next
	}
	for i := range m.tapes {
		if len(m.tapes[i]) > p.calls[i] {
			m.tapes[i] = m.tapes[i][:p.calls[i]]
			m.replay(i)
		}
	}
	h := m.heap
	h.free, h.elements = append(h.free[:0], p.free...), p.elements
	for i, o := range h.objects {
		if i < len(p.objects) {
			copyObject(o, &p.objects[i])
			continue
		}
		o.used = false
		h.free = append(h.free, i)
	}
}

// replay makes a law's recorded calls again. They succeeded before.
func (m *machine) replay(call int) {
	k, c, t := m.kernels[call], &m.c.calls[call], m.tapes[call]
	k.Reset()
	for width := len(c.args) + 1; len(t) >= width; t = t[width:] {
		_ = k.Next(int(t[0]), t[1:width], m.outs[:len(c.dst)])
	}
}

func copyObject(to, from *object) {
	to.used, to.cols = from.used, from.cols
	if from.used {
		to.vals, to.keys = append(to.vals[:0], from.vals...), append(to.keys[:0], from.keys...)
	}
}
