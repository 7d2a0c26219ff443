package backtest_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/backtest/pricefile"
)

// goldenRun is one run of an independent engine: see testdata/README.md.
type goldenRun struct {
	Data        string             `json:"data"` // sp500 or hourly
	Strategy    string             `json:"strategy"`
	Params      map[string]float64 `json:"params"`
	Side        backtest.Side      `json:"side"`
	Stops       *backtest.Stops    `json:"stops"`
	Trades      [][5]float64       `json:"trades"`
	Open        [][3]float64       `json:"open"`
	FinalEquity float64            `json:"final_equity"`
}

func sample(t testing.TB) *backtest.Bars {
	t.Helper()
	bars, err := pricefile.Sample()
	require.NoError(t, err)
	return bars
}

// goldenData are the bars of the golden runs.
func goldenData(t testing.TB) map[string]*backtest.Bars {
	t.Helper()
	hourly, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 21, Bars: 4000, Interval: time.Hour})
	require.NoError(t, err)
	return map[string]*backtest.Bars{"sp500": sample(t), "hourly": hourly}
}

func runner(t testing.TB, bars *backtest.Bars, name string, params map[string]float64, cfg backtest.Config) backtest.Trader {
	t.Helper()
	strategy, ok := backtest.Lookup(name)
	require.True(t, ok, name)
	p, errs := backtest.CheckParams(strategy, params)
	require.Empty(t, errs)
	require.Empty(t, cfg.Validate())
	r := backtest.NewTrader(bars, strategy, cfg)
	r.Prepare(p)
	return r
}

func defaults(side backtest.Side) backtest.Config {
	return backtest.Config{
		Side: side, Account: backtest.DefaultAccount(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange,
	}
}

func TestTradesEqualBacktestingPy(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("testdata/backtesting_py.json")
	require.NoError(t, err)
	var runs []goldenRun
	require.NoError(t, json.Unmarshal(file, &runs))
	require.NotEmpty(t, runs)
	data := goldenData(t)
	covered := map[string]bool{}
	for _, want := range runs {
		covered[want.Strategy] = true
		t.Run(want.Strategy+"/"+string(want.Side), func(t *testing.T) {
			bars, cfg := data[want.Data], defaults(want.Side)
			cfg.Stops = want.Stops
			whole := backtest.Window{To: bars.Len()}
			r := runner(t, bars, want.Strategy, want.Params, cfg)
			trades, equity := r.Trace(whole)
			require.Len(t, trades, len(want.Trades)+len(want.Open))
			for i, golden := range want.Trades {
				got := trades[i]
				require.Equal(t, golden[0], signedSize(got), "size of trade %d", i)
				require.Equal(t, int(golden[1]), got.EntryBar, "entry of trade %d", i)
				require.InEpsilon(t, golden[2], got.EntryPrice, 1e-9)
				require.Equal(t, int(golden[3]), got.ExitBar, "exit of trade %d", i)
				require.InEpsilon(t, golden[4], got.ExitPrice, 1e-9)
			}
			// We close what is open on the last close, which costs one more commission.
			final := want.FinalEquity
			for i, golden := range want.Open {
				got := trades[len(want.Trades)+i]
				require.Equal(t, golden[0], signedSize(got))
				require.Equal(t, int(golden[1]), got.EntryBar)
				require.InEpsilon(t, golden[2], got.EntryPrice, 1e-9)
				require.Equal(t, "end", got.ExitReason)
				final -= got.Size * got.ExitPrice * 0.002
			}
			require.InEpsilon(t, final, equity[len(equity)-1], 1e-9)
			var m backtest.Metrics
			r.Simulate(whole, &m)
			require.InEpsilon(t, final, m.FinalEquity, 1e-9)
			require.Equal(t, len(trades), m.Trades)
		})
	}
	for _, strategy := range backtest.Strategies() {
		require.True(t, covered[strategy.Name()], "%s has no golden run", strategy.Name())
	}
}

func signedSize(t backtest.Trade) float64 {
	if t.Side == backtest.SideShort {
		return -t.Size
	}
	return t.Size
}

func TestEquityIsCashPlusProfits(t *testing.T) {
	t.Parallel()
	bars := sample(t)
	for _, strategy := range backtest.Strategies() {
		for _, stops := range []*backtest.Stops{nil, {StopPct: 2, TargetPct: 3}, {TrailATR: 2, TargetATR: 4}} {
			cfg := defaults(backtest.SideBoth)
			cfg.Stops, cfg.Account.Slippage = stops, 0.0005
			r := runner(t, bars, strategy.Name(), nil, cfg)
			trades, equity := r.Trace(backtest.Window{From: 300, To: bars.Len()})
			cash := cfg.Account.Cash
			for _, trade := range trades {
				cash += trade.PnL
				require.LessOrEqual(t, trade.EntryBar, trade.ExitBar)
				require.Positive(t, trade.Size)
			}
			require.InEpsilon(t, cash, equity[len(equity)-1], 1e-9, strategy.Name())
		}
	}
}

func TestFutureBarsDoNotChangePastTrades(t *testing.T) {
	t.Parallel()
	bars := sample(t)
	n := bars.Len()
	for _, cut := range []int{400, 1777, 3333} {
		mirror := func(values []float64) []float64 {
			out := append([]float64(nil), values...)
			for i := cut + 1; i < n; i++ { // the future in reverse: other prices, still valid bars
				out[i] = values[n-(i-cut)]
			}
			return out
		}
		other, err := backtest.NewBars(bars.Time, mirror(bars.Open), mirror(bars.High), mirror(bars.Low), mirror(bars.Close), mirror(bars.Volume))
		require.NoError(t, err)
		for _, strategy := range backtest.Strategies() {
			cfg := defaults(backtest.SideBoth)
			cfg.Stops = &backtest.Stops{StopATR: 3, TrailPct: 8}
			before, equity := runner(t, bars, strategy.Name(), nil, cfg).Trace(backtest.Window{To: n})
			after, otherEquity := runner(t, other, strategy.Name(), nil, cfg).Trace(backtest.Window{To: n})
			require.Equal(t, equity[:cut+1], otherEquity[:cut+1], strategy.Name())
			for i, trade := range before {
				if trade.ExitBar > cut {
					break
				}
				require.Equal(t, trade, after[i], strategy.Name())
			}
		}
	}
}

func TestWarmRunAllocatesNothing(t *testing.T) {
	daily := sample(t)
	hourly := walk(t, 4000, walkShape{seed: 1, step: 3_600_000_000, vol: 0.01})
	for _, strategy := range backtest.Strategies() {
		for _, stops := range []*backtest.Stops{nil, {StopPct: 3, TrailATR: 4}} {
			for _, bars := range []*backtest.Bars{daily, hourly} {
				cfg := defaults(backtest.SideBoth)
				cfg.Stops = stops
				params, errs := backtest.CheckParams(strategy, nil)
				require.Empty(t, errs)
				r := backtest.NewTrader(bars, strategy, cfg)
				var m backtest.Metrics
				trial := func() {
					r.Prepare(params)
					r.Simulate(backtest.Window{To: 3500}, &m)
					r.Simulate(backtest.Window{From: 3500, To: bars.Len()}, &m)
				}
				trial()
				require.Zero(t, testing.AllocsPerRun(3, trial), strategy.Name())
			}
		}
	}
}

func TestUndefinedFiguresAreNullWithAReason(t *testing.T) {
	t.Parallel()
	bars := sample(t)
	r := runner(t, bars, "orb", nil, defaults(backtest.SideBoth)) // daily bars: it never trades
	var m backtest.Metrics
	r.Simulate(backtest.Window{To: bars.Len()}, &m)
	body, err := json.Marshal(m)
	require.NoError(t, err)
	var shown map[string]any
	require.NoError(t, json.Unmarshal(body, &shown))
	for _, name := range []string{"sharpe", "calmar", "win_rate_pct", "profit_factor", "sqn"} {
		require.Nil(t, shown[name], name)
		require.NotEmpty(t, shown["undefined"].(map[string]any)[name], name)
	}
	var back backtest.Metrics
	require.NoError(t, json.Unmarshal(body, &back))
	require.True(t, math.IsNaN(back.Sharpe))
	require.Equal(t, m.FinalEquity, back.FinalEquity)
}

func TestFlatSeriesGiveNoBollingerSignal(t *testing.T) {
	t.Parallel()
	for _, price := range []float64{100, 100.1, 0.07, 12345.678} {
		n := 400
		prices := make([]float64, n)
		at := make([]int64, n)
		for i := range prices {
			prices[i], at[i] = price, int64(i)*86_400e6
			if i < 50 && i%2 == 0 { // it moved before
				prices[i] = price * 1.25
			}
		}
		volume := make([]float64, n)
		bars, err := backtest.NewBars(at, prices, prices, prices, prices, volume)
		require.NoError(t, err)
		r := runner(t, bars, "bb_reversal", map[string]float64{"period": 20, "width": 2}, defaults(backtest.SideBoth))
		trades, _ := r.Trace(backtest.Window{From: 100, To: n})
		require.Empty(t, trades, "price %v", price)
	}
}

func TestAnOrderThatCashCannotPayIsCounted(t *testing.T) {
	t.Parallel()
	bars := sample(t)
	for name, change := range map[string]func(*backtest.Account){
		"whole units of more than the cash": func(a *backtest.Account) { a.Cash, a.WholeUnits = 100, true },
		"a number of units":                 func(a *backtest.Account) { a.Size = 1000 },
	} {
		cfg := defaults(backtest.SideBoth)
		change(&cfg.Account)
		var m backtest.Metrics
		r := runner(t, bars, "sma_cross", map[string]float64{"fast": 10, "slow": 50}, cfg)
		r.Simulate(backtest.Window{To: bars.Len()}, &m)
		require.Zero(t, m.Trades, name)
		require.Greater(t, m.UnpaidOrders, 10, name)
	}
}

func TestGrowthThatCannotBeAnnualisedIsAnOverflow(t *testing.T) {
	t.Parallel()
	at, prices, volume := make([]int64, 300), make([]float64, 300), make([]float64, 300)
	for i := range at {
		at[i], prices[i] = int64(i)*60e6, 100*math.Exp(0.02*float64(i)+0.3*math.Sin(float64(i)/7))
	}
	bars, err := backtest.NewBars(at, prices, prices, prices, prices, volume)
	require.NoError(t, err)
	var m backtest.Metrics
	runner(t, bars, "sma_cross", map[string]float64{"fast": 2, "slow": 5}, defaults(backtest.SideLong)).Simulate(backtest.Window{To: 300}, &m)
	require.Positive(t, m.ReturnPct)
	body, err := json.Marshal(m)
	require.NoError(t, err)
	var shown struct {
		CAGR      *float64          `json:"cagr_pct"`
		Calmar    *float64          `json:"calmar"`
		Undefined map[string]string `json:"undefined"`
	}
	require.NoError(t, json.Unmarshal(body, &shown))
	require.Nil(t, shown.CAGR)
	require.Nil(t, shown.Calmar)
	require.Contains(t, shown.Undefined["cagr_pct"], "overflow")
	require.Contains(t, shown.Undefined["calmar"], "overflow")
}
