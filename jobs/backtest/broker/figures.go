package broker

import (
	"math"
	"time"
)

// Figures are a run's results as charting platforms show them. They differ from backtest.Metrics on
// purpose: profit is that of closed trades, ratios are monthly and not annualized. An undefined figure is NaN.
type Figures struct {
	Trades, Wins, Losses, Evens int
	NetProfit, NetProfitPct     float64 // quote currency; percent of the capital
	GrossProfit, GrossLoss      float64 // the loss as a positive number
	Commission                  float64
	ProfitFactor                float64 // gross profit over gross loss
	PercentProfitable           float64
	AvgTrade, AvgWin, AvgLoss   float64 // the loss as a positive number
	WinLossRatio                float64 // average win over average loss
	LargestWin, LargestLoss     float64 // the loss as a positive number
	AvgBars                     float64 // in a trade, both ends included
	Sharpe, Sortino             float64 // of monthly returns, or daily ones under three months; not annualized
	MaxDrawdown, MaxRunup       float64 // of the equity inside bars, quote currency
	OpenProfit                  float64 // at the last close
}

// riskFree is the yearly return that Sharpe and Sortino subtract.
const riskFree = 0.02

// Figures sums the run up. It needs the rows of KeepTrades; times are the open times of all bars in Unix
// microseconds, from and to the half-open range of bars that the run traded on.
func (e *Emulator) Figures(times []int64, from, to int) Figures {
	f := Figures{
		Trades: e.rows, Wins: e.wins, Losses: e.losses, Evens: e.evens,
		NetProfit: e.net, NetProfitPct: 100 * e.net / e.capital, GrossProfit: e.grossProfit, GrossLoss: e.grossLoss,
		ProfitFactor: e.grossProfit / e.grossLoss, PercentProfitable: 100 * float64(e.wins) / float64(e.rows),
		AvgTrade: e.net / float64(e.rows), AvgWin: e.grossProfit / float64(e.wins), AvgLoss: e.grossLoss / float64(e.losses),
		LargestWin: math.NaN(), LargestLoss: math.NaN(), AvgBars: math.NaN(),
		MaxDrawdown: e.drawdown, MaxRunup: e.runup, OpenProfit: e.OpenProfit(),
	}
	if e.grossLoss == 0 {
		f.ProfitFactor = math.NaN()
	}
	f.WinLossRatio = f.AvgWin / f.AvgLoss
	bars := 0
	for i := range e.closed {
		c := &e.closed[i]
		f.Commission += c.Fee
		bars += c.ExitBar - c.EntryBar + 1
		if c.Profit > 0 && !(c.Profit <= f.LargestWin) {
			f.LargestWin = c.Profit
		}
		if c.Profit < 0 && !(-c.Profit <= f.LargestLoss) {
			f.LargestLoss = -c.Profit
		}
	}
	if len(e.closed) > 0 {
		f.AvgBars = float64(bars) / float64(len(e.closed))
	}
	f.Sharpe, f.Sortino = e.ratios(times, from, to)
	return f
}

// ratios are Sharpe and Sortino of the realized equity's returns by calendar month (UTC), or by day when the
// run spans under three months. They need three periods.
func (e *Emulator) ratios(times []int64, from, to int) (sharpe, sortino float64) {
	if to-from < 1 {
		return math.NaN(), math.NaN()
	}
	period, free := month, riskFree/12
	if month(times[to-1])-month(times[from])+1 < 3 {
		period, free = day, riskFree/365
	}
	returns := e.realizedReturns(times, from, to, period)
	if len(returns) < 3 {
		return math.NaN(), math.NaN()
	}
	n, mean, squares, below := float64(len(returns)), 0.0, 0.0, 0.0
	for _, r := range returns {
		mean += r / n
	}
	for _, r := range returns {
		squares += float64((r - mean) * (r - mean))
		d := math.Min(0, r-free)
		below += float64(d * d)
	}
	ratio := func(sum float64) float64 {
		if sum == 0 {
			return math.NaN()
		}
		return (mean - free) / math.Sqrt(sum/n)
	}
	return ratio(squares), ratio(below)
}

// realizedReturns are the relative changes of capital and closed profit from period to period.
func (e *Emulator) realizedReturns(times []int64, from, to int, period func(int64) int) []float64 {
	var returns []float64
	before, equity, row := e.capital, e.capital, 0
	for i := from; i < to; i++ {
		for row < len(e.closed) && e.closed[row].ExitBar <= i {
			equity += e.closed[row].Profit
			row++
		}
		if i+1 == to || period(times[i+1]) != period(times[i]) {
			returns = append(returns, equity/before-1)
			before = equity
		}
	}
	return returns
}

func month(micros int64) int {
	t := time.UnixMicro(micros).UTC()
	return t.Year()*12 + int(t.Month()) - 1
}

func day(micros int64) int { return int(micros / (24 * 3600 * 1e6)) }
