package pine

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"millrace/jobs/backtest"
)

// Scripts that cannot be run are refused with a line, a code and advice, never with a fault of the compiler.
func TestWhatCannotRunIsRefused(t *testing.T) {
	order := "\nif close > 0\n    strategy.entry(\"L\", strategy.long)\n"
	many := func(n int, line string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, line+"\n", i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, source, code string }{
		{"no Pine at all", "<html><body>Hello, world!</body></html>", "P1"},
		{"another language", "def f(x):\n    return x + 1\nprint(f(2))\n", "P"},
		{"no text", "   \n\n", "P302"},
		{"an indicator", "//@version=5\nindicator(\"i\")\nplot(close)\n", "P302"},
		{"a library", "//@version=5\nlibrary(\"l\")\nexport f(int x) => x + 1\n", "P302"},
		{"a version to come", "//@version=7\nstrategy(\"s\")" + order, "P301"},
		{"an import", v6 + "import a/b/1" + order, "P306"},
		{"another symbol", v6 + "x = request.security(\"NASDAQ:AAPL\", \"D\", close)\nif x > 0\n    strategy.close_all()", "P305"},
		{"data of a lower timeframe", v6 + "x = request.security_lower_tf(syminfo.tickerid, \"1\", close)" + order, "P305"},
		{"recursion", v6 + "f(int x) => x > 0 ? f(x - 1) : 0\ny = f(3)" + order, "P303"},
		{"two functions that call each other", v6 + "f(int x) => g(x)\ng(int x) => f(x)\ny = f(3)" + order, "P"},
		{"bounds that contradict", v6 + "n = input.int(5, minval=10, maxval=1)" + order, "P208"},
		{"brackets without end", v6 + "x = " + strings.Repeat("(", 5000), "P"},
		{"blocks without end", v6 + strings.Repeat("if true\n", 10) + nested(150), "P402"},
		{"too many words", v6 + strings.Repeat("x = 1, ", 60_000), "P401"},
		{"too many bytes", v6 + strings.Repeat("// filler\n", 30_000) + order, "P401"},
		{"too much once written out", v6 + "f(x) =>\n    y = x\n" + many(600, "    y += x * %d") + "    y\nz = 0.0\n" + many(100, "z += f(close + %d)") + "if z > 0\n    strategy.entry(\"L\", strategy.long)", "P403"},
		{"too many columns", v6 + "z = 0.0\n" + many(1100, "z += ta.ema(close, %d + 1)") + "if z > 0\n    strategy.entry(\"L\", strategy.long)", "P405"},
	} {
		p, diags := Compile(c.source)
		if p != nil || !diags.HasErrors() {
			t.Errorf("%s: it compiles", c.name)
			continue
		}
		found := false
		for _, d := range diags {
			found = found || d.Severity == "error" && strings.HasPrefix(d.Code, c.code) && d.Line > 0
			if d.Code == "P499" {
				t.Errorf("%s: %s", c.name, d.Message)
			}
		}
		if !found {
			t.Errorf("%s: want code %s, got %v", c.name, c.code, diags)
		}
	}
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat("    ", i) + "if close > open\n")
	}
	return b.String() + strings.Repeat("    ", depth) + "x = 1\n"
}

// A bound of a run that is exceeded names the line of the script.
func TestTenThousandOrdersABarFailWithTheirLine(t *testing.T) {
	bars := barsOf(t, 10, 11, 12, 13)
	for _, line := range []string{
		"strategy.order(\"o\" + str.tostring(i), strategy.long, limit=1)",
		"strategy.entry(\"e\" + str.tostring(i), strategy.long, limit=1)",
	} {
		_, err := tradesOf(t, v6+"for i = 0 to 9999\n    "+line+"\n", bars)
		var run *RunError
		if !errors.As(err, &run) || run.Line != 4 || !strings.Contains(run.Message, "1000 live orders") {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// Values that are not numbers reach orders as nothing: no trade, no error.
func TestDivisionByZeroAndNaGiveNoOrders(t *testing.T) {
	bars := barsOf(t, 10, 11, 12, 13, 14, 15)
	for _, c := range []string{
		"strategy.entry(\"L\", strategy.long, qty=1 / (close - close))",
		"strategy.entry(\"L\", strategy.long, qty=0 / (close - close))",
		"strategy.entry(\"L\", strategy.long, qty=float(na))",
		"if float(na) > 0\n    strategy.entry(\"L\", strategy.long)",
		"if not (float(na) > 0) and na(close / 0 - close / 0)\n    strategy.exit(\"X\", \"L\", stop=float(na), limit=float(na))",
		"float x = na\nx := x * 2 + ta.ema(x, 3)\nif ta.crossover(x, close) or x == x[1]\n    strategy.entry(\"L\", strategy.long)",
		"strategy.order(\"L\", strategy.long, qty=-5)\nstrategy.close(string(na))\nstrategy.cancel(\"none\")",
		"strategy.risk.max_drawdown(float(na), strategy.cash)\nstrategy.risk.max_intraday_filled_orders(int(na))\nif close < 0\n    strategy.entry(\"L\", strategy.long)",
	} {
		got, err := tradesOf(t, v6+c+"\n", bars)
		if strings.Contains(c, "float(na))") && strings.HasPrefix(c, "strategy.entry") {
			continue // without a quantity it is the default's
		}
		if err != nil || got != "" {
			t.Errorf("%s: trades %q, error %v", c, got, err)
		}
	}
}

func TestFiveHundredInputsAreParametersAndTheOnesWithoutEffectAreKnown(t *testing.T) {
	var b strings.Builder
	b.WriteString(v6 + "s = 0.0\n")
	for i := range 500 {
		fmt.Fprintf(&b, "n%d = input.int(%d, \"N%d\", minval=1, maxval=9)\n", i, 1+i%9, i)
		if i%2 == 0 {
			fmt.Fprintf(&b, "s += n%d\n", i)
		}
	}
	b.WriteString("if s > close\n    strategy.entry(\"L\", strategy.long)\n")
	s := NewStrategy("x", mustCompile(t, b.String()))
	if n, used := len(s.Params()), len(s.Space()); n != 500 || used != 250 {
		t.Errorf("%d parameters, %d of them in the space to search, want 500 and 250", n, used)
	}
}

// Laws that need volume or more bars than there are give na: a script trades nothing, and says nothing wrong.
func TestBarsWithoutVolumeAndTooFewBarsTradeNothing(t *testing.T) {
	script := v6 + "[m, u, l] = ta.bb(close, 20, 2)\nv = ta.vwma(close, 20) + ta.mfi(hlc3, 14) + ta.obv\nif ta.crossover(close, m) and v > 0\n    strategy.entry(\"L\", strategy.long)\nif ta.crossunder(close, m)\n    strategy.close(\"L\")\n"
	for _, n := range []int{1, 2, 19, 60} {
		bars := walkBars(3, n)
		for i := range bars.Volume {
			bars.Volume[i] = 0
		}
		if got, err := tradesOf(t, script, bars); err != nil || got != "" && n < 20 {
			t.Errorf("%d bars: %q, error %v", n, got, err)
		}
		for i := range bars.Volume {
			bars.Volume[i] = math.NaN()
		}
		if _, err := tradesOf(t, script, bars); err != nil {
			t.Errorf("%d bars whose volume is na: %v", n, err)
		}
	}
}

// However costly a script is, it is seen soon that it is to stop: here after so many questions, of which each
// costs some milliseconds at most.
func TestCostlyScriptsAskWhetherToStop(t *testing.T) {
	bars := walkBars(3, 3000)
	for name, lines := range map[string]string{
		"sorts in a loop":       "a = array.new_float(50000, close)\nx = 0.0\nfor i = 0 to 9000\n    a.sort()\n    x += a.first()",
		"matrices in a loop":    "m = matrix.new<float>(200, 200, close)\nx = 0.0\nfor i = 0 to 9000\n    x += matrix.det(m)",
		"a large power":         "m = matrix.new<float>(200, 200, close)\nx = matrix.pow(m, 64).get(0, 0)",
		"a long window":         "x = ta.linreg(close, 2500, 0)\ny = ta.percentrank(close, 2900)\nx := nz(x) + nz(y)",
		"a law in a loop":       "x = 0.0\nfor i = 0 to 9000\n    x += nz(ta.linreg(close, 1000, 0))",
		"loops of broker state": "x = 0.0\nfor i = 0 to 9000\n    x += strategy.equity",
	} {
		run, err := mustCompile(t, v6+lines+"\nif x > 0\n    strategy.entry(\"L\", strategy.long)\n").NewRun(bars, Market{})
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		run.OnStop(func() bool { asked++; return true })
		err = run.Prepare(nil)
		if err == nil {
			_, err = run.Trades(backtest.Window{From: 0, To: bars.Len()})
		}
		if !errors.Is(err, ErrStopped) || asked != 1 {
			t.Errorf("%s: asked %d times, error %v", name, asked, err)
		}
	}
}
