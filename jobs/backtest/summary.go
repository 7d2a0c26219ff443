package backtest

import "math"

// summarise measures the equity that run left behind.
func (r *Runner) summarise(w Window, t *tally, m *Metrics) {
	cash := r.cfg.Account.Cash
	equity := r.equity[w.From:w.To]
	m.FinalEquity = equity[len(equity)-1]
	m.Trades = t.trades
	m.ReturnPct = 100 * (m.FinalEquity/cash - 1)
	m.ExposurePct = 100 * float64(t.exposed) / float64(w.Len())
	m.BuyHoldPct = 100 * (r.bars.Close[w.To-1]/r.bars.Close[w.From] - 1)
	m.MaxDrawdownPct, m.MaxDrawdownBars = drawdown(cash, equity)
	r.resample(w, cash, equity)
	m.Periods = len(r.returns)
	perYear := r.bars.periodsPerYear(r.cfg.Calendar)
	m.moments(r.returns, perYear)
	m.CAGRPct = math.NaN()
	if m.FinalEquity > 0 {
		m.CAGRPct = 100 * (math.Pow(m.FinalEquity/cash, perYear/float64(m.Periods)) - 1)
	}
	m.Calmar = ratio(m.ReturnPct, m.MaxDrawdownPct)
	m.ofTrades(t)
}

// drawdown is the deepest fall from a running peak in percent, and the longest time below one in
// bars. The starting cash is the first peak.
func drawdown(cash float64, equity []float64) (pct float64, bars int) {
	peak, peakAt := cash, -1
	worst := 0.0 // fraction of the peak
	floor := peak
	for i, e := range equity {
		if e >= peak {
			bars = max(bars, i-peakAt-1)
			peak, peakAt = e, i
			floor = peak * (1 - worst)
		} else if e < floor {
			worst = 1 - e/peak
			floor = e
		}
	}
	return 100 * worst, max(bars, len(equity)-1-peakAt)
}

// resample writes the per-period returns of the window's equity.
func (r *Runner) resample(w Window, cash float64, equity []float64) {
	previous := cash
	if r.bars.dayEnds == nil {
		returns := r.returns[:len(equity)]
		for i, e := range equity {
			returns[i] = growth(previous, e)
			previous = e
		}
		r.returns = returns
		return
	}
	r.returns = r.returns[:0]
	ends := r.bars.dayEnds[w.From:w.To]
	for i, e := range equity {
		if ends[i] || i == len(equity)-1 {
			r.returns = append(r.returns, growth(previous, e))
			previous = e
		}
	}
}

// growth is the return from one equity to the next; nothing grows from ruin.
func growth(from, to float64) float64 {
	if from <= 0 {
		return 0
	}
	return to/from - 1
}

// moments sets what is computed from the per-period returns.
func (m *Metrics) moments(returns []float64, perYear float64) {
	n := float64(len(returns))
	var sum float64
	for _, r := range returns {
		sum += r
	}
	mean := sum / n
	var m2, m3, m4, below float64
	for _, r := range returns {
		d := r - mean
		dd := d * d
		m2 += dd
		m3 += dd * d
		m4 += dd * dd
		down := min(r, 0)
		below += down * down
	}
	m.SR, m.Sharpe, m.Sortino, m.Skew, m.Kurt = math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()
	// A spread below what rounding leaves of the values themselves is no spread.
	const roundOff = 1e-24
	if n >= 2 && m2/n > roundOff {
		m.SR = mean / math.Sqrt(m2/(n-1))
		m.Sharpe = math.Sqrt(perYear) * m.SR
		variance := m2 / n
		m.Skew = m3 / n / (variance * math.Sqrt(variance))
		m.Kurt = m4 / n / (variance * variance)
	}
	if below > 0 {
		m.Sortino = math.Sqrt(perYear) * mean / math.Sqrt(below/n)
	}
}

// ofTrades sets what is computed from the closed trades.
func (m *Metrics) ofTrades(t *tally) {
	n := float64(t.trades)
	m.WinRatePct = ratio(100*float64(t.wins), n)
	m.ProfitFactor = ratio(t.profit, t.loss)
	m.ExpectancyPct = ratio(t.returnsPct, n)
	m.SQN = math.NaN()
	if t.trades >= 2 {
		mean := t.pnl / n
		variance := (t.pnlSquares - n*mean*mean) / (n - 1)
		if variance > 0 {
			m.SQN = math.Sqrt(n) * mean / math.Sqrt(variance)
		}
	}
}

// ratio is a/b, or NaN where b is not positive.
func ratio(a, b float64) float64 {
	if b > 0 {
		return a / b
	}
	return math.NaN()
}

// undefined marks every figure that a run without bars does not have.
func (m *Metrics) undefined() {
	nan := math.NaN()
	m.CAGRPct, m.Sharpe, m.Sortino, m.Calmar, m.WinRatePct, m.ProfitFactor = nan, nan, nan, nan, nan, nan
	m.ExpectancyPct, m.SQN, m.BuyHoldPct, m.SR, m.Skew, m.Kurt = nan, nan, nan, nan, nan, nan
}
