package backtest_test

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/golden"
)

// steppedBars are 5-minute bars whose prices are whole cents of a walk of whole numbers, so that they are the
// same on every machine.
func steppedBars(t testing.TB, n int) *backtest.Bars {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 11))
	times := make([]int64, n)
	columns := [5][]float64{}
	for i := range columns {
		columns[i] = make([]float64, n)
	}
	cents := 10_000
	for i := range n {
		open := max(500, cents+rng.IntN(21)-10)
		closing := max(500, open+rng.IntN(161)-80)
		high, low := max(open, closing)+rng.IntN(40), min(open, closing)-rng.IntN(40)
		times[i] = 1_600_000_000_000_000 + int64(i)*300_000_000
		for k, v := range []int{open, high, low, closing} {
			columns[k][i] = float64(v) / 100
		}
		columns[4][i] = float64(rng.IntN(10_000))
		cents = closing
	}
	bars, err := backtest.NewBars(times, columns[0], columns[1], columns[2], columns[3], columns[4])
	require.NoError(t, err)
	return bars
}

// goldenCase is what one strategy gave under one setting: figures, trades and equity.
type goldenCase struct {
	Metrics backtest.Metrics
	Trades  []backtest.Trade
	Equity  []float64
}

// TestResultsChangeOnlyWithTheEngineNumber holds each built-in strategy, under every policy, with and
// without stops, on whole histories and on windows of daily and of 5-minute bars.
func TestResultsChangeOnlyWithTheEngineNumber(t *testing.T) {
	t.Parallel()
	daily, fast := sample(t).Slice(0, 2000), steppedBars(t, 3000)
	hashes := map[string]string{}
	for _, strategy := range backtest.Strategies() {
		var cases []goldenCase
		for _, bars := range []*backtest.Bars{daily, fast} {
			for _, policy := range []backtest.IntrabarPolicy{backtest.PolicyWorst, backtest.PolicyBest, backtest.PolicyOHLCPath, backtest.PolicyRandom} {
				for _, stops := range []*backtest.Stops{nil, {StopPct: 2, TargetPct: 3}, {TrailATR: 2, TargetATR: 4}} {
					cfg := defaults(backtest.SideBoth)
					cfg.Policy, cfg.Stops, cfg.Seed, cfg.Account.Slippage = policy, stops, 5, 0.0003
					r := runner(t, bars, strategy.Name(), nil, cfg)
					for _, w := range []backtest.Window{{To: bars.Len()}, {From: 700, To: 1400}} {
						var c goldenCase
						r.Simulate(w, &c.Metrics)
						c.Trades, c.Equity = r.Trace(w)
						cases = append(cases, c)
					}
				}
			}
		}
		sum, err := golden.Sum(cases)
		require.NoError(t, err)
		hashes[strategy.Name()] = sum
	}
	require.NoError(t, golden.Check("testdata/results.json", backtest.Engine, "backtest.Engine", hashes, os.Getenv(golden.WriteEnv) != ""))
}

func TestStampsAreOrderedByTheirNumbers(t *testing.T) {
	t.Parallel()
	stamp := func(engine, semantics string) backtest.Stamp {
		return backtest.Stamp{Engine: engine, Semantics: semantics}
	}
	ordered := []backtest.Stamp{{}, stamp("3", ""), stamp("3", "1"), stamp("3", "2"), stamp("9", ""), stamp("10", "1"), stamp("10", "10")}
	for i, a := range ordered {
		for k, b := range ordered {
			require.Equal(t, i < k, a.Before(b), "%v before %v", a, b)
		}
		require.Equal(t, i > 0, a.Known())
	}
}
