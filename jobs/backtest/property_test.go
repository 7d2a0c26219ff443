package backtest_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"millrace/jobs/backtest"
)

// mirrored are the bars upside down: what rose falls by as much.
func mirrored(t require.TestingT, b *backtest.Bars, around float64) *backtest.Bars {
	flip := func(values []float64) []float64 {
		out := make([]float64, len(values))
		for i, v := range values {
			out[i] = around - v
		}
		return out
	}
	other, err := backtest.NewBars(b.Time, flip(b.Open), flip(b.Low), flip(b.High), flip(b.Close), b.Volume)
	require.NoError(t, err)
	return other
}

// On mirrored prices every strategy whose rule is the same both ways does with longs what it did with
// shorts. breakout_52w_high is not: it buys highs and has no rule for lows.
func TestLongsAndShortsAreSymmetricOnMirroredPrices(t *testing.T) {
	t.Parallel()
	symmetric := map[string]map[string]float64{
		"sma_cross": {"fast": 4, "slow": 11}, "ema_cross": {"fast": 4, "slow": 11}, "macd_cross": {"fast": 4, "slow": 11, "signal": 3},
		"donchian_breakout": {"entry": 7, "exit": 7}, "rsi_reversal": {"period": 5, "oversold": 35, "overbought": 65},
		"bb_reversal": {"period": 9, "width": 1.2}, "orb": {"bars": 3},
	}
	other := map[backtest.Side]backtest.Side{backtest.SideLong: backtest.SideShort, backtest.SideShort: backtest.SideLong, backtest.SideBoth: backtest.SideBoth}
	for seed := range uint64(12) {
		// Prices on ticks of 1/4 have exact mirror images.
		bars := walk(t, 700, walkShape{seed: seed, step: 3_600_000_000, tick: 0.25, vol: 0.01})
		image := mirrored(t, bars, 4096)
		for name, params := range symmetric {
			for side, opposite := range other {
				for _, policy := range []backtest.IntrabarPolicy{backtest.PolicyWorst, backtest.PolicyBest, backtest.PolicyOHLCPath} {
					cfg := defaults(side)
					cfg.Account = backtest.Account{Cash: 1e6, Size: 3, Exclusive: true}
					cfg.Policy, cfg.Stops = policy, &backtest.Stops{StopATR: 1, TargetATR: 1.5, TrailATR: 2, ATRPeriod: 5}
					trades, _ := runner(t, bars, name, params, cfg).Trace(backtest.Window{To: bars.Len()})
					cfg.Side = opposite
					reflected, _ := runner(t, image, name, params, cfg).Trace(backtest.Window{To: bars.Len()})
					what := fmt.Sprint(name, side, policy, seed)
					require.NotEmpty(t, trades, what)
					require.Len(t, reflected, len(trades), what)
					for i, trade := range trades {
						require.Equal(t, other[trade.Side], reflected[i].Side, what)
						require.Equal(t, trade.EntryBar, reflected[i].EntryBar, what)
						require.Equal(t, trade.ExitBar, reflected[i].ExitBar, what)
						require.Equal(t, trade.ExitReason, reflected[i].ExitReason, what)
						require.InDelta(t, trade.PnL, reflected[i].PnL, 1e-6, what)
					}
				}
			}
		}
	}
}

// A stop fills at its price, or at the open of a bar that opens beyond it; never better, never on a
// later bar than the first that reaches it.
func TestStopsFillAtTheWorseOfStopAndOpen(t *testing.T) {
	t.Parallel()
	gaps := 0
	rapid.Check(t, func(t *rapid.T) {
		bars := drawnBars(t, 200)
		strategy := rapid.SampledFrom(backtest.Strategies()).Draw(t, "strategy")
		params, distance := drawnParams(t, strategy), rapid.SampledFrom([]float64{0.5, 2, 7}).Draw(t, "stop")
		cfg := defaults(backtest.SideBoth)
		cfg.Account.Commission, cfg.Stops = 0, &backtest.Stops{StopPct: distance}
		r := backtest.NewTrader(bars, strategy, cfg)
		r.Prepare(params)
		trades, _ := r.Trace(backtest.Window{To: bars.Len()})
		for _, trade := range trades {
			sign, adverse := 1.0, bars.Low
			if trade.Side == backtest.SideShort {
				sign, adverse = -1, bars.High
			}
			stop := trade.EntryPrice * (1 - sign*distance/100)
			for bar := trade.EntryBar; bar < trade.ExitBar; bar++ {
				require.Greater(t, sign*adverse[bar], sign*stop, "bar %d reaches the stop of %+v", bar, trade)
			}
			if trade.ExitReason != "stop" {
				continue
			}
			require.LessOrEqual(t, sign*adverse[trade.ExitBar], sign*stop)
			worse := sign * min(sign*stop, sign*bars.Open[trade.ExitBar])
			require.InDelta(t, worse, trade.ExitPrice, 1e-9*math.Abs(worse))
			if worse != stop {
				gaps++
			}
		}
	})
	require.Positive(t, gaps, "no bar opened beyond a stop")
}

// A run over a window knows no bar behind its end, so it is the same on bars that end there; and what
// it does before a bar does not depend on where it ends.
func TestBarsAfterTheWindowDoNotChangeTheRun(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		bars := drawnBars(t, rapid.IntRange(40, 260).Draw(t, "bars"))
		strategy := rapid.SampledFrom(backtest.Strategies()).Draw(t, "strategy")
		params, cfg := drawnParams(t, strategy), drawnConfig(t)
		from := rapid.IntRange(0, bars.Len()-2).Draw(t, "from")
		to := rapid.IntRange(from+1, bars.Len()-1).Draw(t, "to")
		trace := func(b *backtest.Bars, end int) ([]backtest.Trade, []float64) {
			r := backtest.NewTrader(b, strategy, cfg)
			r.Prepare(params)
			return r.Trace(backtest.Window{From: from, To: end})
		}
		trades, equity := trace(bars, to)
		cut, cutEquity := trace(bars.Slice(0, to), to)
		require.Equal(t, trades, cut)
		require.Equal(t, equity, cutEquity)
		_, longer := trace(bars, bars.Len())
		require.Equal(t, equity[:to-from-1], longer[:to-from-1], "the last bar closes what is open")
	})
}

// PolicyRandom takes the stop of some bars that touch both and the target of others, the same ones for
// the same seed.
func TestRandomIntrabarPolicyIsSeeded(t *testing.T) {
	t.Parallel()
	bars := walk(t, 3000, walkShape{seed: 4, step: 3_600_000_000, vol: 0.02})
	reasons := func(policy backtest.IntrabarPolicy, seed uint64) (counts map[string]int, trades []backtest.Trade) {
		cfg := defaults(backtest.SideBoth)
		cfg.Account.Commission, cfg.Policy, cfg.Seed = 0, policy, seed
		cfg.Stops = &backtest.Stops{StopPct: 0.5, TargetPct: 0.5}
		trades, _ = runner(t, bars, "sma_cross", map[string]float64{"fast": 2, "slow": 5}, cfg).Trace(backtest.Window{To: bars.Len()})
		counts = map[string]int{}
		for _, trade := range trades {
			counts[trade.ExitReason]++
		}
		return counts, trades
	}
	worst, _ := reasons(backtest.PolicyWorst, 1)
	best, _ := reasons(backtest.PolicyBest, 1)
	coin, trades := reasons(backtest.PolicyRandom, 1)
	torn := worst["stop"] - best["stop"]
	require.Greater(t, torn, 100, "too few bars touch both")
	require.InDelta(t, float64(torn)/2, coin["stop"]-best["stop"], 4*math.Sqrt(float64(torn))/2)
	_, again := reasons(backtest.PolicyRandom, 1)
	require.Equal(t, trades, again)
	_, other := reasons(backtest.PolicyRandom, 2)
	require.NotEqual(t, trades, other)
}

// What is filled at a bar's open was decided on the close before: the rest of the bar does not
// change it. (TestFutureBarsDoNotChangePastTrades covers earlier fills.)
func TestOpenFillsDoNotDependOnTheRestOfTheBar(t *testing.T) {
	t.Parallel()
	fills := 0
	rapid.Check(t, func(t *rapid.T) {
		bars := drawnBars(t, 200)
		strategy := rapid.SampledFrom(backtest.Strategies()).Draw(t, "strategy")
		params, cfg := drawnParams(t, strategy), drawnConfig(t)
		cfg.Stops = nil
		atOpen := func(b *backtest.Bars, bar int) (made []string) {
			r := backtest.NewTrader(b, strategy, cfg)
			r.Prepare(params)
			trades, _ := r.Trace(backtest.Window{To: b.Len()})
			for _, trade := range trades {
				if trade.EntryBar == bar {
					made = append(made, fmt.Sprint("enter ", trade.Side, trade.Size, trade.EntryPrice))
				}
				if trade.ExitBar == bar && trade.ExitReason == "signal" {
					made = append(made, fmt.Sprint("leave ", trade.Side, trade.Size, trade.ExitPrice))
				}
			}
			return made
		}
		r := backtest.NewTrader(bars, strategy, cfg)
		r.Prepare(params)
		trades, _ := r.Trace(backtest.Window{To: bars.Len()})
		tried := rapid.SliceOfN(rapid.IntRange(1, bars.Len()-1), 4, 4).Draw(t, "bars")
		for _, trade := range trades[:min(6, len(trades))] {
			tried = append(tried, trade.EntryBar)
		}
		for _, bar := range tried {
			want := atOpen(bars, bar)
			fills += len(want)
			for _, factor := range []float64{0.4, 2.5} {
				require.Equal(t, want, atOpen(otherwiseFrom(t, bars, bar, factor), bar), "bar %d", bar)
			}
		}
	})
	require.Greater(t, fills, 100)
}

// otherwiseFrom are bars that open as they did on a bar and go another way from there.
func otherwiseFrom(t require.TestingT, b *backtest.Bars, bar int, factor float64) *backtest.Bars {
	open, high, low, closes := slices.Clone(b.Open), slices.Clone(b.High), slices.Clone(b.Low), slices.Clone(b.Close)
	for i := bar; i < b.Len(); i++ {
		if i > bar {
			open[i] *= factor
		}
		closes[i] *= factor
		high[i], low[i] = max(open[i], closes[i], high[i]*factor), min(open[i], closes[i], low[i]*factor)
	}
	other, err := backtest.NewBars(b.Time, open, high, low, closes, b.Volume)
	require.NoError(t, err)
	return other
}
