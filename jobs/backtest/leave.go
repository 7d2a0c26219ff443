package backtest

import "math"

// Where a run in legs is ruined, or does not pay for an entry, its legs are wrong from there on. It goes back to where the
// bars that were walked over last began, and continues alone: a strategy that is short for years is ruined sooner or later, and
// most often soon. So does one that enters with more cash than a number holds. An equity that is too much for a number between
// two fills needs no care: the walk has the bits of one alone there too.

// fitsTo is the bar with the first entry of a run that has one which was not made as its legs say.
func (l *legs) fitsTo(f *filling, lane int) int {
	for k, s := range l.fills {
		if of := f.leg(lane, k+1); of.units == 0 || !(of.cash > 0 && of.cash <= math.MaxFloat64) {
			return s.bar() + 1
		}
	}
	return 0
}

// leave takes the runs that are unfit before bar to out of the walk, has them continue alone from bar from, where the walk stood
// before, and returns how many they are. before is called of each first.
func (l *legs) leave(runners []*Runner, from, to int, before func(lane int, r *Runner)) (gone int) {
	for lane, r := range runners {
		if r.legs.left || l.walk.least[lane] > 0 && to <= r.legs.fitTo {
			continue
		}
		done := l.stood.next[lane]/legBytes - 1
		l.stood.store(lane, r, from)
		before(lane, r)
		r.goAlone(l.fill, lane, done, from)
		l.walk.stand(lane)
		for _, s := range r.legs.fills[done:] {
			l.begun[s.bar()+1-r.window.From] &^= 1 << lane
		}
		gone++
	}
	return gone
}

// goAlone goes from a bar to the end of the window, after so many fills.
func (r *Runner) goAlone(f *filling, lane, fills, bar int) {
	l := &r.legs
	l.unfit, l.left = true, true
	r.first, r.read = bar, 0
	r.course = course{bar: bar, signals: signalsFrom(r.signals.list, max(r.window.From, bar-1)), open: r.bars.Open[bar]}
	pos, t := &r.course.pos, &r.course.tally
	t.cash, t.exposed = r.cfg.Account.Cash, max(0, bar-l.from)
	for k, s := range l.fills[:fills] {
		at, price := s.bar()+1, f.leg(lane, k+1).entry
		if k > 0 {
			r.exit(pos, t, at, price, "signal")
		}
		r.enter(pos, t, at, price, !s.short())
	}
	r.toEnd()
}

// toEnd goes from where a run has come to, to the end of its window.
func (r *Runner) toEnd() {
	for to := r.window.To; r.course.bar < to; {
		if c := &r.course; c.pos.units == 0 && (c.tally.unpaid > 0 || c.tally.ruined) {
			r.wait() // it did not pay for the last entry, and so most likely not for the next
			r.sum()
		}
		r.advance(min(r.course.bar+equityChunk, to))
		r.sum()
	}
	r.stats.finish(r.course.tally.cash)
}

// sum takes the returns of the bars that were read.
func (r *Runner) sum() {
	r.stats.sum(r.equity[:r.read])
	r.summed()
}

// wait goes to the next entry that the account pays for, or to the end of the window.
func (r *Runner) wait() {
	c, to := &r.course, r.window.To
	for ; len(c.signals) > 0; c.signals = c.signals[1:] {
		next, short := c.signals[0].bar()+1, c.signals[0].short()
		if c.tally.ruined || next >= to {
			c.signals = nil
			break
		}
		if short && !r.shorts || !short && !r.longs {
			continue
		}
		c.open = r.bars.Open[next]
		if !(r.size(c.tally.cash, r.slipped(c.open, short)) <= 0) {
			to = next
			break
		}
		c.tally.unpaid++
	}
	if c.bar < to {
		r.idle(c.tally.cash, c.bar, to)
		c.bar = to
	}
}
