package pine

import (
	"math"
	"slices"

	"millrace/jobs/backtest/broker"
)

var orderNames = []string{"strategy.entry", "strategy.order", "strategy.exit", "strategy.close", "strategy.close_all", "strategy.cancel",
	"strategy.cancel_all", "strategy.risk.allow_entry_in", "strategy.risk.max_position_size", "strategy.risk.max_drawdown",
	"strategy.risk.max_intraday_loss", "strategy.risk.max_intraday_filled_orders", "strategy.risk.max_cons_loss_days"}

const (
	orderEntry = iota
	orderOrder
	orderExit
	orderClose
	orderCloseAll
	orderCancel
	orderCancelAll
	riskAllow
	riskMaxPosition
	riskMaxDrawdown
	riskIntradayLoss
	riskFilledOrders
	riskLossDays
)

func orderNumber(name string) int { return slices.Index(orderNames, name) }

// id is the broker's number of a text; na is none, and so is the empty text.
func (r *Run) id(v float64) int32 {
	if v != v || int(v) == r.empty {
		return 0
	}
	return int32(v) + 1
}

// orderID is the number of an order's id, which may be empty.
func (r *Run) orderID(v float64) int32 {
	if v != v {
		return 0
	}
	return int32(v) + 1
}

func isTrue(v float64) bool { return v != 0 && v == v }

// order gives one order to the broker: see prepared for entries and exits.
func (r *Run) order(c *callInfo, a []float64) {
	if r.silent {
		return
	}
	e := r.emu
	switch c.code {
	case orderClose:
		e.Close(r.orderID(a[0]), r.id(a[1]), a[2], a[3], isTrue(a[4]))
	case orderCloseAll:
		e.CloseAll(r.id(a[0]), isTrue(a[1]))
	case orderCancel:
		e.Cancel(r.orderID(a[0]))
	case orderCancelAll:
		e.CancelAll()
	default:
		r.risk(c, a)
	}
}

func (r *Run) ocaType(v float64) broker.OCAType {
	switch r.text(v) {
	case "cancel":
		return broker.OCACancel
	case "reduce":
		return broker.OCAReduce
	}
	return broker.OCANone
}

func (r *Run) risk(c *callInfo, a []float64) {
	e := r.emu
	percent := len(a) > 1 && r.text(a[1]) == "percent_of_equity"
	switch c.code {
	case riskAllow:
		switch r.text(a[0]) {
		case "long":
			e.AllowEntryIn(broker.Long)
		case "short":
			e.AllowEntryIn(broker.Short)
		default:
			e.AllowEntryIn(broker.Both)
		}
	case riskMaxPosition:
		e.MaxPositionSize(a[0])
	case riskMaxDrawdown:
		e.StopAtDrawdown(a[0], percent)
	case riskIntradayLoss:
		e.StopAtIntradayLoss(a[0], percent)
	case riskFilledOrders:
		if a[0] == a[0] {
			e.MaxIntradayFilledOrders(whole(a[0]))
		}
	case riskLossDays:
		if a[0] == a[0] {
			e.MaxConsLossDays(whole(a[0]))
		}
	}
}

var readNames = []string{"strategy.position_size", "strategy.position_avg_price", "strategy.position_entry_name", "strategy.equity",
	"strategy.netprofit", "strategy.openprofit", "strategy.grossprofit", "strategy.grossloss", "strategy.initial_capital",
	"strategy.wintrades", "strategy.losstrades", "strategy.eventrades", "strategy.opentrades", "strategy.closedtrades",
	"strategy.max_drawdown", "strategy.max_runup", "strategy.max_contracts_held_all", "strategy.max_contracts_held_long",
	"strategy.max_contracts_held_short", "strategy.netprofit_percent", "strategy.openprofit_percent", "strategy.grossprofit_percent",
	"strategy.grossloss_percent", "strategy.max_drawdown_percent", "strategy.max_runup_percent", "strategy.avg_trade",
	"strategy.avg_winning_trade", "strategy.avg_losing_trade", "strategy.avg_trade_percent", "strategy.avg_winning_trade_percent",
	"strategy.avg_losing_trade_percent", "strategy.closedtrades.first_index", "strategy.opentrades.capital_held",
	"strategy.margin_liquidation_price", "strategy.account_currency", "strategy.default_entry_qty"}

// Numbers of the fields of trades, after those of readNames: first open, then closed trades'.
const (
	readOpen   = 100
	readClosed = 200
)

var tradeFields = []string{"commission", "entry_bar_index", "entry_comment", "entry_id", "entry_price", "entry_time", "max_drawdown",
	"max_drawdown_percent", "max_runup", "max_runup_percent", "profit", "profit_percent", "size", "exit_bar_index", "exit_comment",
	"exit_id", "exit_price", "exit_time"}

func readNumber(name string) int {
	if n := slices.Index(readNames, name); n >= 0 {
		return n
	}
	for i, f := range tradeFields {
		switch name {
		case "strategy.opentrades." + f:
			return readOpen + i
		case "strategy.closedtrades." + f:
			return readClosed + i
		}
	}
	return -1
}

// name is the script's number of a text the broker holds.
func name(id int32) float64 {
	if id == 0 {
		return math.NaN()
	}
	return float64(id - 1)
}

// read is a value of the broker's state.
func (r *Run) read(c *callInfo, a []float64) (float64, error) {
	if c.code >= readOpen {
		return r.readTrade(c.code, a[0])
	}
	e := r.emu
	capital := r.settings.Capital
	switch c.code {
	case 0:
		return e.PositionSize(), nil
	case 1:
		return e.PositionAvg(), nil
	case 2:
		return name(e.PositionEntry()), nil
	case 3:
		return e.Equity(), nil
	case 4:
		return e.NetProfit(), nil
	case 5:
		return e.OpenProfit(), nil
	case 6:
		return e.GrossProfit(), nil
	case 7:
		return e.GrossLoss(), nil
	case 8:
		return capital, nil
	case 9:
		return float64(e.WinTrades()), nil
	case 10:
		return float64(e.LossTrades()), nil
	case 11:
		return float64(e.EvenTrades()), nil
	case 12:
		return float64(e.OpenCount()), nil
	case 13:
		return float64(e.ClosedCount()), nil
	case 14:
		return e.MaxDrawdown(), nil
	case 15:
		return e.MaxRunup(), nil
	case 16:
		return e.MaxContractsHeld(broker.Both), nil
	case 17:
		return e.MaxContractsHeld(broker.Long), nil
	case 18:
		return e.MaxContractsHeld(broker.Short), nil
	case 19:
		return 100 * e.NetProfit() / capital, nil
	case 20:
		return 100 * e.OpenProfit() / (capital + e.NetProfit()), nil
	case 21:
		return 100 * e.GrossProfit() / capital, nil
	case 22:
		return 100 * e.GrossLoss() / capital, nil
	case 23:
		return 100 * e.MaxDrawdown() / capital, nil
	case 24:
		return 100 * e.MaxRunup() / capital, nil
	case 25:
		return e.NetProfit() / float64(e.ClosedCount()), nil
	case 26:
		return e.GrossProfit() / float64(e.WinTrades()), nil
	case 27:
		return math.Abs(e.GrossLoss()) / float64(e.LossTrades()), nil
	case 28, 29, 30:
		return r.averagePercent(c.code), nil
	case 31:
		return 0, nil
	case 34:
		return r.intern(r.settings.Currency)
	case 35:
		return r.defaultQty(a[0]), nil
	}
	return math.NaN(), nil
}

// averagePercent is the mean result of all closed trades (28), the winning (29) or the losing ones (30), in percent
// of their value at entry; that of the losing ones is positive.
func (r *Run) averagePercent(code int) float64 {
	sum, n := 0.0, 0
	for i := range r.emu.Closed() {
		t := &r.emu.Closed()[i]
		if code == 29 && !(t.Profit > 0) || code == 30 && !(t.Profit < 0) {
			continue
		}
		sum += 100 * t.Profit / math.Abs(t.Size*t.EntryPrice)
		n++
	}
	if code == 30 {
		sum = -sum
	}
	return sum / float64(n)
}

// defaultQty is what an entry without a quantity would trade at a price.
func (r *Run) defaultQty(price float64) float64 {
	s := &r.settings
	q := s.Qty
	switch s.QtyType {
	case "cash":
		q = s.Qty / price
	case "percent_of_equity":
		q = r.emu.Equity() * s.Qty / 100 / price
	}
	if step := r.market.LotStep; step > 0 {
		q = math.Floor(q/step+1e-6) * step
	}
	return q
}

// readTrade is a field of an open or closed trade; na when there is none of that number.
func (r *Run) readTrade(code int, n float64) (float64, error) {
	if n != n {
		return n, nil
	}
	if n < 0 {
		return math.NaN(), nil
	}
	if code >= readClosed {
		closed := r.emu.Closed()
		if whole(n) >= len(closed) {
			return math.NaN(), nil
		}
		return r.closedField(code-readClosed, &closed[whole(n)])
	}
	open := r.emu.Open()
	if whole(n) >= len(open) {
		return math.NaN(), nil
	}
	return r.openField(code-readOpen, &open[whole(n)])
}

func (r *Run) barTime(bar int) float64 { return r.frame.series[9][bar] }

func (r *Run) openField(field int, l *broker.Lot) (float64, error) {
	value := math.Abs(l.Size * l.Price)
	runup, drawdown := r.emu.LotExcursions(l)
	switch field {
	case 0:
		return l.Fee, nil
	case 1:
		return float64(l.Bar), nil
	case 2:
		return name(l.Comment), nil
	case 3:
		return name(l.ID), nil
	case 4:
		return l.Price, nil
	case 5:
		return r.barTime(l.Bar), nil
	case 6:
		return drawdown, nil
	case 7:
		return 100 * drawdown / value, nil
	case 8:
		return runup, nil
	case 9:
		return 100 * runup / value, nil
	case 10:
		return r.emu.LotProfit(l), nil
	case 11:
		return 100 * r.emu.LotProfit(l) / value, nil
	case 12:
		return l.Size, nil
	}
	return math.NaN(), nil
}

func (r *Run) closedField(field int, t *broker.Trade) (float64, error) {
	value := math.Abs(t.Size * t.EntryPrice)
	switch field {
	case 0:
		return t.Fee, nil
	case 1:
		return float64(t.EntryBar), nil
	case 2:
		return name(t.EntryComment), nil
	case 3:
		return name(t.EntryID), nil
	case 4:
		return t.EntryPrice, nil
	case 5:
		return r.barTime(t.EntryBar), nil
	case 6:
		return t.MaxDrawdown, nil
	case 7:
		return 100 * t.MaxDrawdown / value, nil
	case 8:
		return t.MaxRunup, nil
	case 9:
		return 100 * t.MaxRunup / value, nil
	case 10:
		return t.Profit, nil
	case 11:
		return 100 * t.Profit / value, nil
	case 12:
		return t.Size, nil
	case 13:
		return float64(t.ExitBar), nil
	case 14:
		return name(t.ExitComment), nil
	case 15:
		return name(t.ExitID), nil
	case 16:
		return t.ExitPrice, nil
	case 17:
		return r.barTime(t.ExitBar), nil
	}
	return math.NaN(), nil
}
