package pine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"millrace/jobs/backtest"
)

// barsOf makes bars of 15 minutes from closes: each opens at the close before it, and its high and low
// are a half beyond both.
func barsOf(t *testing.T, closes ...float64) *backtest.Bars {
	t.Helper()
	n := len(closes)
	times, o, h, l, v := make([]int64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i, c := range closes {
		times[i] = int64(i) * 900e6
		o[i] = c
		if i > 0 {
			o[i] = closes[i-1]
		}
		h[i], l[i], v[i] = max(o[i], c)+0.5, min(o[i], c)-0.5, 100
	}
	b, err := backtest.NewBars(times, o, h, l, closes, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustCompile(t testing.TB, source string) *Program {
	t.Helper()
	p, diags := Compile(source)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, source)
	}
	return p
}

// tradesOf runs a script with its defaults and spells its closed trades, and the bar and price of each
// end: "L 3@12-5@14" is a long from bar 3 at 12 to bar 5 at 14.
func tradesOf(t *testing.T, source string, bars *backtest.Bars) (string, error) {
	t.Helper()
	run, err := mustCompile(t, source).NewRun(bars, Market{})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Prepare(run.program.Defaults()); err != nil {
		return "", err
	}
	trades, err := run.Trades(backtest.Window{From: 0, To: bars.Len()})
	var out []string
	for _, c := range trades {
		side := "L"
		if c.Size < 0 {
			side = "S"
		}
		out = append(out, fmt.Sprintf("%s %d@%v-%d@%v", side, c.EntryBar, c.EntryPrice, c.ExitBar, c.ExitPrice))
	}
	return strings.Join(out, " "), err
}

const v6 = "//@version=6\nstrategy(\"t\")\n"

// onBar is a script that enters on the bars where cond holds and closes one bar after its entry filled.
func onBar(lines, cond string) string {
	return v6 + lines + "\nif " + cond + "\n    strategy.entry(\"L\", strategy.long)\nif strategy.position_size > 0\n    strategy.close(\"L\")\n"
}

// The closes are 10, 11, 12, … so that bar k opens at 9+k (bar 0 at 10): an entry decided on bar k fills
// on k+1 at 10+k, and its close one bar later at 11+k.
func TestLanguageByTheBarsOnWhichItEnters(t *testing.T) {
	closes := make([]float64, 12)
	for i := range closes {
		closes[i] = 10 + float64(i)
	}
	bars := barsOf(t, closes...)
	entered := func(k int) string { return fmt.Sprintf("L %d@%d-%d@%d", k+1, 10+k, k+2, 11+k) }
	for _, c := range []struct {
		name, lines, cond string
		bar               int
	}{
		{"a bar's number", "", "bar_index == 3", 3},
		{"history of a series", "", "close[2] == 12", 4},
		{"history before the first bar is na, and na equals nothing", "", "na(close[5]) and bar_index == 4", 4},
		{"comparison with na is false", "", "(close[5] > 0) and bar_index < 6", 5},
		{"var keeps its value, := changes it", "var n = 0\nn += 1", "n == 4", 3},
		{"history of a variable", "x = close * 2\n", "x[3] == 24", 5},
		{"history of an expression", "", "(close + open)[1] == 25 and bar_index > 1", 4},
		{"a function's var is each call's", "f(x) =>\n    var s = 0.0\n    s += x\n    s\na = f(1)\nb = f(2)", "a == 3 and b == 6", 2},
		{"history of a parameter is that of its call", "f(x) => x - nz(x[1], x)\nd = f(close * 3)", "d == 3 and bar_index == 5", 5},
		{"a call in a branch sees only its own bars", "f() =>\n    var n = 0\n    n += 1\n    n\nvar k = 0\nif bar_index % 2 == 0\n    k := f()", "k == 3 and k[1] == 2", 4},
		{"if as a value", "x = if close > 14\n    1\nelse\n    2", "x == 1 and x[1] == 2", 5},
		{"switch with a subject", "x = switch bar_index % 3\n    0 => \"a\"\n    1 => \"b\"\n    => \"c\"", "x == \"c\" and bar_index > 3", 5},
		{"switch without a subject and without a match", "x = switch\n    close > 15 => 1", "x == 1 and na(x[1])", 6},
		{"for counts both ends", "s = 0\nfor i = 1 to 3\n    s += i", "s == 6 and bar_index == 2", 2},
		{"for counts down", "s = 0\nfor i = 3 to 1\n    s := s * 10 + i", "s == 321 and bar_index == 2", 2},
		{"for with a step, break and continue", "s = 0\nfor i = 0 to 10 by 2\n    if i == 4\n        continue\n    if i == 8\n        break\n    s += i", "s == 8 and bar_index == 2", 2},
		{"while", "n = 0\nwhile n * n < close\n    n += 1", "n == 4 and n[1] == 4", 1},
		{"tuple of a function", "f() => [close, open]\n[a, b] = f()", "a == 14 and b == 13", 4},
		{"arrays are references", "var a = array.new_float()\nb = a\nb.push(close)", "array.size(a) == 4 and a.get(0) == 10 and a.last() == 13", 3},
		{"for in with an index", "a = array.from(1, 2, 3)\ns = 0\nfor [i, v] in a\n    s += i * v", "s == 8 and bar_index == 1", 1},
		{"objects are references, copy is not", "type P\n    int n = 0\nvar p = P.new()\nq = p\nr = p.copy()\nq.n += 1", "p.n == 3 and r.n == 2", 2},
		{"methods", "type P\n    float s = 0\nmethod add(P self, float x) =>\n    self.s += x\n    self.s\nvar p = P.new()\nt = p.add(close)", "t == 33", 2},
		{"maps", "var m = map.new<string, float>()\nm.put(\"x\", close)", "m.get(\"x\") == 14 and na(m.get(\"y\"))", 4},
		{"matrices", "m = matrix.new<float>(2, 2, 1)\nm.set(0, 1, close)", "m.det() == -12", 3},
		{"enums", "enum E\n    a\n    b\nx = close > 13 ? E.b : E.a", "x == E.b and x[1] == E.a", 4},
		{"and does not evaluate its right side in version 6", "a = array.new_float(0)", "(bar_index != 4 ? false : true) or (bar_index < 4 and false and a.get(9) > 0)", 4},
		{"history of the position counts bars also in a branch", "n = 0\nif bar_index > 2\n    if strategy.position_size[1] == 0\n        n := 1", "n == 1 and bar_index == 3", 3},
		{"methods of a built-in series", "method twice(float self) => self * 2\nx = close.twice()", "x == 26", 3},
		{"texts", "s = str.tostring(close) + \"x\"", "s == \"14x\" and str.contains(s, \"4\") and str.length(s) == 3", 4},
		{"calendar", "", "hour == 1 and minute == 15", 5},
		{"session", "", "not na(time(timeframe.period, \"0115-0130\"))", 5},
		{"closes within 1e-10 are equal", "x = close + 5e-11", "x <= close and bar_index == 2", 2},
		{"an array and a matrix as texts", "a = array.from(close, na)\ns = str.tostring(a) + str.tostring(matrix.new<int>(2, 2, 7)) + str.format(\"{0}\", array.from(\"x\"))", "s == \"[14, NaN][7, 7]\\n[7, 7][x]\"", 4},
		{"a text that has the name of a prefix", "str = \"a\"\nstrategy = str + str.tostring(close)", "str.length(strategy) == 3 and strategy == \"a14\"", 4},
		{"a function that ends with a tuple's declaration", "f() =>\n    [m, u, l] = ta.bb(close, 2, 1)\n[a, b, c] = f()", "a == 13.5", 4},
		{"a tuple of one value", "f(n) =>\n    if n == 1\n        x = close\n        [x]\n    else\n        [na]\n[y] = f(1)", "y == 14", 4},
		{"a text over two lines", "s = \"a\n  b\"", "s == \"a b\" and bar_index == 2", 2},
		{"a constant var is a constant", "var n = 2\nvar name = \"b\"\nk = input.int(n)\nm = input.string(name, options=[\"a\", name])", "bar_index == k + 1 and m == \"b\"", 3},
		{"numbers that shadow functions", "max = 3\nx = math.max(max, close)", "x == 14", 4},
	} {
		got, err := tradesOf(t, onBar(c.lines, c.cond), bars)
		if first, _, _ := strings.Cut(got, " L"); err != nil || first != entered(c.bar) {
			t.Errorf("%s: %q, error %v, want first %q", c.name, got, err, entered(c.bar))
		}
	}
}

// Four bars of 15 minutes are an hour: the hour's close is known from the bar on that completes it.
func TestHigherTimeframeIsSeenWhenItCompletes(t *testing.T) {
	bars := barsOf(t, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21)
	for _, c := range []struct {
		expr string
		want string
	}{
		{"request.security(syminfo.tickerid, \"60\", close) == 13", "L 4@13-5@14"},    // decided on bar 3
		{"request.security(syminfo.tickerid, \"60\", close[1]) == 13", "L 8@17-9@18"}, // on bar 7
		{"request.security(syminfo.tickerid, \"60\", high) == 17.5 and bar_index > 8", "L 10@19-11@20"},
		{"request.security(syminfo.tickerid, \"60\", open, gaps=barmerge.gaps_on) == 13", "L 8@17-9@18"},
		{"request.security(syminfo.tickerid, \"60\", close[1], lookahead=barmerge.lookahead_on) == 13", "L 5@14-6@15"}, // on bar 4
		{"request.security(syminfo.tickerid, \"60\", ta.change(close)) == 4", "L 8@17-9@18"},
	} {
		got, err := tradesOf(t, onBar("x = "+c.expr, "x and not x[1]"), bars)
		if strings.Contains(c.expr, "gaps_on") || err != nil {
			got, err = tradesOf(t, onBar("x = "+c.expr, "x"), bars)
		}
		if first, _, _ := strings.Cut(got, " L"); err != nil || first != c.want {
			t.Errorf("%s: %q, error %v, want first %q", c.expr, got, err, c.want)
		}
	}
}

// A bracket given with its entry works from the fill on: entry at 11 on bar 2, the limit of 13 is met on
// bar 3, which opens at 12 and reaches 13.5.
func TestBracketOfAnEntryWorksFromItsFillOn(t *testing.T) {
	bars := barsOf(t, 10, 11, 12, 13, 12, 11, 10)
	got, err := tradesOf(t, v6+"if bar_index == 1\n    strategy.entry(\"L\", strategy.long)\n    strategy.exit(\"X\", \"L\", stop=9, limit=13)\n", bars)
	if want := "L 2@11-3@13"; err != nil || got != want {
		t.Errorf("%q, error %v, want %q", got, err, want)
	}
}

// The same crossing in the words of versions 2 to 6: the mean of two bars crosses that of three on bar 4,
// as 13+12 over 13+12+11 … rises again.
func TestDialectsTradeAlike(t *testing.T) {
	bars := barsOf(t, 14, 13, 12, 11, 12, 14, 16, 14, 11, 9, 8)
	var first string
	for version, source := range map[int]string{
		2: "//@version=2\nstrategy(\"t\")\nn = input(2, type=integer)\na = sma(close, n)\nb = sma(close, 3)\ntrend = nz(trend[1]) + 1\nif crossover(a, b) and trend > 0\n    strategy.entry(\"L\", strategy.long)\nif crossunder(a, b)\n    strategy.close(\"L\")\n",
		3: "//@version=3\nstrategy(\"t\")\nn = input(2, type=integer)\na = sma(close, n)\nb = sma(close, 3)\nup = crossover(a, b)\nstrategy.entry(\"L\", true, when=up)\nstrategy.close(\"L\", when=crossunder(a, b))\n",
		4: "//@version=4\nstrategy(\"t\")\nn = input(2, type=input.integer)\na = sma(close, n)\nb = sma(close, 3)\nstrategy.entry(\"L\", strategy.long, when=crossover(a, b))\nstrategy.close(\"L\", when=crossunder(a, b))\n",
		5: "//@version=5\nstrategy(\"t\")\nn = input.int(2)\na = ta.sma(close, n)\nb = ta.sma(close, 3)\nif ta.crossover(a, b)\n    strategy.entry(\"L\", strategy.long)\nif ta.crossunder(a, b)\n    strategy.close(\"L\")\n",
		6: "//@version=6\nstrategy(\"t\")\nn = input.int(2)\na = ta.sma(close, n)\nb = ta.sma(close, 3)\nif ta.crossover(a, b)\n    strategy.entry(\"L\", strategy.long)\nif ta.crossunder(a, b)\n    strategy.close(\"L\")\n",
	} {
		got, err := tradesOf(t, source, bars)
		if err != nil || got == "" {
			t.Fatalf("version %d: %q, error %v", version, got, err)
		}
		if first == "" {
			first = got
		}
		if got != first {
			t.Errorf("version %d trades %q, another %q", version, got, first)
		}
	}
}

func TestRunTimeErrorsNameTheirLine(t *testing.T) {
	bars := barsOf(t, 10, 11, 12, 13)
	for _, c := range []struct {
		lines, text string
	}{
		{"a = array.new_float(2)\nx = a.get(bar_index)", "out of bounds"},
		{"x = close[bar_index - 2]", "outside 0 to 5000"},
		{"n = 0\nx = 0.0\nwhile close > 0\n    x += 1", "passes"},
		{"x = 0.0\nfor i = 0 to 1000000000\n    x += i", "passes"},
		{"a = array.new_float(1000000000)\nx = a.size()", "100000"},
		{"var a = array.new_float()\nfor i = 0 to 20\n    a.concat(a.copy())\n    a.push(i)\nx = a.size()", "100000"},
		{"x = ta.sma(close, bar_index - 2)", "length"},
		{"x = close\nif close > 11\n    runtime.error(\"enough\")", "enough"},
		{"float[] a = na\nx = array.size(a)", "na"},
		{"type T\n    int v = 0\nT t = na\nx = t.v", "na"},
	} {
		_, err := tradesOf(t, v6+c.lines+"\nif x > 1e9\n    strategy.entry(\"L\", strategy.long)\n", bars)
		var run *RunError
		if !errors.As(err, &run) || run.Line < 3 || !strings.Contains(run.Message, c.text) {
			t.Errorf("%q: %v", c.lines, err)
		}
	}
}

func TestStopEndsAnEndlessRun(t *testing.T) {
	run, err := mustCompile(t, v6+"x = 0.0\nfor i = 0 to 9000\n    x += strategy.equity\nif x > 0\n    strategy.entry(\"L\", strategy.long)\n").NewRun(barsOf(t, make10(500)...), Market{})
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	run.OnStop(func() bool { asked++; return asked > 3 })
	if err := run.Prepare(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Trades(backtest.Window{From: 0, To: 500}); !errors.Is(err, ErrStopped) {
		t.Errorf("%v", err)
	}
}

func make10(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = 10
	}
	return v
}

// A trial is what it is in a fresh run, whatever trials came before it.
func TestTrialsDoNotDependOnTheOnesBefore(t *testing.T) {
	p := mustCompile(t, residueScript)
	bars := walkBars(5, 3000)
	w := backtest.Window{From: 100, To: 2900}
	shared := p.NewColumns(bars, Market{})
	used, err := shared.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	for _, params := range [][]float64{{5, 20}, {7, 30}, {5, 20}, {9, 40}, {5, 20}} {
		if err := used.Prepare(params); err != nil {
			t.Fatal(err)
		}
		got, err := used.Trades(w)
		if err != nil {
			t.Fatal(err)
		}
		fresh, _ := p.NewRun(bars, Market{})
		if err := fresh.Prepare(params); err != nil {
			t.Fatal(err)
		}
		want, err := fresh.Trades(w)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) == 0 || firstDifference(got, want) != fmt.Sprintf("%d and %d trades", len(want), len(want)) {
			t.Errorf("inputs %v: %s", params, firstDifference(got, want))
		}
	}
}

// What comes after a bar changes no trade that was closed before it.
func TestRunsDoNotLookAhead(t *testing.T) {
	bars := walkBars(5, 1500)
	for seed := range uint64(30) {
		p, diags := Compile(randomScript(seed))
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		all, err := runTrades(p, bars, backtest.Window{From: 0, To: 1500})
		part, partErr := runTrades(p, bars.Slice(0, 900), backtest.Window{From: 0, To: 900})
		if err != nil || partErr != nil {
			continue
		}
		for i, c := range part {
			if i >= len(all) || all[i] != c {
				t.Fatalf("script %d: trade %d changes with later bars\n%s", seed, i, randomScript(seed))
			}
		}
	}
}
