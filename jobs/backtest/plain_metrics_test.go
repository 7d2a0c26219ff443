package backtest_test

import (
	"math"
	"math/rand/v2"
	"slices"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// walkShape says what bars walk makes.
type walkShape struct {
	seed uint64
	step int64   // microseconds
	tick float64 // prices are multiples of it; 0 for any price
	vol  float64 // of one bar
}

// walk is n bars of a walk with gaps and with spells in which nothing moves.
func walk(t require.TestingT, n int, shape walkShape) *backtest.Bars {
	rng := rand.New(rand.NewPCG(shape.seed, 7))
	round := func(v float64) float64 {
		if shape.tick > 0 {
			v = math.Round(v/shape.tick) * shape.tick
		}
		return max(v, 0.5)
	}
	var at []int64
	var open, high, low, closes []float64
	price, still := 100.0, 0
	for i := range n {
		if still--; still < -20 && rng.IntN(20) == 0 {
			still = rng.IntN(12)
		}
		o, c := price, price
		if still < 0 {
			if rng.IntN(8) == 0 {
				o = round(price * math.Exp(3*shape.vol*rng.NormFloat64()))
			}
			c = round(o * math.Exp(shape.vol*rng.NormFloat64()))
		}
		h, l := max(o, c), min(o, c)
		if still < 0 {
			h, l = max(h, round(h*(1+shape.vol*rng.Float64()))), min(l, round(l*(1-shape.vol*rng.Float64())))
		}
		at = append(at, int64(i)*shape.step)
		open, high, low, closes = append(open, o), append(high, h), append(low, l), append(closes, c)
		price = c
	}
	bars, err := backtest.NewBars(at, open, high, low, closes, make([]float64, n))
	require.NoError(t, err)
	return bars
}

// plainMetrics are the package comment's formulas, each in passes of its own.
func plainMetrics(b *backtest.Bars, cfg backtest.Config, w backtest.Window, equity []float64, trades []backtest.Trade) backtest.Metrics {
	cash, final := cfg.Account.Cash, equity[len(equity)-1]
	returns := plainReturns(b, w, cash, equity)
	n := float64(len(returns))
	year := float64(cfg.Calendar)
	if b.Len() > 1 && b.Time[1]-b.Time[0] == 7*86_400_000_000 {
		year = 52
	}
	m := backtest.Metrics{
		Bars: w.Len(), Trades: len(trades), FinalEquity: final, ReturnPct: 100 * (final/cash - 1), Periods: len(returns),
		BuyHoldPct: 100 * (b.Close[w.To-1]/b.Close[w.From] - 1), CAGRPct: math.NaN(),
	}
	if final > 0 {
		interval := 86_400e6 // of one bar
		if b.Len() > 1 {
			var gaps []int64
			for i := 1; i < b.Len(); i++ {
				gaps = append(gaps, b.Time[i]-b.Time[i-1])
			}
			slices.Sort(gaps)
			interval = float64(gaps[len(gaps)/2])
		}
		years := (float64(b.Time[w.To-1]-b.Time[w.From]) + interval) / (365.2425 * 86_400e6)
		if m.CAGRPct = 100 * (math.Pow(final/cash, 1/years) - 1); m.CAGRPct > 1e6 {
			m.CAGRPct = math.Inf(1)
		}
	}
	peak, at := cash, -1
	for i, v := range equity {
		if v >= peak {
			peak, at = v, i
		}
		m.MaxDrawdownPct = max(m.MaxDrawdownPct, 100*(1-v/peak))
		m.MaxDrawdownBars = max(m.MaxDrawdownBars, i-at)
	}
	moment := func(k float64, of func(float64) float64) (sum float64) {
		for _, r := range returns {
			sum += math.Pow(of(r), k)
		}
		return sum / n
	}
	mean := moment(1, func(r float64) float64 { return r })
	centred := func(r float64) float64 { return r - mean }
	variance := moment(2, centred)
	m.SR = mean / math.Sqrt(variance*n/(n-1))
	m.Skew, m.Kurt = moment(3, centred)/math.Pow(variance, 1.5), moment(4, centred)/(variance*variance)
	if n < 2 || variance < 1e-24 {
		m.SR, m.Skew, m.Kurt = math.NaN(), math.NaN(), math.NaN()
	}
	m.Sharpe = math.Sqrt(year) * m.SR
	m.Sortino = orNaN(math.Sqrt(year)*mean, math.Sqrt(moment(2, func(r float64) float64 { return min(r, 0) })))
	m.Calmar, m.ReturnOverDrawdown = orNaN(m.CAGRPct, m.MaxDrawdownPct), orNaN(m.ReturnPct, m.MaxDrawdownPct)
	plainTradeMetrics(&m, w, trades)
	return m
}

func plainReturns(b *backtest.Bars, w backtest.Window, cash float64, equity []float64) []float64 {
	const day = 86_400_000_000
	var returns []float64
	last := cash
	for i, v := range equity {
		at := w.From + i
		dayOver := i == len(equity)-1 || b.Time[at]/day != b.Time[at+1]/day
		if b.Len() > 1 && b.Time[1]-b.Time[0] < day && !dayOver {
			continue
		}
		if last > 0 {
			returns = append(returns, v/last-1)
		} else {
			returns = append(returns, 0)
		}
		last = v
	}
	return returns
}

func plainTradeMetrics(m *backtest.Metrics, w backtest.Window, trades []backtest.Trade) {
	var wins, exposed int
	var won, lost, returns, sum, squares float64
	for _, t := range trades {
		if t.PnL > 0 {
			wins, won = wins+1, won+t.PnL
		} else {
			lost -= t.PnL
		}
		returns, sum = returns+t.ReturnPct, sum+t.PnL
		exposed += t.ExitBar - t.EntryBar // bars that closed with the position open
		if t.ExitReason == "end" {
			exposed++
		}
	}
	n := float64(len(trades))
	for _, t := range trades {
		squares += (t.PnL - sum/n) * (t.PnL - sum/n)
	}
	m.WinRatePct, m.ProfitFactor, m.ExpectancyPct = orNaN(100*float64(wins), n), orNaN(won, lost), orNaN(returns, n)
	m.SQN = math.NaN()
	if n >= 2 {
		m.SQN = orNaN(math.Sqrt(n)*sum/n, math.Sqrt(squares/(n-1)))
	}
	m.ExposurePct = 100 * float64(exposed) / float64(w.Len())
}

// orNaN is a/b, undefined where b is not positive.
func orNaN(a, b float64) float64 {
	if b > 0 {
		return a / b
	}
	return math.NaN()
}

func requireMetrics(t require.TestingT, want, got backtest.Metrics, cfg backtest.Config) {
	// What divides by a difference of nearly equal numbers is as exact as that difference.
	if math.Abs(want.MaxDrawdownPct) < 1e-9 {
		want.Calmar, got.Calmar, want.ReturnOverDrawdown, got.ReturnOverDrawdown = 0, 0, 0, 0
	}
	if math.Abs(want.SR) > 1e3 {
		want.SR, want.Sharpe, want.Skew, want.Kurt = got.SR, got.Sharpe, got.Skew, got.Kurt
	}
	if math.Abs(want.SQN) > 1e6 {
		want.SQN, got.SQN = 0, 0
	}
	for _, figure := range []struct {
		name      string
		want, got float64
		slack     float64
	}{
		{"bars", float64(want.Bars), float64(got.Bars), 0}, {"trades", float64(want.Trades), float64(got.Trades), 0},
		{"periods", float64(want.Periods), float64(got.Periods), 0}, {"drawdown bars", float64(want.MaxDrawdownBars), float64(got.MaxDrawdownBars), 0},
		{"final equity", want.FinalEquity, got.FinalEquity, 1e-10 * cfg.Account.Cash}, {"return", want.ReturnPct, got.ReturnPct, 1e-9},
		{"cagr", want.CAGRPct, got.CAGRPct, 1e-8}, {"drawdown", want.MaxDrawdownPct, got.MaxDrawdownPct, 1e-10},
		{"sharpe", want.Sharpe, got.Sharpe, 1e-8}, {"sortino", want.Sortino, got.Sortino, 1e-8}, {"calmar", want.Calmar, got.Calmar, 1e-8},
		{"return over drawdown", want.ReturnOverDrawdown, got.ReturnOverDrawdown, 1e-8},
		{"win rate", want.WinRatePct, got.WinRatePct, 0}, {"profit factor", want.ProfitFactor, got.ProfitFactor, 1e-9},
		{"expectancy", want.ExpectancyPct, got.ExpectancyPct, 1e-9}, {"sqn", want.SQN, got.SQN, 1e-7}, {"exposure", want.ExposurePct, got.ExposurePct, 0},
		{"buy and hold", want.BuyHoldPct, got.BuyHoldPct, 1e-9}, {"sr", want.SR, got.SR, 1e-9}, {"skew", want.Skew, got.Skew, 1e-7}, {"kurt", want.Kurt, got.Kurt, 1e-7},
	} {
		require.True(t, near(figure.want, figure.got, figure.slack), "%s: want %v, got %v", figure.name, figure.want, figure.got)
	}
}
