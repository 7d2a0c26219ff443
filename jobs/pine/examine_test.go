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

// What goes beyond a limit at its defaults is refused with its line; what stops by itself is warned of.
func TestAScriptBeyondALimitAtItsDefaultsIsRefused(t *testing.T) {
	order := "if x > 0\n    strategy.entry(\"L\", strategy.long)\n"
	for name, c := range map[string]struct {
		lines, refusal, warning string
	}{
		"an endless loop":      {"x = 0\nwhile true\n    x += 1\n" + order, "line 4", ""},
		"a huge array":         {"x = array.size(array.new_float(1000000000, 0))\n" + order, "line 3", ""},
		"an array that grows":  {"var a = array.new_float()\nfor i = 0 to 9000\n    a.push(i)\nx = a.size()\n" + order, "line 5", ""},
		"many texts":           {"var a = array.new_string()\nfor i = 0 to 9000\n    a.push(str.tostring(close * i))\nx = a.size()\n" + order, "line 5", ""},
		"a huge matrix":        {"x = matrix.rows(matrix.new<float>(100000, 100000, 0))\n" + order, "line 3", ""},
		"many orders":          {"for i = 0 to 9999\n    strategy.entry(str.tostring(i), strategy.long, limit=0.01)\n", "line 4", ""},
		"one that stops":       {"if close > 0\n    runtime.error(\"wrong timeframe\")\nx = 1\n" + order, "", "line 4"},
		"an index out of band": {"x = array.get(array.new_float(1, 0), 7)\n" + order, "", "line 3"},
	} {
		e := examine(t, v6+c.lines)
		if c.refusal == "" != (e.Refusal == "") || !strings.Contains(e.Refusal, c.refusal) || !strings.Contains(strings.Join(e.Warnings, " "), c.warning) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
