package ir

import (
	"strings"
	"testing"
)

// A request with lookahead on is taken when what it shows is known as the other timeframe's bar opens.
func TestLookaheadIsTakenOnlyWhereNothingIsSeenEarly(t *testing.T) {
	for _, c := range []struct {
		lines, expr string
		early       bool // it would see prices early
	}{
		{"", "close", true},
		{"", "close[0]", true},
		{"", "close[1]", false},
		{"", "open", false},
		{"", "time", false},
		{"", "high[1] - low[2]", false},
		{"", "high[1] - low", true},
		{"", "ta.ema(close, 5)", true},
		{"", "ta.ema(close, 5)[1]", false},
		{"", "ta.ema(close[1], 5)", false},
		{"", "ta.ema(open, 5)", false},
		{"", "ta.atr(5)", true},
		{"", "ta.atr(5)[1]", false},
		{"x = ta.sma(close, 3)[1]", "x", false},
		{"x = ta.sma(close, 3)", "x", true},
		{"x = ta.sma(close, 3)", "x[1]", false},
		{"f(s, k) => s[k]", "f(close, 1)", false},
		{"f(s, k) => s[k]", "f(close, 0)", true},
		{"k = input.int(2, minval=1)", "close[k]", false},
		{"k = input.int(2)", "close[k]", true},
		{"", "close[barstate.isconfirmed ? 1 : 0]", false},
		{"", "open > open[1] ? close[1] : close[2]", false},
		{"", "close > open ? close[1] : close[2]", true},
		{"x = 0.0\nif close > open\n    x := 1.0", "x", true},
		{"x = 0.0\nif close[1] > open[1]\n    x := 1.0", "x", false},
		{"var x = 0.0\nif close > open\n    x := close", "x[1]", false},
	} {
		for _, frame := range []string{"\"60\"", "timeframe.period"} {
			source := head + c.lines + "\ny = request.security(syminfo.tickerid, " + frame + ", " + c.expr + ", lookahead=barmerge.lookahead_on)\nif y > 0\n    strategy.entry(\"L\", strategy.long)\n"
			_, diags := lower(t, source)
			refused := diags.HasErrors()
			if want := c.early && !strings.HasPrefix(frame, "timeframe"); refused != want {
				t.Errorf("%s: %s of the timeframe %s is refused: %v, want %v (%v)", c.lines, c.expr, frame, refused, want, diags)
			}
		}
	}
}
