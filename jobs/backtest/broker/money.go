package broker

import "math"

// account is the money of a run and its statistics.
type account struct {
	capital             float64
	net                 float64 // closed profit after fees
	grossProfit         float64
	grossLoss           float64 // positive
	wins, losses, evens int
	rows                int
	peak, trough        float64 // of the equity inside bars
	drawdown, runup     float64
	heldLong, heldShort float64
	heldAll             float64
}

func (a *account) reset(capital float64) {
	*a = account{capital: capital, peak: capital, trough: capital}
}

// fee is the share of part units in the commission of an order that trades traded units.
func (e *Emulator) fee(part, traded, price float64) float64 {
	switch e.s.FeeType {
	case FeeCashPerOrder:
		return e.s.Fee * part / traded
	case FeeCashPerContract:
		return e.s.Fee * part
	}
	return e.s.Fee / 100 * part * price * e.point
}

// book closes part of a lot and counts the result.
func (e *Emulator) book(l *Lot, part, exitFee, price float64, by taker) {
	sign := 1.0
	if l.Size < 0 {
		sign = -1
	}
	whole := math.Abs(l.Size)
	entryFee := l.Fee * part / whole
	profit := float64(sign*part*(price-l.Price)*e.point) - entryFee - exitFee
	e.net += profit
	e.rows++
	switch {
	case profit > 0:
		e.grossProfit += profit
		e.wins++
	case profit < 0:
		e.grossLoss -= profit
		e.losses++
	default:
		e.evens++
	}
	if e.keep {
		up, down := 0.0, 0.0
		if !e.lean {
			up, down = l.excursions(price, part*e.point)
		}
		e.closed = append(e.closed, Trade{
			EntryID: l.ID, EntryComment: l.Comment, ExitID: by.id, ExitComment: by.comment,
			Size: sign * part, EntryPrice: l.Price, ExitPrice: price, EntryBar: l.Bar, ExitBar: e.bar,
			EntryAtClose: l.AtClose, ExitAtClose: e.atClose, Profit: profit, Fee: entryFee + exitFee,
			MaxRunup: up, MaxDrawdown: down, Reason: by.reason,
		})
	}
	l.Size -= float64(sign * part)
	l.Fee -= entryFee
}

// excursions are the best and worst open profit of a lot, as positive money for value money a point.
func (l *Lot) excursions(price, value float64) (up, down float64) {
	high, low := max(l.high, price), min(l.low, price)
	if l.Size > 0 {
		return (high - l.Price) * value, (l.Price - low) * value
	}
	return (l.Price - low) * value, (high - l.Price) * value
}

// floorLot rounds a quantity down to the lot step; one within rounding error of a lot is that lot.
func (e *Emulator) floorLot(qty float64) float64 {
	step := e.s.LotStep
	if step <= 0 {
		return qty
	}
	k := qty / step
	r := math.Floor(k + 0.5)
	if math.Abs(k-r) > 1e-6 {
		r = math.Floor(k)
	}
	if e.lotInverse > 0 {
		return r / e.lotInverse
	}
	return r * step
}

// defaultQty is the size of an order that names none, at a price.
func (e *Emulator) defaultQty(price float64) float64 {
	value := float64(price * e.point)
	switch e.s.QtyType {
	case Cash:
		return e.floorLot(e.s.Qty / value)
	case PercentOfEquity:
		// The share of the equity pays the entry's fee too.
		money := e.equityAt(price) * e.s.Qty / 100
		switch e.s.FeeType {
		case FeeCashPerOrder:
			money -= e.s.Fee
		case FeeCashPerContract:
			value += e.s.Fee
		case FeePercent:
			value *= 1 + e.s.Fee/100
		}
		return e.floorLot(money / value)
	}
	return e.fixedQty
}

// openProfitAt is the open profit at a price.
func (e *Emulator) openProfitAt(price float64) float64 {
	sum := 0.0
	for i := range e.lots {
		l := &e.lots[i]
		sum += float64(l.Size * (price - l.Price) * e.point)
	}
	return sum
}

func (e *Emulator) equityAt(price float64) float64 {
	return e.capital + e.net + e.openProfitAt(price)
}

// watch folds one value of the equity into its extremes.
func (a *account) watch(equity float64) {
	if equity >= a.peak {
		a.peak = equity
	} else if d := a.peak - equity; d > a.drawdown {
		a.drawdown = d
	}
	if equity <= a.trough {
		a.trough = equity
	} else if u := equity - a.trough; u > a.runup {
		a.runup = u
	}
}

func (a *account) noteSize(size float64) {
	q := math.Abs(size)
	a.heldAll = max(a.heldAll, q)
	if size > 0 {
		a.heldLong = max(a.heldLong, q)
	} else {
		a.heldShort = max(a.heldShort, q)
	}
}

// verdict is what margin says to an entry.
type verdict uint8

const (
	accepted verdict = iota
	rejected         // the whole order is dropped
)

// affords judges an entry by the margin that equity at the price has to cover. Closing a position frees its
// margin, but not when it was opened on this bar. Two orders pass although they exceed it, and a margin call
// at once trims what they open: one placed opposite whose position a close of this bar has closed, and one that
// only exceeds it together with an entry of this bar.
func (e *Emulator) affords(o *order, closing, opening, price float64) verdict {
	margin := e.margin(o.dir)
	if margin == 0 || opening <= dust {
		return accepted
	}
	held := math.Abs(e.size) - closing
	if closing > 0 && e.lots[len(e.lots)-1].Bar == e.bar {
		held += closing
	}
	equity := e.equityAt(price)
	unit := price * e.point * margin
	exceeds := func(size float64) bool { return float64(size*unit)-equity > 1e-11*math.Abs(equity) }
	if !exceeds(held + opening) {
		return accepted
	}
	if o.reverses && closing == 0 && held == 0 && e.closedOnBar == e.bar {
		return accepted
	}
	if older := e.sizeBefore(e.bar); closing == 0 && older < held && !exceeds(older+opening) {
		return accepted
	}
	return rejected
}

// sizeBefore is the size of the lots that were open before a bar.
func (e *Emulator) sizeBefore(bar int) float64 {
	size := 0.0
	for i := range e.lots {
		if e.lots[i].Bar < bar {
			size += math.Abs(e.lots[i].Size)
		}
	}
	return size
}

func (e *Emulator) margin(d Dir) float64 {
	if d > 0 {
		return e.s.MarginLong / 100
	}
	return e.s.MarginShort / 100
}

// callPrices are the prices from which on, downwards and upwards, the position may lack margin. Equity and
// need are linear in the price, so one comparison a bar replaces the sums; at the prices themselves callMargin decides.
func (e *Emulator) callPrices() (below, above float64) {
	below, above = math.Inf(-1), math.Inf(1)
	margin := e.margin(e.side())
	if margin == 0 || e.size == 0 {
		return below, above
	}
	// base + (size·p − cost)·point = |size|·p·point·margin
	base := (e.capital + e.net) / e.point
	slope := e.size - float64(math.Abs(e.size)*margin)
	p := (e.cost - base) / slope
	switch {
	case math.Abs(slope) <= 1e-9*math.Abs(e.size): // all equity: the price does not matter
		if e.cost >= base*(1-1e-9) {
			above = math.Inf(-1)
		}
	case slope > 0:
		below = p + float64(1e-9*math.Abs(p))
	default:
		above = p - float64(1e-9*math.Abs(p))
	}
	return below, above
}

// callMargin closes part of a position whose margin the equity does not cover at a price: four times the
// shortfall in lots, or one unit when that is less than a lot.
func (e *Emulator) callMargin(price float64) {
	margin := e.margin(e.side())
	if margin == 0 {
		return
	}
	size := math.Abs(e.size)
	unit := price * e.point * margin
	equity := e.equityAt(price)
	short := float64(size*unit) - equity
	if short <= 1e-11*math.Abs(equity) {
		return
	}
	cover := e.floorLot(short/unit) * 4
	if cover <= 0 {
		cover = 1
	}
	cover = min(cover, size)
	price += float64(float64(-e.side()) * float64(e.s.SlippageTicks) * e.grid.tick)
	e.take(cover, cover, price, taker{reason: ByMargin}, 0)
}

// worst is the bar's worst price for the position.
func (e *Emulator) worst(high, low float64) float64 {
	if e.size < 0 {
		return high
	}
	return low
}
