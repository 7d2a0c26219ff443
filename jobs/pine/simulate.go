package pine

import (
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/broker"
	"millrace/jobs/pine/ta"
)

// simulate runs the script over the bars up to the window's end.
func (r *Run) simulate(w backtest.Window) error {
	r.emu.Reset(r.account)
	r.emu.KeepTrades(true)
	r.resetTexts()
	r.passes = 0
	r.exposed, r.ruined = 0, 0
	r.keepSide()
	if r.plain {
		return r.simulatePlain(w)
	}
	for _, f := range r.faults {
		if f.bar < w.To {
			return f.err
		}
	}
	r.residue.reset()
	if r.program.plan.events.always || r.everyBar {
		return r.walk(r.residue, 0, w)
	}
	return r.jump(w)
}

// simulatePlain executes every instruction on every bar.
func (r *Run) simulatePlain(w backtest.Window) error {
	if r.m == nil {
		r.m = newMachine(r, r.program.main, r.frame)
	}
	r.m.reset()
	return r.walk(r.m, 0, w)
}

// longestPause is how many bars pass between two looks for a state that no longer changes.
const longestPause = 32

// walk runs a machine on every bar; before the window its orders are dropped.
func (r *Run) walk(m *machine, from int, w backtest.Window) error {
	b, skips := r.bars, r.program.plan.idle.possible && !r.plain && !r.everyBar
	r.recalculate(m)
	unchanged := false   // the last bar was idle, and the script's run on it changed nothing
	again, pause := 0, 1 // the first bar on which that is looked for, and the bars until the next look
	for i := from; i < w.To; i++ {
		if unchanged {
			next := ta.NextBit(r.when[0], i, w.To)
			r.rest(max(i, w.From)-w.From, max(next, w.From)-w.From)
			if i = next; i == w.To {
				break
			}
		}
		r.silent, r.point.bar, r.point.taken = i < w.From, i, false
		if !r.silent {
			if err := r.emu.BarDetail(i, r.columns.days[i], b.Open[i], b.High[i], b.Low[i], b.Close[i], r.inside(i)); err != nil {
				return err
			}
		}
		if r.point.taken {
			m.restore(&r.point)
		}
		look := skips && i >= again && r.emu.Idle()
		if look {
			m.remember()
		}
		if err := m.step(i); err != nil {
			return err
		}
		unchanged = look && r.emu.Idle() && m.unchanged()
		switch {
		case unchanged:
			pause = 1
		case look: // a script that changes its state on every bar is not compared on every bar
			again, pause = i+pause, min(2*pause, longestPause)
		}
		if r.plotted != nil {
			r.plotted(m, i)
		}
		if !r.silent {
			r.keepSide()
			r.emu.AfterScript()
			if r.follow(i - w.From) {
				return nil
			}
		}
		if i&4095 == 4095 && r.stopped() {
			return ErrStopped
		}
		m.heap.collect(m, r.program.ir)
	}
	return nil
}

// jump runs the residue on bars with an event only, and lets the broker coast between them.
func (r *Run) jump(w backtest.Window) error {
	b, e := r.bars, r.emu
	r.silent = false
	first := r.program.plan.events.once // the first bar makes settings
	for i := w.From; i < w.To; {
		if events := r.events(); !first && events[i>>6]>>(uint(i)&63)&1 == 0 {
			next := ta.NextBit(events, i, w.To)
			reached, ruined := r.coast(i, next, w)
			if ruined {
				return nil
			}
			if i = reached; i == w.To {
				break
			}
		}
		if err := e.BarDetail(i, r.columns.days[i], b.Open[i], b.High[i], b.Low[i], b.Close[i], r.inside(i)); err != nil {
			return err
		}
		if first || r.events()[i>>6]>>(uint(i)&63)&1 != 0 {
			first = false
			if err := r.residue.step(i); err != nil {
				return err
			}
		}
		r.keepSide()
		e.AfterScript()
		if r.follow(i - w.From) {
			return nil
		}
		i++
		if r.steps++; r.steps&4095 == 0 && r.stopped() {
			return ErrStopped
		}
	}
	return nil
}

// inside are the bars of a lower timeframe inside bar i, when the history has them.
func (r *Run) inside(i int) broker.Inner {
	fine, from, to := r.bars.Detail(i)
	if from == to {
		return broker.Inner{}
	}
	return broker.Inner{Open: fine.Open[from:to], High: fine.High[from:to], Low: fine.Low[from:to], Close: fine.Close[from:to]}
}

// events are the bars that the position makes the residue run on.
func (r *Run) events() []uint64 {
	if r.emu.PositionSize() != 0 {
		return r.when[1]
	}
	return r.when[0]
}

// coast passes the bars from at to next, or to the first on which the broker may fill something.
func (r *Run) coast(at, next int, w backtest.Window) (reached int, ruined bool) {
	if r.emu.Idle() {
		r.rest(at-w.From, next-w.From)
		return next, false
	}
	if r.equity == nil {
		return r.emu.Coast(&r.columns.series, at, next, nil), false
	}
	equity := r.equity[at-w.From : next-w.From]
	reached = r.emu.Coast(&r.columns.series, at, next, equity)
	if r.emu.PositionSize() != 0 {
		r.exposed += reached - at
	}
	for k, e := range equity[:reached-at] {
		if !(e > 0) {
			r.exposed -= reached - at - 1 - k
			r.ruined = at + k - w.From + 1
			r.fillRest(e)
			return at + k, true
		}
	}
	return reached, false
}

// fillRest gives the bars after the one that ruined the account its equity.
func (r *Run) fillRest(e float64) {
	for k := r.ruined; k < len(r.equity); k++ {
		r.equity[k] = e
	}
}

// keepSide holds the script to the side that the request allows.
func (r *Run) keepSide() {
	if r.side != broker.Both {
		r.emu.AllowEntryIn(r.side)
	}
}

// rest writes the equity of the window's bars [from, to), on which nothing is open.
func (r *Run) rest(from, to int) {
	if r.equity == nil || from == to {
		return
	}
	e := r.emu.Equity()
	for i := from; i < to; i++ {
		r.equity[i] = e
	}
}

// follow writes the equity of the window's k-th bar. An account without equity is ruined: it trades no
// more, and the rest of the window has the equity of this bar.
func (r *Run) follow(k int) (ruined bool) {
	if r.equity == nil {
		return false
	}
	e := r.emu.Equity()
	r.equity[k] = e
	if r.emu.PositionSize() != 0 {
		r.exposed++
	}
	if e > 0 {
		return false
	}
	r.ruined = k + 1
	r.rest(k+1, len(r.equity))
	return true
}
