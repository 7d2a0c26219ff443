package broker

import "math"

// side is the direction of the position, Both when flat.
func (e *Emulator) side() Dir {
	switch {
	case e.size > 0:
		return Long
	case e.size < 0:
		return Short
	}
	return Both
}

// PositionSize is the sum of the open lots, negative when short.
func (e *Emulator) PositionSize() float64 { return e.size }

// PositionAvg is the average entry price of the open lots, NaN when flat.
func (e *Emulator) PositionAvg() float64 {
	switch len(e.lots) {
	case 0:
		return math.NaN()
	case 1:
		return e.lots[0].Price
	}
	return e.cost / e.size
}

// PositionEntry is the id of the entry that opened the position, zero when flat.
func (e *Emulator) PositionEntry() int32 {
	if len(e.lots) == 0 {
		return 0
	}
	return e.lots[0].ID
}

// Equity is capital, closed and open profit at the last close.
func (e *Emulator) Equity() float64 {
	if len(e.lots) == 0 {
		return e.capital + e.net
	}
	return e.equityAt(e.close)
}

// NetProfit is the profit of closed lots after fees.
func (e *Emulator) NetProfit() float64 { return e.net }

// OpenProfit is the profit of open lots at the last close, before fees.
func (e *Emulator) OpenProfit() float64 {
	if len(e.lots) == 0 {
		return 0
	}
	return e.openProfitAt(e.close)
}

// GrossProfit is the sum of winning trades.
func (e *Emulator) GrossProfit() float64 { return e.grossProfit }

// GrossLoss is the sum of losing trades, as a positive number.
func (e *Emulator) GrossLoss() float64 { return e.grossLoss }

// MaxDrawdown is the largest drop of the equity inside bars below its peak, in quote currency.
func (e *Emulator) MaxDrawdown() float64 { return e.drawdown }

// MaxRunup is the largest rise of the equity inside bars above its lowest value.
func (e *Emulator) MaxRunup() float64 { return e.runup }

// WinTrades is the number of closed rows with a profit.
func (e *Emulator) WinTrades() int { return e.wins }

// LossTrades is the number of closed rows with a loss.
func (e *Emulator) LossTrades() int { return e.losses }

// EvenTrades is the number of closed rows with neither.
func (e *Emulator) EvenTrades() int { return e.evens }

// ClosedCount is the number of closed rows, also when their rows are not kept.
func (e *Emulator) ClosedCount() int { return e.rows }

// OpenCount is the number of open lots.
func (e *Emulator) OpenCount() int { return len(e.lots) }

// MaxContractsHeld is the largest position so far in a direction, or in any.
func (e *Emulator) MaxContractsHeld(d Dir) float64 {
	switch d {
	case Long:
		return e.heldLong
	case Short:
		return e.heldShort
	}
	return e.heldAll
}

// Open is the open lots, oldest first. The slice is valid until the next call that fills.
func (e *Emulator) Open() []Lot { return e.lots }

// Closed is the closed rows in order of their exits, when KeepTrades asked for them. The slice is valid
// until Reset.
func (e *Emulator) Closed() []Trade { return e.closed }

// LotProfit is the open profit of a lot at the last close, before the exit's fee.
func (e *Emulator) LotProfit(l *Lot) float64 {
	return float64(l.Size*(e.close-l.Price)*e.point) - l.Fee
}

// LotExcursions are the best and worst open profit of a lot so far, as positive money.
func (e *Emulator) LotExcursions(l *Lot) (runup, drawdown float64) {
	return l.excursions(l.Price, math.Abs(l.Size)*e.point)
}
