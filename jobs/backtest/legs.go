package backtest

import (
	"math"
	"slices"
)

// legs are the stretches of a run between its fills, on which equity is cash + units·(close − entry). A run without
// stops that is always in the market finds its fills by the signals alone, before it looks at any close: the fills of
// several runs overlap, as those of one wait for one another, and then all runs walk over the closes side by side.
type legs struct {
	fills []signal // long and short alternate
	from  int      // first bar with a position; the last of the window when there is none before it
	fitTo int      // bar with the first entry that was not paid for, or is too much for a number
	unfit bool     // ruined, or fills such an entry: the run has to walk from bar to bar, from some bar on
	left  bool     // unfit, and has done so

	// Of the first of several runs, for all of them.
	walk  *walk
	stood walk // where walk stood before the bars that it took last
	fill  *filling
	begun []byte    // for each bar of the window, a bit for each run of which a leg begins there
	rows  []float64 // equity of all runs, bar by bar, where their returns are kept
	days  *dayWalk  // where returns are those of days
}

type leg struct{ units, entry, cash float64 }

// barsOfRows is how many bars of equity are kept at a time: few enough for the first cache.
const barsOfRows = 256

// inLegs reports whether a run can be cut into legs.
func (r *Runner) inLegs(w Window) bool {
	return hasLanes() && !r.protected && !r.trace && r.longs && r.shorts && r.cfg.Account.Exclusive && w.Len() > 1
}

// simulateLegs is SimulateTogether of runs that can be cut into legs.
func simulateLegs(runners []*Runner, w Window, metrics []*Metrics) {
	last, from, first := w.To-1, w.To-1, &runners[0].legs
	first.clearBegun(w.Len())
	for _, r := range runners {
		r.begin(w)
		r.beginLegs(w)
		from = min(from, r.legs.from)
	}
	first.fillTogether(runners)
	walkTogether(runners, from, last)
	for lane, r := range runners {
		if r.legs.left {
			continue
		}
		if r.endLegs(last, first.fill, lane); r.legs.unfit {
			r.run(w)
		} else {
			r.stats.finish(r.course.tally.cash)
		}
	}
	if runners[0].stats.daily {
		first.measureDays(runners)
	}
	for i, r := range runners {
		*metrics[i] = Metrics{Bars: w.Len()}
		if !r.stats.daily || r.legs.unfit {
			r.summarise(w, &r.course.tally, metrics[i])
			continue
		}
		r.summariseReturns(w, &r.course.tally, metrics[i], first.days.moments.of(i, len(r.stats.returns)))
	}
}

func (l *legs) clearBegun(bars int) {
	if cap(l.begun) < bars {
		l.begun = make([]byte, bars)
		return
	}
	l.begun = l.begun[:bars]
	clear(l.begun)
}

// beginLegs finds the signals that are filled.
func (r *Runner) beginLegs(w Window) {
	l := &r.legs
	l.alternate(r.course.signals, w)
	l.from, l.unfit, l.left = w.To-1, false, false
	if len(l.fills) > 0 {
		l.from = l.fills[0].bar() + 1
		r.course.tally.exposed = w.To - l.from
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

// fillTogether fills the signals of all runs, whose accounts are alike, one of each at a time.
func (l *legs) fillTogether(runners []*Runner) {
	if l.fill == nil {
		l.fill = new(filling)
	}
	f, most, from := l.fill, 0, runners[0].window.From
	for _, r := range runners {
		most = max(most, len(r.legs.fills))
	}
	f.begin(most)
	for lane, r := range runners {
		account, fills := &r.cfg.Account, r.legs.fills
		f.account(lane, account)
		f.count[lane] = int64(len(fills))
		slip := [2]float64{1 + account.Slippage, 1 - account.Slippage}
		entries, open := f.legs[Lanes+lane:], r.bars.Open
		for k, s := range fills {
			bar, short := s.bar()+1, s&1
			l.begun[bar-from] |= 1 << lane
			f.shorts[k] |= byte(short) << lane
			entries[(k+1)*legNumbers] = float64(open[bar] * slip[short])
		}
	}
	account := &runners[0].cfg.Account
	f.run(most, account.Size <= 1, account.WholeUnits)
	for lane, r := range runners {
		f.store(lane, &r.course.tally)
		if r.legs.fitTo = math.MaxInt; f.unfit>>lane&1 == 1 {
			r.legs.fitTo = r.legs.fitsTo(f, lane)
		}
	}
}

// walkTogether measures the equity of all runs up to the last bar. Before from none has a position.
func walkTogether(runners []*Runner, from, last int) {
	r, l := runners[0], &runners[0].legs
	if l.walk == nil {
		l.walk = new(walk)
	}
	for lane := range Lanes {
		if lane >= len(runners) {
			l.walk.stand(lane)
			continue
		}
		if idle := from - r.window.From; idle > 0 {
			runners[lane].stats.idleBars(r.cfg.Account.Cash, idle)
		}
		l.walk.load(lane, runners[lane], &l.fill.legs[lane])
	}
	if r.stats.daily {
		l.overDays(runners, from, last)
	} else {
		l.overBars(runners, from, last)
	}
	for lane, r := range runners {
		if !r.legs.left {
			l.walk.store(lane, r, last)
		}
	}
}

// overBars walks from bar to bar, each of which ends a period.
func (l *legs) overBars(runners []*Runner, from, last int) {
	r, bars := runners[0], equityChunk
	keeps := slices.ContainsFunc(runners, func(r *Runner) bool { return r.stats.keep })
	if keeps {
		bars = barsOfRows
		if l.rows == nil {
			l.rows = make([]float64, barsOfRows*Lanes)
		}
	}
	for staying := len(runners); from < last && staying > 0; from += bars {
		bars = min(bars, last-from)
		closes, begun := r.bars.Close[from:from+bars], l.begun[from-r.window.From:][:bars]
		var rows []float64
		if keeps {
			rows = l.rows[:bars*Lanes]
		}
		l.stood = *l.walk
		l.walk.over(closes, begun, from, rows)
		staying -= l.leave(runners, from, from+bars, func(int, *Runner) {})
		if !keeps {
			continue
		}
		for lane, r := range runners {
			if !r.legs.left {
				r.stats.periods(rows, lane)
			}
		}
	}
}

// unfit gives up the legs: the account is ruined on the last bar.
func (r *Runner) unfit() { r.legs.unfit, r.read = true, 0 }

// endLegs closes the position on the window's last bar.
func (r *Runner) endLegs(last int, f *filling, lane int) {
	l, t, c, end := &r.legs, &r.course.tally, r.bars.Close[last], f.leg(lane, len(r.legs.fills))
	t.cash = end.cash
	if l.unfit || l.fitTo <= last || t.cash+float64(end.units*(c-end.entry)) <= 0 {
		r.unfit()
		return
	}
	if len(l.fills) > 0 {
		pos := position{units: end.units, entry: end.entry, cost: f.cost[lane]}
		r.exit(&pos, t, last, r.slipped(c, pos.units > 0), "end")
	}
	if !(t.cash > 0 && t.cash <= math.MaxFloat64) {
		r.unfit()
		return
	}
	r.equity[0] = t.cash
	r.stats.read(r.equity[:1])
	r.stats.sum(r.equity[:1])
}
