package backtest_test

import (
	"fmt"
	"log"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/backtest/pricefile"
)

// A runner computes a strategy's signals once and trades any window with them.
func ExampleRunner() {
	bars, err := pricefile.Sample()
	if err != nil {
		log.Fatal(err)
	}
	strategy, _ := backtest.Lookup("sma_cross")
	params, faults := backtest.CheckParams(strategy, map[string]float64{"fast": 20, "slow": 100})
	if len(faults) > 0 {
		log.Fatal(faults)
	}
	runner := backtest.NewTrader(bars, strategy, backtest.Config{
		Side: backtest.SideLong, Account: backtest.DefaultAccount(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange,
	})
	runner.Prepare(params)
	half := bars.Len() / 2
	for _, window := range []backtest.Window{{From: 0, To: half}, {From: half, To: bars.Len()}} {
		var m backtest.Metrics
		runner.Simulate(window, &m)
		fmt.Printf("%d trades, return %.1f %%, drawdown %.1f %%, Sharpe %.2f\n", m.Trades, m.ReturnPct, m.MaxDrawdownPct, m.Sharpe)
	}
	// Output:
	// 15 trades, return 21.9 %, drawdown 21.4 %, Sharpe 0.25
	// 14 trades, return 30.5 %, drawdown 18.2 %, Sharpe 0.30
}

// Trace returns the trades and the equity behind the metrics.
func ExampleRunner_Trace() {
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 300})
	if err != nil {
		log.Fatal(err)
	}
	strategy, _ := backtest.Lookup("donchian_breakout")
	params, _ := backtest.CheckParams(strategy, nil) // the defaults
	runner := backtest.NewTrader(bars, strategy, backtest.Config{
		Side: backtest.SideBoth, Account: backtest.DefaultAccount(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarContinuous,
		Stops: &backtest.Stops{StopPct: 5},
	})
	runner.Prepare(params)
	trades, equity := runner.Trace(backtest.Window{To: bars.Len()})
	for _, trade := range trades[:3] {
		fmt.Printf("%s from bar %d to %d: %.2f (%s)\n", trade.Side, trade.EntryBar, trade.ExitBar, trade.PnL, trade.ExitReason)
	}
	fmt.Printf("%d trades, equity %.2f\n", len(trades), equity[len(equity)-1])
	// Output:
	// long from bar 24 to 60: 155.27 (signal)
	// short from bar 60 to 79: -287.36 (signal)
	// long from bar 79 to 108: 188.28 (signal)
	// 11 trades, equity 9300.22
}

// NewBars refuses bars that cannot be, and names the first.
func ExampleNewBars() {
	const day = 86_400_000_000
	price := []float64{10, 11, 12}
	_, err := backtest.NewBars([]int64{0, day, day}, price, price, price, price, make([]float64, 3))
	fmt.Println(err)
	// Output:
	// bar 3, time: is not after the bar before it
}

// CheckParams fills in defaults and reports every value that is out of its bounds.
func ExampleCheckParams() {
	strategy, _ := backtest.Lookup("rsi_reversal")
	params, faults := backtest.CheckParams(strategy, map[string]float64{"period": 1.5, "oversold": 25, "level": 3})
	fmt.Println(params)
	for _, fault := range faults {
		fmt.Println(fault)
	}
	// Output:
	// [1.5 25 70]
	// params.level: rsi_reversal has no such parameter
	// params.period: 1.5 is outside 2 to 500
}

// Strategies lists what a tune may name, with the parameters and bounds of each.
func ExampleStrategies() {
	for _, strategy := range backtest.Strategies()[:2] {
		fmt.Println(strategy.Name())
		for _, p := range strategy.Params() {
			fmt.Printf("  %s: %v, %v to %v\n", p.Name, p.Default, p.Min, p.Max)
		}
	}
	// Output:
	// bb_reversal
	//   period: 20, 2 to 500
	//   width: 2, 0.1 to 10
	// breakout_52w_high
	//   lookback: 252, 20 to 5000
	//   exit_mean: 50, 2 to 2000
}
