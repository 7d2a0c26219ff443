package broker

import "math"

// risk holds the rules that stop trading and what they have seen.
type risk struct {
	daily    bool // some rule needs to know the day
	lossRule bool // some rule looks at the equity of every bar's close

	allow Dir // Both: either direction may open
	limit float64

	drawdownLimit, lossLimit     float64
	drawdownPercent, lossPercent bool
	fillLimit, lossDayLimit      int

	day          int32
	dayKnown     bool
	dayEquity    float64 // at the day's start
	fills        int
	lossDays     int
	dayOver      bool
	stopped      bool
	realizedPeak float64 // of capital and closed profit
	rowsBefore   int     // closed rows at the bar's start
}

func (r *risk) reset(capital float64) {
	*r = risk{limit: math.Inf(1), drawdownLimit: math.NaN(), lossLimit: math.NaN(), realizedPeak: capital}
}

// AllowEntryIn permits entries to open in one direction only; an entry of the other closes. Both lifts
// the rule.
func (e *Emulator) AllowEntryIn(d Dir) { e.allow = d }

// MaxPositionSize bounds the position that entries may build, in units.
func (e *Emulator) MaxPositionSize(units float64) { e.risk.limit = units }

// StopAtDrawdown closes the position and ends trading on a bar that closes a lot while equity at its close is
// value below the highest realized equity; value is money, or percent of that.
func (e *Emulator) StopAtDrawdown(value float64, percent bool) {
	e.drawdownLimit, e.drawdownPercent, e.lossRule = value, percent, true
}

// StopAtIntradayLoss closes the position and ends the day when equity at a close is value below that of
// the day's start; value is money, or percent of that.
func (e *Emulator) StopAtIntradayLoss(value float64, percent bool) {
	e.lossLimit, e.lossPercent, e.daily, e.lossRule = value, percent, true, true
}

// MaxIntradayFilledOrders ends the day and closes the position when that many orders have filled.
func (e *Emulator) MaxIntradayFilledOrders(n int) { e.fillLimit, e.daily = n, true }

// MaxConsLossDays ends trading after that many days in a row with a loss.
func (e *Emulator) MaxConsLossDays(n int) { e.lossDayLimit, e.daily = n, true }

// newDay starts a trading day. It runs before the bar's prices are known: equity is that of the last close.
func (e *Emulator) newDay(day int32) {
	r := &e.risk
	if r.dayKnown && r.day == day {
		return
	}
	equity := e.Equity()
	if r.dayKnown && r.lossDayLimit > 0 {
		if equity < r.dayEquity {
			r.lossDays++
		} else {
			r.lossDays = 0
		}
		if r.lossDays >= r.lossDayLimit && !r.stopped {
			e.CancelAll()
			if len(e.lots) > 0 {
				e.add(e.marketClose(kindCloseAll, 0, 0, math.Abs(e.size), false))
			}
			r.stopped = true
		}
	}
	r.day, r.dayKnown, r.dayOver, r.fills, r.dayEquity = day, true, false, 0, equity
}

// allowed is the quantity of an entry that the rules permit to open.
func (e *Emulator) allowed(d Dir, closing, opening float64) float64 {
	if e.allow != Both && d != e.allow {
		return 0
	}
	if math.IsInf(e.risk.limit, 1) {
		return opening
	}
	held := math.Abs(e.size) - closing
	return e.floorLot(max(0, min(opening, e.risk.limit-held)))
}

// countFill counts one filled order of the day and ends the day at the limit. An entry that filled
// inside the bar beyond its open in the entry's favor is closed at the extreme that the path still reaches.
func (e *Emulator) countFill(price float64, entry bool) {
	r := &e.risk
	if r.fillLimit <= 0 {
		return
	}
	if r.fills++; r.fills != r.fillLimit {
		return
	}
	if p := &e.now; entry && !e.atClose {
		if e.size > 0 && price > p.open {
			price = p.high
		} else if e.size < 0 && price < p.open {
			price = p.low
		}
	}
	e.closeByRisk(price)
	r.dayOver = true
}

// closeByRisk cancels all orders and closes the position at a price.
func (e *Emulator) closeByRisk(price float64) {
	e.CancelAll()
	if len(e.lots) > 0 {
		size := math.Abs(e.size)
		e.take(size, size, price, taker{reason: ByRisk}, 0)
	}
}

// checkLosses applies the loss rules at the bar's close.
func (e *Emulator) checkLosses() {
	r := &e.risk
	equity := e.Equity()
	if e.rows > r.rowsBefore {
		if breaks(r.realizedPeak, equity, r.drawdownLimit, r.drawdownPercent) {
			r.stopped = true
		}
		r.realizedPeak = max(r.realizedPeak, e.capital+e.net)
	}
	if breaks(r.dayEquity, equity, r.lossLimit, r.lossPercent) {
		r.dayOver = true
	}
	if r.stopped || r.dayOver {
		e.atClose = true
		e.closeByRisk(e.close)
		e.atClose = false
	}
	r.rowsBefore = e.rows
}

// breaks says whether equity is the limit below a peak. A NaN limit never is.
func breaks(peak, equity, limit float64, percent bool) bool {
	if percent {
		limit = peak * limit / 100
	}
	return limit > 0 && peak-equity >= limit
}
