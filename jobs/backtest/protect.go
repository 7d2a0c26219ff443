package backtest

import "math"

// setStops sets the stop and target of a position just entered. Distances in true ranges are those of
// the bar that gave the signal: the entry bar's own range is not known at its open.
func (r *Runner) setStops(pos *position, bar int, long bool) {
	s := r.cfg.Stops
	sign := 1.0
	if !long {
		sign = -1
	}
	var atr float64
	if r.atr != nil && bar > 0 && r.atr[bar-1] == r.atr[bar-1] {
		atr = r.atr[bar-1]
	}
	// Of two distances of one kind the nearer counts.
	pos.stop = nearer(sign, pos.entry*(1-sign*s.StopPct/100), s.StopPct > 0, pos.entry-float64(sign*s.StopATR*atr), s.StopATR*atr > 0)
	pos.target = nearer(-sign, pos.entry*(1+sign*s.TargetPct/100), s.TargetPct > 0, pos.entry+float64(sign*s.TargetATR*atr), s.TargetATR*atr > 0)
	pos.trail = s.TrailPct / 100
	pos.trailATR = s.TrailATR * atr
}

// nearer picks the price that is met first of two optional ones; 0 when neither is there. A price
// that fell to zero or below can never be met.
func nearer(sign, a float64, hasA bool, b float64, hasB bool) float64 {
	hasA, hasB = hasA && a > 0, hasB && b > 0
	switch {
	case hasA && hasB:
		if sign*a > sign*b {
			return a
		}
		return b
	case hasA:
		return a
	case hasB:
		return b
	}
	return 0
}

// protect walks bars [bar, end) with stops and targets in force. It returns the next bar.
func (r *Runner) protect(pos *position, t *tally, bar, end int) int {
	if pos.trail > 0 || pos.trailATR > 0 {
		return r.trail(pos, t, bar, end)
	}
	closes := r.bars.Close[bar:end]
	lows, highs := r.bars.Low[bar:][:len(closes)], r.bars.High[bar:][:len(closes)]
	equity := r.equity[bar-r.first:][:len(closes)]
	units, entry, cash := pos.units, pos.entry, t.cash
	lower, upper := r.levels(pos)
	for i := guard(equity, closes, lows, highs, units, entry, cash, lower, upper); i < len(closes); i++ {
		if lows[i] <= lower || highs[i] >= upper {
			return r.touch(pos, t, bar, i)
		}
		e := cash + float64(units*(closes[i]-entry))
		equity[i] = e
		if e <= 0 {
			t.exposed += i
			r.ruin(pos, t, bar+i)
			return bar + i + 1
		}
	}
	t.exposed += len(closes)
	return end
}

// trail is protect of a position whose stop follows the best price.
func (r *Runner) trail(pos *position, t *tally, bar, end int) int {
	closes := r.bars.Close[bar:end]
	lows, highs := r.bars.Low[bar:][:len(closes)], r.bars.High[bar:][:len(closes)]
	equity := r.equity[bar-r.first:][:len(closes)]
	units, entry, cash := pos.units, pos.entry, t.cash
	lower, upper := r.levels(pos)
	sign, favourable := 1.0, highs
	if units < 0 {
		sign, favourable = -1, lows
	}
	best := sign * pos.best
	for i, c := range closes {
		if lows[i] <= lower || highs[i] >= upper {
			return r.touch(pos, t, bar, i)
		}
		e := cash + float64(units*(c-entry))
		equity[i] = e
		if e <= 0 {
			t.exposed += i
			r.ruin(pos, t, bar+i)
			return bar + i + 1
		}
		if price := sign * favourable[i]; price > best {
			best, pos.best = price, favourable[i]
			lower, upper = r.levels(pos)
		}
	}
	t.exposed += len(closes)
	return end
}

// touch leaves a position on the bar that meets its stop or target, the i-th from bar on. It returns the next bar.
func (r *Runner) touch(pos *position, t *tally, bar, i int) int {
	t.exposed += i
	price, reason := r.touched(bar+i, pos.units > 0, r.stopNow(pos), pos.target)
	r.exit(pos, t, bar+i, price, reason)
	r.equity[bar-r.first+i] = t.cash
	return bar + i + 1
}

// levels are the prices at or below which and at or above which a bar meets the stop or the target.
func (r *Runner) levels(pos *position) (lower, upper float64) {
	lower, upper = r.stopNow(pos), pos.target
	if pos.units < 0 {
		lower, upper = upper, lower
	}
	if upper == 0 {
		upper = math.Inf(1)
	}
	return lower, upper
}

// stopNow is the stop in force during the coming bar: the fixed or the trailing one, whichever is
// nearer. 0 is none.
func (r *Runner) stopNow(pos *position) float64 {
	sign := 1.0
	if pos.units < 0 {
		sign = -1
	}
	stop := pos.stop
	if pos.trail > 0 {
		stop = nearer(sign, stop, stop > 0, pos.best*(1-float64(sign*pos.trail)), true)
	}
	if pos.trailATR > 0 {
		stop = nearer(sign, stop, stop > 0, pos.best-float64(sign*pos.trailATR), true)
	}
	return stop
}

// touched decides which of stop and target a bar that meets one of them fills, and at which price. Of a
// bar whose inside is known, the first bar inside that meets one decides.
func (r *Runner) touched(bar int, long bool, stop, target float64) (price float64, reason string) {
	fine, from, to := r.bars.Detail(bar)
	lower, upper := stop, target
	if !long {
		lower, upper = upper, lower
	}
	if upper == 0 {
		upper = math.Inf(1)
	}
	for k := from; k < to; k++ {
		if fine.Low[k] <= lower || fine.High[k] >= upper {
			return r.touchedOn(fine, k, long, stop, target)
		}
	}
	return r.touchedOn(r.bars, bar, long, stop, target)
}

// touchedOn is touched on a bar whose inside is not known.
func (r *Runner) touchedOn(b *Bars, bar int, long bool, stop, target float64) (price float64, reason string) {
	open, adverse, favourable := b.Open[bar], b.Low[bar], b.High[bar]
	sign := 1.0
	if !long {
		adverse, favourable = favourable, adverse
		sign = -1
	}
	stopped := stop > 0 && sign*adverse <= sign*stop
	reached := target > 0 && sign*favourable >= sign*target
	if stopped && reached {
		stopped = r.stopFirst(b, bar, sign, stop, target)
	}
	if stopped {
		worse := open
		if sign*stop < sign*open {
			worse = stop
		}
		return r.slipped(worse, long), "stop"
	}
	return target, "target"
}

// stopFirst decides between a stop and a target that one bar touches both.
func (r *Runner) stopFirst(b *Bars, bar int, sign, stop, target float64) bool {
	open, low, high := b.Open[bar], b.Low[bar], b.High[bar]
	switch {
	case sign*open <= sign*stop:
		return true // the bar opens beyond the stop
	case sign*open >= sign*target:
		return false
	}
	switch r.cfg.Policy {
	case PolicyBest:
		return false
	case PolicyOHLCPath:
		if sign > 0 {
			return open-low <= high-open
		}
		return high-open <= open-low
	case PolicyRandom:
		return mix(r.cfg.Seed^uint64(bar)*0x9e3779b97f4a7c15)&1 == 0
	default:
		return true
	}
}

// mix is the finaliser of SplitMix64 (Steele, Lea & Flood 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
