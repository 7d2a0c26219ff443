package backtest

import (
	"math"

	"millrace/jobs/portable"
)

// summarise computes the metrics of a finished run.
func (r *Runner) summarise(w Window, t *tally, m *Metrics) {
	if r.stats.daily {
		r.summariseReturns(w, t, m, momentsOf(r.Returns()))
		return
	}
	moments, ok := r.stats.sums.moments(float64(w.Len()))
	if !ok {
		moments = momentsOf(r.Returns())
	}
	r.summariseReturns(w, t, m, moments)
}

// summariseReturns is summarise with the moments of the returns.
func (r *Runner) summariseReturns(w Window, t *tally, m *Metrics, of moments) {
	cash := r.cfg.Account.Cash
	m.FinalEquity = t.cash // every position has been closed
	m.Trades = t.trades
	m.ReturnPct = 100 * (m.FinalEquity/cash - 1)
	m.ExposurePct = 100 * float64(t.exposed) / float64(w.Len())
	m.BuyHoldPct = 100 * (r.bars.Close[w.To-1]/r.bars.Close[w.From] - 1)
	m.MaxDrawdownPct, m.MaxDrawdownBars = 100*r.stats.drawdown, r.stats.longest()
	perYear := r.bars.periodsPerYear(r.cfg.Calendar)
	m.Periods = int(of.n)
	m.ofReturns(of, perYear)
	m.CAGRPct = r.bars.growth(w, cash, m.FinalEquity)
	m.Calmar = ratio(m.CAGRPct, m.MaxDrawdownPct)
	m.ReturnOverDrawdown = ratio(m.ReturnPct, m.MaxDrawdownPct)
	m.UnpaidOrders = t.unpaid
	m.ofTrades(t)
}

// maxCAGR is the most that a CAGR says, in percent a year: beyond it the window is too short to be
// annualised, and the figure counts as an overflow.
const maxCAGR = 1e6

// growth is the compound annual growth in percent, by the time that has gone by from the beginning of
// the window's first bar to the end of its last: infinite when over maxCAGR, NaN after ruin.
func (b *Bars) growth(w Window, cash, final float64) float64 {
	if !(final > 0) {
		return math.NaN()
	}
	elapsed := float64(b.Time[w.To-1]-b.Time[w.From]) + float64(b.interval)
	cagr := 100 * (portable.Pow(final/cash, microsPerYear/elapsed) - 1)
	if cagr > maxCAGR {
		return math.Inf(1)
	}
	return cagr
}

// roundOff is the square of what rounding leaves of values that do not differ: a variance below it
// counts as zero.
const roundOff = 1e-24

// ofReturns sets what is computed from the per-period returns.
func (m *Metrics) ofReturns(s moments, perYear float64) {
	m.SR, m.Sharpe, m.Sortino, m.Skew, m.Kurt = math.NaN(), math.NaN(), math.NaN(), math.NaN(), math.NaN()
	if variance := s.m2 / s.n; s.n >= 2 && variance > roundOff {
		m.SR = s.mean / math.Sqrt(s.m2/(s.n-1))
		m.Sharpe = math.Sqrt(perYear) * m.SR
		m.Skew = s.m3 / s.n / (variance * math.Sqrt(variance))
		m.Kurt = s.m4 / s.n / (variance * variance)
	}
	if s.down > 0 {
		m.Sortino = math.Sqrt(perYear) * s.mean / math.Sqrt(s.down/s.n)
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
		over := t.over / n
		mean, variance := t.first+over, (t.squares-float64(n*over*over))/(n-1)
		if variance > roundOff*mean*mean {
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

// undefined sets every figure that needs bars to NaN.
func (m *Metrics) undefined() {
	nan := math.NaN()
	m.CAGRPct, m.Sharpe, m.Sortino, m.Calmar, m.WinRatePct, m.ProfitFactor = nan, nan, nan, nan, nan, nan
	m.ExpectancyPct, m.SQN, m.BuyHoldPct, m.SR, m.Skew, m.Kurt = nan, nan, nan, nan, nan, nan
	m.ReturnOverDrawdown = nan
}
