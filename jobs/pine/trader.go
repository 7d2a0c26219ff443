package pine

import (
	"math"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/broker"
)

// lotStep is the smallest step of a quantity where nothing says another.
const lotStep = 1e-4

// trader runs a strategy's program over one history. Positions that are open at the end of a window
// stay open: their profit at the last close is in the equity, and they are no closed trade.
type trader struct {
	strategy *Strategy
	cache    *backtest.IndicatorCache
	bars     *backtest.Bars
	cfg      backtest.Config
	market   Market
	run      *Run // nil: to be made
	stop     func() bool
	params   []float64 // of all inputs
	err      error

	measure backtest.Measure
	window  backtest.Window
	equity  []float64
}

func newTrader(s *Strategy, c *backtest.IndicatorCache, cfg backtest.Config, m Market) *trader {
	t := &trader{strategy: s, cache: c, bars: c.Bars(), cfg: cfg, market: m, params: s.program.Defaults()}
	if cfg.Override.WholeUnits && cfg.Account.WholeUnits {
		t.market.LotStep = 1
	}
	return t
}

// of puts what a dataset says of its instrument in the place of what is assumed.
func (m Market) of(in backtest.Instrument) Market {
	if in.TickSize > 0 {
		m.Tick = in.TickSize
	}
	if in.QuantityStep > 0 {
		m.LotStep = in.QuantityStep
	}
	if in.PointValue > 0 {
		m.PointValue = in.PointValue
	}
	if in.Currency != "" {
		m.Currency = in.Currency
	}
	if zone, err := time.LoadLocation(in.TimeZone); err == nil && in.TimeZone != "" {
		m.Zone = zone
	}
	return m
}

// columnsKey names the columns that all traders of one program over one history and market share.
type columnsKey struct {
	program *Program
	market  Market
}

// columns finds the shared columns of the program over the bars, or makes them.
func (t *trader) columns() *Columns {
	p := t.strategy.program
	return t.cache.Attached(columnsKey{p, t.market}, func() any {
		m := t.market
		if m.Tick == 0 {
			m.Tick = backtest.TickOf(t.bars)
		}
		return p.NewColumns(t.bars, m)
	}).(*Columns)
}

// ready makes the run, or finds it.
func (t *trader) ready() error {
	if t.run != nil {
		return nil
	}
	run, err := t.columns().NewRun()
	if err != nil {
		return err
	}
	run.account = t.override(run.account)
	run.side = map[backtest.Side]broker.Dir{backtest.SideLong: broker.Long, backtest.SideShort: broker.Short}[t.cfg.Side]
	t.run = run
	return nil
}

// override puts what the request's account names in the place of the script's.
func (t *trader) override(s broker.Settings) broker.Settings {
	o, a := t.cfg.Override, t.cfg.Account
	if o.Cash {
		s.Capital = a.Cash
	}
	if o.Commission {
		s.FeeType, s.Fee = broker.FeePercent, 100*float64(a.Commission)
	}
	if o.Slippage {
		s.SlippageTicks = 0
	}
	switch {
	case o.Size && a.Size <= 1:
		s.QtyType, s.Qty = broker.PercentOfEquity, 100*a.Size
	case o.Size:
		s.QtyType, s.Qty = broker.Fixed, a.Size
	}
	return s
}

// Prepare sets the parameters of the runs that follow.
func (t *trader) Prepare(p backtest.Params) {
	t.window = backtest.Window{}
	if t.err = t.ready(); t.err != nil {
		return
	}
	for k, input := range t.strategy.inputs {
		if k < len(p) {
			t.params[input] = p[k]
		}
	}
	t.run.stop = t.stop
	t.err = t.run.Prepare(t.params)
}

// OnStop has runs ask stop now and then whether to give up.
func (t *trader) OnStop(stop func() bool) {
	t.stop = stop
	if t.run != nil {
		t.run.stop = stop
	}
}

// Err is why the runs since Prepare cannot be used.
func (t *trader) Err() error { return t.err }

// KeepReturns does nothing: they are always kept.
func (t *trader) KeepReturns(bool) {}

// Returns are the per-period returns behind the last Simulate.
func (t *trader) Returns() []float64 { return t.measure.Returns() }

// Simulate trades the window and measures the result on the equity at each close.
func (t *trader) Simulate(w backtest.Window, m *backtest.Metrics) {
	*m = backtest.Metrics{Bars: w.Len()}
	capital := t.strategy.account.Cash
	if t.run != nil {
		capital = t.run.account.Capital
	}
	t.measure.Begin(t.bars, w, capital)
	if w.Len() <= 0 {
		t.measure.Finish(capital, 0, t.cfg.Calendar, m)
		return
	}
	if !t.trade(w, !t.strategy.program.plan.extremes) {
		return
	}
	final := t.equity[len(t.equity)-1]
	if n := t.run.ruined; n > 0 {
		t.measure.Equity(t.equity[:n])
		t.measure.Idle(final, len(t.equity)-n)
	} else {
		t.measure.Equity(t.equity)
	}
	for i := range t.run.emu.Closed() {
		trade := &t.run.emu.Closed()[i]
		t.measure.Trade(trade.Profit, t.percent(trade))
	}
	t.measure.Finish(final, t.run.exposed, t.cfg.Calendar, m)
}

// trade runs the window; the equity is in t.equity, the trades are in the emulator. A lean run knows nothing of
// the extremes inside bars.
func (t *trader) trade(w backtest.Window, lean bool) (ok bool) {
	if t.err != nil {
		return false
	}
	defer func() {
		if r := recover(); r != nil {
			t.run, t.err, ok = nil, failure(r), false // its state is unknown
		}
	}()
	if cap(t.equity) < w.Len() {
		t.equity = make([]float64, w.Len())
	}
	t.equity = t.equity[:w.Len()]
	t.run.equity = t.equity
	t.run.emu.KeepExtremes(!lean)
	t.err = t.run.simulate(w)
	t.run.equity = nil
	return t.err == nil
}

// percent is a trade's result in percent of its value at entry.
func (t *trader) percent(trade *broker.Trade) float64 {
	point := t.run.account.PointValue
	if point == 0 {
		point = 1
	}
	return 100 * trade.Profit / (math.Abs(trade.Size) * trade.EntryPrice * point)
}

// exitReasons are the words of the engine for what closes a lot.
var exitReasons = map[broker.Reason]string{
	broker.ByOrder: "signal", broker.ByLimit: "target", broker.ByStop: "stop", broker.ByTrail: "trail",
	broker.ByMargin: "margin", broker.ByRisk: "risk",
}

// Trace runs the window and returns its closed trades, and the equity at each close.
func (t *trader) Trace(w backtest.Window) ([]backtest.Trade, []float64) {
	if w.Len() <= 0 || !t.trade(w, false) {
		return nil, nil
	}
	var trades []backtest.Trade
	for i := range t.run.emu.Closed() {
		trade := &t.run.emu.Closed()[i]
		side := backtest.SideLong
		if trade.Size < 0 {
			side = backtest.SideShort
		}
		entry, exit := t.run.signals(trade)
		trades = append(trades, backtest.Trade{
			Side: side, Size: math.Abs(trade.Size),
			EntryBar: trade.EntryBar, EntryTime: t.bars.Time[trade.EntryBar], EntryPrice: trade.EntryPrice, EntrySignal: entry,
			ExitBar: trade.ExitBar, ExitTime: t.bars.Time[trade.ExitBar], ExitPrice: trade.ExitPrice, ExitSignal: exit,
			PnL: trade.Profit, ReturnPct: t.percent(trade), ExitReason: exitReasons[trade.Reason],
			Runup: trade.MaxRunup, Drawdown: trade.MaxDrawdown,
		})
	}
	return trades, append([]float64(nil), t.equity...)
}

// signals are the texts by which TradingView's list of trades calls an entry and an exit: the comment,
// or else the id.
func (r *Run) signals(t *broker.Trade) (entry, exit string) {
	if entry = r.Text(t.EntryComment); entry == "" {
		entry = r.Text(t.EntryID)
	}
	switch {
	case t.Reason == broker.ByMargin:
		return entry, "Margin call"
	case r.Text(t.ExitComment) != "":
		return entry, r.Text(t.ExitComment)
	}
	return entry, r.Text(t.ExitID)
}
