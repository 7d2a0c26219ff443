package broker_test

import (
	"math"
	"testing"
	"time"

	"millrace/jobs/backtest/broker"
)

func TestFiguresOfARun(t *testing.T) {
	// Four months, one trade closed in each of the first three: +100, −50, 0.
	s := account()
	s.Capital = 1000
	r := start(t, s)
	var times []int64
	at := func(month time.Month, price float64, strategy ...func()) {
		times = append(times, time.Date(2025, month, 10, 0, 0, 0, 0, time.UTC).UnixMicro()+int64(len(times))*60e6)
		r.flat(price, strategy...)
	}
	trade := func(month time.Month, entryPrice, exitPrice float64) {
		at(month, entryPrice, func() { r.Entry(sized(entry(idA, broker.Long), 10)) })
		at(month, entryPrice, func() { r.CloseAll(0, false) })
		at(month, exitPrice)
	}
	trade(time.January, 100, 110)
	trade(time.February, 100, 95)
	trade(time.March, 100, 100)
	at(time.April, 100)

	f := r.Figures(times, 0, len(times))
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-12 && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("trades", float64(f.Trades), 3)
	near("even trades", float64(f.Evens), 1)
	near("net profit", f.NetProfit, 50)
	near("net profit percent", f.NetProfitPct, 5)
	near("profit factor", f.ProfitFactor, 2)
	near("percent profitable", f.PercentProfitable, 100.0/3)
	near("largest win", f.LargestWin, 100)
	near("largest loss", f.LargestLoss, 50)
	near("average win", f.AvgWin, 100)
	near("win to loss", f.WinLossRatio, 2)
	near("bars in a trade", f.AvgBars, 2)
	// Realized equity: 1000, 1100, 1050, 1050, 1050.
	returns := []float64{0.1, 1050.0/1100 - 1, 0, 0}
	mean := (returns[0] + returns[1]) / 4
	square, below, free := 0.0, 0.0, 0.02/12
	for _, x := range returns {
		square += (x - mean) * (x - mean)
		below += math.Pow(math.Min(0, x-free), 2)
	}
	near("Sharpe", f.Sharpe, (mean-free)/math.Sqrt(square/4))
	near("Sortino", f.Sortino, (mean-free)/math.Sqrt(below/4))
}

func TestFiguresOfARunWithoutTrades(t *testing.T) {
	r := start(t, account())
	r.flat(100)
	f := r.Figures([]int64{1}, 0, 1)
	for what, v := range map[string]float64{
		"profit factor": f.ProfitFactor, "percent profitable": f.PercentProfitable, "average trade": f.AvgTrade,
		"Sharpe": f.Sharpe, "Sortino": f.Sortino, "largest win": f.LargestWin, "bars in a trade": f.AvgBars,
	} {
		if !math.IsNaN(v) {
			t.Errorf("%s of no trade is %v, want NaN", what, v)
		}
	}
}

func TestRatiosOfAShortRunAreDaily(t *testing.T) {
	r := start(t, account())
	var times []int64
	for d := range 6 {
		times = append(times, time.Date(2025, 3, 1+d, 0, 0, 0, 0, time.UTC).UnixMicro())
		r.ohlc(100, 110, 100, 100+float64(d), func() {
			r.CloseAll(0, true)
			r.Entry(entry(idA, broker.Long))
		})
	}
	if f := r.Figures(times, 0, len(times)); math.IsNaN(f.Sharpe) {
		t.Error("no daily Sharpe over six days")
	}
}
