package broker

import "math"

// risk holds the rules that stop trading and what they have seen.
type risk struct {
	daily    bool // some rule needs to know the day
	lossRule bool // some rule needs the path of every bar

	allow Dir // Both: either direction may open
	limit float64

	drawdownLimit, lossLimit     float64
	drawdownPercent, lossPercent bool
	fillLimit, lossDayLimit      int

	day       int32
	dayKnown  bool
	dayPeak   float64
	dayNet    float64 // closed profit at the day's start
	fills     int
	lossDays  int
	dayOver   bool
	stopped   bool
	totalPeak float64
}

func (r *risk) reset() {
	*r = risk{limit: math.Inf(1), drawdownLimit: math.NaN(), lossLimit: math.NaN(), totalPeak: math.Inf(-1), dayPeak: math.Inf(-1)}
}

// AllowEntryIn permits entries to open in one direction only; an entry of the other closes. Both lifts
// the rule.
func (e *Emulator) AllowEntryIn(d Dir) { e.allow = d }

// MaxPositionSize bounds the position that entries may build, in units.
func (e *Emulator) MaxPositionSize(units float64) { e.risk.limit = units }

// StopAtDrawdown closes the position and ends trading when equity falls by value below its peak; value is
// money, or percent of the peak.
func (e *Emulator) StopAtDrawdown(value float64, percent bool) {
	e.drawdownLimit, e.drawdownPercent, e.daily, e.lossRule = value, percent, true, true
}

// StopAtIntradayLoss closes the position and ends the day when equity falls by value below the day's peak.
func (e *Emulator) StopAtIntradayLoss(value float64, percent bool) {
	e.lossLimit, e.lossPercent, e.daily, e.lossRule = value, percent, true, true
}

// MaxIntradayFilledOrders ends the day and closes the position when that many orders have filled.
func (e *Emulator) MaxIntradayFilledOrders(n int) { e.fillLimit, e.daily = n, true }

// MaxConsLossDays ends trading after that many days in a row with a loss.
func (e *Emulator) MaxConsLossDays(n int) { e.lossDayLimit, e.daily = n, true }

// halted says whether a rule forbids new orders.
func (e *Emulator) halted() bool { return e.dayOver || e.stopped }

// newDay starts a trading day.
func (e *Emulator) newDay(day int32) {
	r := &e.risk
	if r.dayKnown && r.day == day {
		return
	}
	if r.dayKnown && r.lossDayLimit > 0 {
		switch {
		case e.net < r.dayNet:
			r.lossDays++
		case e.net > r.dayNet:
			r.lossDays = 0
		}
		if r.lossDays >= r.lossDayLimit && !r.stopped {
			r.stopped = true
			e.CancelAll()
			if len(e.lots) > 0 {
				e.add(e.marketClose(kindCloseAll, 0, 0, math.Abs(e.size), false))
			}
		}
	}
	r.day, r.dayKnown, r.dayOver, r.fills, r.dayNet = day, true, false, 0, e.net
	r.dayPeak = math.Inf(-1)
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
	return e.floorLot(math.Max(0, math.Min(opening, e.risk.limit-held)))
}

// watch follows the peaks that the loss rules measure from.
func (r *risk) watch(equity float64) {
	r.totalPeak = math.Max(r.totalPeak, equity)
	r.dayPeak = math.Max(r.dayPeak, equity)
}

// countFill counts one filled order of the day and ends the day at the limit.
func (e *Emulator) countFill(price float64) {
	r := &e.risk
	if r.fillLimit <= 0 {
		return
	}
	if r.fills++; r.fills == r.fillLimit {
		e.closeByRisk(price)
		r.dayOver = true
	}
}

// closeByRisk cancels all orders and closes the position at a price.
func (e *Emulator) closeByRisk(price float64) {
	e.CancelAll()
	if len(e.lots) > 0 {
		size := math.Abs(e.size)
		e.take(size, size, price, taker{reason: ByRisk}, 0)
	}
}

// riskStop says where the leg from a to b takes equity to a loss limit.
func (e *Emulator) riskStop(a, b float64) (float64, bool) {
	r := &e.risk
	if !r.lossRule || len(e.lots) == 0 {
		return 0, false
	}
	lowest := math.Inf(-1)
	if !math.IsNaN(r.drawdownLimit) {
		lowest = floorOf(math.Max(r.totalPeak, e.capital), r.drawdownLimit, r.drawdownPercent)
	}
	if !math.IsNaN(r.lossLimit) {
		peak := math.Max(r.dayPeak, e.equityAt(e.grid.price(a)))
		lowest = math.Max(lowest, floorOf(peak, r.lossLimit, r.lossPercent))
	}
	// Equity is linear in the price: capital + net + (size·price − cost)·point.
	price := ((lowest-e.capital-e.net)/e.point + e.cost) / e.size
	return meetStopAt(e.grid.stopTicks(price, -e.side()), -e.side(), a, b)
}

func meetStopAt(level float64, d Dir, a, b float64) (float64, bool) {
	t, ok := meetStop(level, d, a, b)
	return t.at, ok
}

func floorOf(peak, value float64, percent bool) float64 {
	if percent {
		return peak - peak*value/100
	}
	return peak - value
}

// stopTrading closes the position at k ticks because of a loss rule. The day is over; with the drawdown
// rule the run is.
func (e *Emulator) stopTrading(k float64) {
	r := &e.risk
	price := e.priceFor(k, -e.side(), true)
	equity := e.equityAt(e.grid.price(k))
	if !math.IsNaN(r.drawdownLimit) && equity <= floorOf(math.Max(r.totalPeak, e.capital), r.drawdownLimit, r.drawdownPercent) {
		r.stopped = true
	}
	e.closeByRisk(price)
	r.dayOver = true
}
