package backtest

import "math"

// legs are the stretches of a run between its fills, on which equity is cash + units·(close − entry). A run without
// stops that is always in the market finds its fills by the signals alone, before it looks at any close: the fills of
// several runs overlap, as those of one wait for one another, and the equity of all legs is written without a branch.
type legs struct {
	fills              []signal   // long and short alternate
	begun              []byte     // a bit for each bar of the window on which a leg begins
	units, entry, cash []float64  // of each leg; the first is before the first fill
	cost               float64    // of the last entry
	slip               [2]float64 // factors of the prices of purchases and sales
	withCost           float64    // factor of what a unit costs
	next               int        // leg that the next bar is of, or the one before when a leg begins on it
	from               int        // first bar whose equity is written; before it cash is what it was
	unfit              bool       // ruined, not paid for, or too much for a number: the run has to walk from bar to bar
}

// barsOfLegs is how many bars are written at once, and so how many legs are read.
const barsOfLegs = 8

// inLegs reports whether a run can be cut into legs.
func (r *Runner) inLegs(w Window) bool {
	return hasLegs() && !r.protected && !r.trace && r.longs && r.shorts && r.cfg.Account.Exclusive && w.Len() > 2*barsOfLegs
}

// simulateLegs is SimulateTogether of runs that can be cut into legs.
func simulateLegs(runners []*Runner, w Window, metrics []*Metrics) {
	last := w.To - 1
	for _, r := range runners {
		r.begin(w)
		r.beginLegs(w)
	}
	fillTogether(runners)
	for _, r := range runners {
		r.passIdle()
	}
	for bar := w.From; bar < last; {
		from := bar
		bar = min(bar+equityChunk, last)
		for _, r := range runners {
			r.writeLegs(from, bar)
		}
		sumTogether(runners)
	}
	for _, r := range runners {
		r.endLegs(last)
	}
	sumTogether(runners)
	for i, r := range runners {
		if r.legs.unfit {
			r.run(w)
		} else {
			r.stats.finish(r.course.tally.cash)
		}
		*metrics[i] = Metrics{Bars: w.Len()}
		r.summarise(w, &r.course.tally, metrics[i])
	}
}

// beginLegs finds the signals that are filled, and makes room for a leg for each.
func (r *Runner) beginLegs(w Window) {
	l, account := &r.legs, &r.cfg.Account
	l.alternate(r.course.signals, w)
	l.next, l.from, l.unfit = 0, w.To-1, false
	l.slip, l.withCost = [2]float64{1 + account.Slippage, 1 - account.Slippage}, 1+float64(account.Commission)
	if bytes := w.Len()/8 + 1; cap(l.begun) < bytes {
		l.begun = make([]byte, bytes)
	} else {
		l.begun = l.begun[:bytes]
		clear(l.begun)
	}
	// What is read beyond the last leg is not used.
	if count := len(l.fills) + 1 + barsOfLegs; cap(l.units) < count {
		l.units, l.entry, l.cash = make([]float64, count), make([]float64, count), make([]float64, count)
	} else {
		l.units, l.entry, l.cash = l.units[:count], l.entry[:count], l.cash[:count]
	}
	l.units[0], l.entry[0], l.cash[0] = 0, 0, account.Cash
	if len(l.fills) > 0 {
		first := l.fills[0].bar() + 1
		l.from = min(l.from, w.From+(first-w.From)&^(barsOfLegs-1))
		r.course.tally.exposed = w.To - first
	}
}

// alternate keeps the signals that are filled in the window and are not in the direction of the one before.
func (l *legs) alternate(signals []signal, w Window) {
	for len(signals) > 0 && signals[len(signals)-1].bar()+1 >= w.To {
		signals = signals[:len(signals)-1]
	}
	if cap(l.fills) < len(signals) {
		l.fills = make([]signal, len(signals))
	}
	fills, kept, last := l.fills[:len(signals)], 0, signal(2)
	for _, s := range signals {
		fills[kept] = s
		kept += int(bit(s&1 != last))
		last = s & 1
	}
	l.fills = fills[:kept]
}

// fillTogether fills the signals of all runs, one of each at a time.
func fillTogether(runners []*Runner) {
	for k, filled := 0, true; filled; k++ {
		filled = false
		for _, r := range runners {
			if k < len(r.legs.fills) {
				r.fill(k)
				filled = true
			}
		}
	}
}

// fill is followSignal of the k-th signal that is filled, which begins leg k+1. An entry that is not made leaves signals
// that were not kept, so that the run is not one for legs.
func (r *Runner) fill(k int) {
	l, t, rate := &r.legs, &r.course.tally, float64(r.cfg.Account.Commission)
	short := l.fills[k] & 1
	bar := l.fills[k].bar() + 1
	price, cash := float64(r.bars.Open[bar]*l.slip[short]), l.cash[k]
	if k > 0 { // as exit does
		held, entry := l.units[k], l.entry[k]
		gross, value := float64(held*(price-entry)), math.Abs(held*price)
		commission := float64(value * rate)
		cash += gross - commission
		pnl := gross - l.cost - commission
		t.add(pnl, 100*pnl/(math.Abs(held)*entry))
	}
	// As enter does.
	unitCost, units := price*l.withCost, r.cfg.Account.Size
	if units <= 1 {
		units = cash * units / unitCost
		if r.cfg.Account.WholeUnits {
			units = float64(int64(units))
		}
	} else if units*unitCost > cash {
		units = 0
	}
	l.cost = float64(units * price * rate)
	cash -= l.cost
	l.unfit = l.unfit || !(units > 0 && cash <= math.MaxFloat64)
	at := bar - r.window.From
	l.begun[at>>3] |= 1 << (at & 7)
	l.units[k+1], l.entry[k+1], l.cash[k+1] = math.Float64frombits(math.Float64bits(units)|uint64(short)<<63), price, cash
}

// passIdle reads the bars before the first leg that is in the market.
func (r *Runner) passIdle() {
	if bars := r.legs.from - r.window.From; bars > 0 {
		r.stats.idleBars(r.cfg.Account.Cash, bars)
	}
}

// writeLegs writes the equity of bars [from, to), and reads it.
func (r *Runner) writeLegs(from, to int) {
	l := &r.legs
	from = max(from, l.from)
	if r.read = 0; from >= to || l.unfit {
		return
	}
	equity, closes, begun := r.equity[:to-from], r.bars.Close[from:to], l.begun[(from-r.window.From)/8:]
	whole := len(closes) &^ (barsOfLegs - 1)
	above := true
	if whole > 0 {
		l.next, above = writeLegs(equity[:whole], closes[:whole], begun, l.units, l.entry, l.cash, l.next)
	}
	if whole < len(closes) {
		var tail bool
		l.next, tail = writeLegsPlain(equity[whole:], closes[whole:], begun[whole/8:], l.units, l.entry, l.cash, l.next)
		above = above && tail
	}
	if !above {
		r.unfit()
		return
	}
	r.stats.read(equity)
	r.read = len(equity)
}

// unfit gives up the legs: the account is ruined somewhere.
func (r *Runner) unfit() { r.legs.unfit, r.stats.summed, r.read = true, 0, 0 }

// endLegs closes the position on the window's last bar.
func (r *Runner) endLegs(last int) {
	l, t, c, k := &r.legs, &r.course.tally, r.bars.Close[last], len(r.legs.fills)
	t.cash = l.cash[k]
	if l.unfit || t.cash+float64(l.units[k]*(c-l.entry[k])) <= 0 {
		r.unfit()
		return
	}
	if k > 0 {
		pos := position{units: l.units[k], entry: l.entry[k], cost: l.cost}
		r.exit(&pos, t, last, r.slipped(c, pos.units > 0), "end")
	}
	if !(t.cash > 0 && t.cash <= math.MaxFloat64) {
		r.unfit()
		return
	}
	r.equity[0], r.read = t.cash, 1
	r.stats.read(r.equity[:1])
}

// writeLegsPlain writes the equity at each close. begun has a bit for each bar on which a leg begins; leg is the one before
// the first bar. It returns the leg of the last bar, and whether all equity is above zero.
func writeLegsPlain(equity, closes []float64, begun []byte, units, entry, cash []float64, leg int) (next int, above bool) {
	equity, above = equity[:len(closes)], true
	for i, c := range closes {
		leg += int(begun[i>>3] >> (i & 7) & 1)
		e := cash[leg] + float64(units[leg]*(c-entry[leg]))
		above = above && !(e <= 0)
		equity[i] = e
	}
	return leg, above
}
