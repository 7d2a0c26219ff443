package pine

import (
	"strings"
	"testing"

	"millrace/jobs/backtest"
)

func examine(t *testing.T, source string) backtest.Examination {
	t.Helper()
	s := NewStrategy("x", mustCompile(t, source))
	return Examine(s, walkBars(3, 1200), backtest.Config{
		Side: backtest.SideBoth, Account: s.Account(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange,
	}, func() bool { return false })
}

// Levels that are not on the tick, and whatever else depends on the prices' decimals, are no look-ahead.
func TestScriptsWithLevelsBetweenTicksPassTheExamination(t *testing.T) {
	e := examine(t, v6+`n = input.int(5, "N", minval=2, maxval=40)
if ta.crossover(close, ta.sma(close, n))
    strategy.entry("L", strategy.long)
strategy.exit("X", "L", stop=strategy.position_avg_price * 0.98765, limit=strategy.position_avg_price * 1.0321)
`)
	if len(e.Problems) > 0 || !e.Complete || e.Trades == 0 {
		t.Errorf("%+v", e)
	}
}

func TestAScriptWithoutTradesIsWarnedOf(t *testing.T) {
	e := examine(t, v6+"if close < 0\n    strategy.entry(\"L\", strategy.long)\n")
	if len(e.Problems) > 0 || !strings.Contains(strings.Join(e.Warnings, " "), "no trade") {
		t.Errorf("%+v", e)
	}
}
