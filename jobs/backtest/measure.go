package backtest

// Measure computes the metrics of a run from its equity at each bar's close and its closed trades, as
// Runner does: for traders with fills of their own. The zero value is ready for Begin.
type Measure struct {
	runner Runner
	tally  tally
	window Window
}

// Begin starts a run over the window with the starting cash.
func (m *Measure) Begin(b *Bars, w Window, cash float64) {
	m.runner.bars, m.runner.cfg.Account.Cash, m.window = b, cash, w
	m.tally = tally{}
	m.runner.stats.reset(b, w, cash, true)
}

// Equity takes the equity at the close of the next bars.
func (m *Measure) Equity(equity []float64) {
	m.runner.stats.read(equity)
	m.runner.stats.sum(equity)
}

// Idle counts bars that all close with the same equity.
func (m *Measure) Idle(equity float64, bars int) {
	if bars > 0 {
		m.runner.stats.idleBars(equity, bars)
		m.runner.stats.sum([]float64{equity})
	}
}

// Trade counts a closed trade: its result after costs in quote currency, and in percent of the value
// at entry.
func (m *Measure) Trade(pnl, pct float64) { m.tally.add(pnl, pct) }

// Finish ends the run and sets its metrics. exposed is the number of bars that closed with an open
// position, final the equity at the last close.
func (m *Measure) Finish(final float64, exposed int, calendar Calendar, out *Metrics) {
	*out = Metrics{Bars: m.window.Len()}
	if m.window.Len() <= 0 {
		out.FinalEquity = final
		out.undefined()
		return
	}
	m.runner.stats.finish(final)
	m.tally.cash, m.tally.exposed, m.runner.cfg.Calendar = final, exposed, calendar
	m.runner.summarise(m.window, &m.tally, out)
}

// Returns are the per-period returns of the run, valid until the next Begin.
func (m *Measure) Returns() []float64 { return m.runner.stats.returns }
