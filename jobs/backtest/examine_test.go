package backtest_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
)

func never() bool { return false }

func examined(t *testing.T, s backtest.Strategy) backtest.Examination {
	t.Helper()
	bars, err := pricefile.Sample()
	require.NoError(t, err)
	return backtest.Examine(s, bars.Slice(0, 1200), backtest.Config{
		Side: backtest.SideBoth, Account: backtest.DefaultAccount(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange,
	}, never)
}

// The examination that uploaded scripts have to pass is passed by the built-in strategies.
func TestBuiltInStrategiesPassTheExamination(t *testing.T) {
	t.Parallel()
	for _, s := range backtest.Strategies() {
		e := examined(t, s)
		require.Empty(t, e.Problems, s.Name())
		require.Empty(t, e.Refusal, s.Name())
		require.NotContains(t, strings.Join(e.Warnings, " "), "warm-up", s.Name())
		require.True(t, e.Complete, s.Name())
		require.GreaterOrEqual(t, e.Runs, 10, s.Name())
		require.Positive(t, e.Warmup, s.Name())
	}
}

// seer buys before the close rises: it looks one bar ahead.
type seer struct{ backtest.Strategy }

func (s seer) Trader(c *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return c.NewRunner(s, cfg)
}

func (seer) Signals(ind *backtest.Indicators, _ backtest.Params, out *backtest.Signals) {
	closes := ind.Bars().Close
	for i := range len(closes) - 3 {
		if closes[i+2] > closes[i+1] {
			out.Long(i)
		} else {
			out.Short(i)
		}
	}
}

// moody trades otherwise each time.
type moody struct {
	backtest.Strategy
	runs *int
}

func (s moody) Trader(c *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return c.NewRunner(s, cfg)
}

func (s moody) Signals(ind *backtest.Indicators, _ backtest.Params, out *backtest.Signals) {
	*s.runs++
	out.Long(10 * *s.runs)
	out.Short(500)
}

// counter knows how many bars there are.
type counter struct{ backtest.Strategy }

func (s counter) Trader(c *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return c.NewRunner(s, cfg)
}

func (counter) Signals(ind *backtest.Indicators, _ backtest.Params, out *backtest.Signals) {
	n := ind.Bars().Len()
	out.Long(n / 20)
	out.Short(n / 10)
}

// forgetful needs more bars than it says: it trades the thousandth bar of what it is shown.
type forgetful struct{ backtest.Strategy }

func (s forgetful) Trader(c *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return c.NewRunner(s, cfg)
}

func (forgetful) Signals(ind *backtest.Indicators, _ backtest.Params, out *backtest.Signals) {
	for i := 100; i < ind.Bars().Len(); i += 100 {
		if i%200 == 0 {
			out.Long(i)
		} else {
			out.Short(i)
		}
	}
}

func (forgetful) Warmup(*backtest.Bars, backtest.Params) int { return 30 }

// crashing panics.
type crashing struct{ backtest.Strategy }

func (s crashing) Trader(c *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return c.NewRunner(s, cfg)
}

func (crashing) Signals(*backtest.Indicators, backtest.Params, *backtest.Signals) { panic("no") }

func TestExaminationFindsAWarmUpThatIsTooShort(t *testing.T) {
	t.Parallel()
	native, _ := backtest.Lookup("sma_cross")
	e := examined(t, forgetful{native})
	require.Empty(t, e.Problems)
	require.Equal(t, 30, e.Warmup)
	require.Contains(t, strings.Join(e.Warnings, " "), "the 30 bars before a window")
}

func TestAStrategyThatPanicsIsRefused(t *testing.T) {
	t.Parallel()
	native, _ := backtest.Lookup("sma_cross")
	e := examined(t, crashing{native})
	require.Contains(t, e.Refusal, "it panics")
	require.True(t, e.Complete)
	require.Equal(t, 1, e.Runs, "what cannot run at its defaults is not run at others")
}

func TestExaminationFindsLookAheadAndChance(t *testing.T) {
	t.Parallel()
	native, _ := backtest.Lookup("sma_cross")
	ahead := examined(t, seer{native})
	require.Len(t, ahead.Problems, 1)
	require.Contains(t, ahead.Problems[0], "looks ahead")
	counted := examined(t, counter{native})
	require.Len(t, counted.Problems, 1)
	require.Contains(t, counted.Problems[0], "looks ahead")
	chance := examined(t, moody{native, new(int)})
	require.Contains(t, chance.Problems, "two runs on the same bars differ")
	bars, err := pricefile.Sample()
	require.NoError(t, err)
	stopped := backtest.Examine(native, bars, backtest.Config{Account: backtest.DefaultAccount()}, func() bool { return true })
	require.False(t, stopped.Complete)
	require.Zero(t, stopped.Runs)
}
