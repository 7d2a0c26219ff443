package pine

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/broker"
)

// scriptWriter writes random scripts by a small grammar: series and conditions with and without
// state, variables that change in branches, functions, loops, arrays, and orders under any of them.
type scriptWriter struct {
	r      *rand.Rand
	out    strings.Builder
	floats []string
	bools  []string
	vars   []string
	n      int
	v6     bool
	apart  bool // the broker's state is read in the conditions of orders only
}

func (w *scriptWriter) line(depth int, format string, args ...any) {
	w.out.WriteString(strings.Repeat("    ", depth))
	fmt.Fprintf(&w.out, format, args...)
	w.out.WriteByte('\n')
}

func (w *scriptWriter) pick(list []string) string { return list[w.r.IntN(len(list))] }

func (w *scriptWriter) name(prefix string) string {
	w.n++
	return fmt.Sprintf("%s%d", prefix, w.n)
}

func (w *scriptWriter) length() string {
	return w.pick([]string{"2", "3", "5", "8", "fast", "slow"})
}

func (w *scriptWriter) float(depth int) string {
	if depth <= 0 {
		return w.pick(append([]string{"close", "open", "high", "low", "hl2", "1.5", "100.0"}, w.floats...))
	}
	a, b := func() string { return w.float(depth - 1) }, func() string { return w.float(depth - 1) }
	switch w.r.IntN(16) {
	case 0:
		return fmt.Sprintf("(%s + %s)", a(), b())
	case 1:
		return fmt.Sprintf("(%s - %s)", a(), b())
	case 2:
		return fmt.Sprintf("(%s * 0.5)", a())
	case 3:
		return fmt.Sprintf("ta.sma(%s, %s)", a(), w.length())
	case 4:
		return fmt.Sprintf("ta.ema(%s, %s)", a(), w.length())
	case 5:
		return fmt.Sprintf("ta.highest(%s, %s)", a(), w.length())
	case 6:
		return fmt.Sprintf("nz(%s, %s)", a(), b())
	case 7:
		return fmt.Sprintf("(%s ? %s : %s)", w.bool(depth-1), a(), b())
	case 8:
		return fmt.Sprintf("math.max(%s, %s)", a(), b())
	case 9, 10:
		if !w.apart {
			return w.pick([]string{"strategy.position_size", "nz(strategy.position_avg_price, close)"})
		}
	case 11:
		return fmt.Sprintf("smooth(%s)", a())
	case 12:
		return fmt.Sprintf("ta.valuewhen(%s, %s, 1)", w.bool(depth-1), a())
	case 13:
		if len(w.floats) > 0 {
			return fmt.Sprintf("%s[%d]", w.pick(w.floats), w.r.IntN(4))
		}
	case 14:
		return fmt.Sprintf("(%s)[%d]", a(), 1+w.r.IntN(3))
	}
	return fmt.Sprintf("close[%d]", w.r.IntN(5))
}

func (w *scriptWriter) bool(depth int) string {
	if depth <= 0 {
		return w.pick(append([]string{"close > open", "high > high[1]", "bar_index % 7 == 3"}, w.bools...))
	}
	switch w.r.IntN(9) {
	case 0:
		return fmt.Sprintf("ta.crossover(%s, %s)", w.float(depth-1), w.float(depth-1))
	case 1:
		return fmt.Sprintf("(%s and %s)", w.bool(depth-1), w.bool(depth-1))
	case 2:
		return fmt.Sprintf("(%s or %s)", w.bool(depth-1), w.bool(depth-1))
	case 3:
		return fmt.Sprintf("not (%s)", w.bool(depth-1))
	case 4, 5:
		if !w.apart {
			return w.pick([]string{"strategy.position_size == 0", "strategy.position_size > 0"})
		}
	case 6:
		return fmt.Sprintf("barssince3(%s)", w.bool(depth-1))
	}
	return fmt.Sprintf("%s %s %s", w.float(depth-1), w.pick([]string{">", "<", ">=", "<=", "!="}), w.float(depth-1))
}

func (w *scriptWriter) order(depth int) {
	switch w.r.IntN(8) {
	case 0, 1:
		w.line(depth, "strategy.entry(\"L\", strategy.long)")
	case 2:
		w.line(depth, "strategy.entry(\"S\", strategy.short)")
	case 3:
		w.line(depth, "strategy.close(\"L\")")
	case 4:
		w.line(depth, "strategy.close_all()")
	case 5:
		w.line(depth, "strategy.exit(\"X\", \"L\", stop=%s, limit=close + %d)", w.pick(append([]string{"close - 2"}, w.vars...)), 1+w.r.IntN(4))
	case 6:
		w.line(depth, "strategy.entry(\"B\", strategy.long, stop=%s)", w.pick(append([]string{"high + 1"}, w.vars...)))
	case 7:
		w.line(depth, "strategy.cancel(\"B\")")
	}
}

func (w *scriptWriter) statement(depth int) {
	saveF, saveB := len(w.floats), len(w.bools)
	switch w.r.IntN(12) {
	case 0, 1:
		name := w.name("f")
		w.line(depth, "%s = %s", name, w.float(3))
		w.floats = append(w.floats, name)
		return
	case 2, 3:
		name := w.name("b")
		w.line(depth, "%s = %s", name, w.bool(3))
		w.bools = append(w.bools, name)
		return
	case 4:
		if len(w.vars) > 0 {
			w.line(depth, "%s := %s", w.pick(w.vars), w.float(2))
		}
	case 5:
		name := w.name("i")
		w.line(depth, "for %s = 0 to %d", name, w.r.IntN(4))
		if len(w.vars) > 0 {
			v := w.pick(w.vars)
			w.line(depth+1, "%s := nz(%s) * 0.5 + close[%s]", v, v, name)
		}
		w.line(depth+1, "if %s > 2", name)
		w.line(depth+2, "break")
	case 6:
		w.line(depth, "array.push(list, %s)", w.float(1))
		w.line(depth, "if array.size(list) > 5")
		w.line(depth+1, "array.shift(list)")
		name := w.name("a")
		w.line(depth, "%s = array.avg(list)", name)
		w.floats = append(w.floats, name)
		return
	default:
		if w.apart && w.r.IntN(2) == 0 {
			w.line(depth, "if %s", w.bool(2))
			w.line(depth+1, "%s := %s", w.pick(w.vars), w.float(2))
			break
		}
		if !w.apart && w.r.IntN(3) == 0 {
			name := w.name("g")
			w.line(depth, "%s = close", name)
			w.line(depth, "if strategy.position_size %s 0", w.pick([]string{">", "==", "<"}))
			w.line(depth+1, "%s := open - 1", name)
			w.floats = append(w.floats, name)
			return
		}
		guard := w.pick([]string{"", "", " and strategy.position_size == 0", " and strategy.position_size > 0", " and strategy.position_size != 0", " and strategy.opentrades == 0"})
		w.line(depth, "if %s%s", w.bool(2), guard)
		if w.apart && depth == 0 {
			w.order(depth + 1)
			break
		}
		for range 1 + w.r.IntN(2) {
			if depth < 2 {
				w.statement(depth + 1)
			}
		}
		w.order(depth + 1)
		if w.r.IntN(3) == 0 {
			w.line(depth, "else")
			w.order(depth + 1)
		}
	}
	w.floats, w.bools = w.floats[:saveF], w.bools[:saveB]
}

func randomScript(seed uint64) string {
	w := &scriptWriter{r: rand.New(rand.NewPCG(seed, 1)), v6: seed%3 != 0, apart: seed%2 == 0}
	version := 5
	if w.v6 {
		version = 6
	}
	w.line(0, "//@version=%d", version)
	w.line(0, "strategy(\"random\", pyramiding=%d, process_orders_on_close=%v, default_qty_type=%s)", w.r.IntN(3), w.r.IntN(4) == 0, w.pick([]string{"strategy.fixed", "strategy.percent_of_equity"}))
	w.line(0, "fast = input.int(3, \"Fast\", minval=1)")
	w.line(0, "slow = input.int(7, \"Slow\", minval=1)")
	w.line(0, "smooth(x) =>")
	w.line(1, "var float s = na")
	w.line(1, "s := na(s) ? x : s * 0.7 + nz(x[1], x) * 0.3")
	w.line(1, "s")
	w.line(0, "barssince3(c) => nz(ta.barssince(c), 10) < 3")
	w.line(0, "var list = array.new_float(0)")
	for range 1 + w.r.IntN(3) {
		name := w.name("v")
		w.line(0, "var float %s = %s", name, w.pick([]string{"na", "0.0", "close"}))
		w.vars = append(w.vars, name)
		w.floats = append(w.floats, name)
	}
	for range 4 + w.r.IntN(8) {
		w.statement(0)
	}
	w.line(0, "if %s", w.bool(2))
	w.line(1, "strategy.entry(\"L\", strategy.long)")
	return w.out.String()
}

// walkBars are bars of a random walk on a grid of cents, without ties that only rounding decides.
func walkBars(seed uint64, n int) *backtest.Bars {
	r := rand.New(rand.NewPCG(seed, 2))
	cents := func(v float64) float64 { return math.Round(v*100) / 100 }
	t, o, h, l, c, v := make([]int64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	price := 100.0
	for i := range n {
		t[i] = int64(i) * 900e6
		o[i] = cents(price + r.NormFloat64()*0.1)
		c[i] = cents(o[i] + r.NormFloat64())
		h[i], l[i] = cents(max(o[i], c[i])+r.Float64()), cents(min(o[i], c[i])-r.Float64())
		v[i] = math.Round(r.Float64() * 1000)
		price = max(c[i], 20)
	}
	b, err := backtest.NewBars(t, o, h, l, c, v)
	if err != nil {
		panic(err)
	}
	return b
}

func runAs(t *testing.T, c *Columns, params []float64, w backtest.Window, set func(*Run)) ([]broker.Trade, []float64, error) {
	t.Helper()
	run, err := c.NewRun()
	if err != nil {
		t.Fatal(err)
	}
	set(run)
	if err := run.Prepare(params); err != nil {
		return nil, nil, err
	}
	run.equity = make([]float64, w.Len())
	trades, err := run.Trades(w)
	return trades, run.equity, err
}

// outcome is what a way of execution gives.
type outcome struct {
	trades []broker.Trade
	equity []float64
	err    error
}

// ways are the ways to execute a script that have to agree.
var ways = []struct {
	name string
	set  func(*Run)
}{
	{"hoisted", func(r *Run) { r.everyBar = true }},
	{"jumping", func(*Run) {}},
	{"lean", func(r *Run) { r.emu.KeepExtremes(r.program.plan.extremes) }},
}

// compareWays runs a script in every way and reports the first difference from executing every instruction on every
// bar. It returns the number of trades.
func compareWays(t *testing.T, source string, columns *Columns, params []float64, w backtest.Window) int {
	t.Helper()
	run := func(set func(*Run)) (o outcome) {
		o.trades, o.equity, o.err = runAs(t, columns, params, w, set)
		return o
	}
	plain := run(func(r *Run) { r.plain = true })
	for _, way := range ways {
		got := run(way.set)
		if !sameError(plain.err, got.err) {
			t.Fatalf("plain run gives error %v, %s %v\n%s", plain.err, way.name, got.err, source)
		}
		want := plain.trades
		if way.name == "lean" && !columns.program.plan.extremes {
			want = slices.Clone(want)
			for i := range want {
				want[i].MaxRunup, want[i].MaxDrawdown = 0, 0
			}
		}
		if !slices.Equal(want, got.trades) {
			t.Fatalf("%s run differs: %s\n%s", way.name, firstDifference(want, got.trades), source)
		}
		if plain.err == nil && !slices.Equal(plain.equity, got.equity) {
			t.Fatalf("%s run: the equity at the closes differs\n%s", way.name, source)
		}
	}
	return len(plain.trades)
}

// TestHoistedAndJumpingRunsTradeAsPlainOnes compares the ways of execution on random scripts.
func TestHoistedAndJumpingRunsTradeAsPlainOnes(t *testing.T) {
	count := uint64(300)
	if testing.Short() {
		count = 40
	}
	bars := walkBars(7, 400)
	traded, classes := 0, map[string]int{}
	for seed := range count {
		p, n := compareScript(t, seed, bars)
		classes[p.Class()]++
		traded += n
	}
	if traded < int(count) || classes["P"] == 0 || classes["B"]+classes["S"] == 0 {
		t.Fatalf("the scripts test too little: %d trades, classes %v", traded, classes)
	}
	t.Logf("%d trades, classes %v", traded, classes)
}

// compareScript compares the ways of execution on the random script of a seed, over all bars and over a window.
func compareScript(t *testing.T, seed uint64, bars *backtest.Bars) (*Program, int) {
	t.Helper()
	source := randomScript(seed)
	p, diags := Compile(source)
	if diags.HasErrors() {
		t.Fatalf("script %d does not compile: %v\n%s", seed, diags, source)
	}
	columns, traded := p.NewColumns(bars, Market{}), 0
	for i, params := range [][]float64{p.Defaults(), {5, 11}} {
		w := backtest.Window{From: i * 37, To: bars.Len()}
		traded += compareWays(t, fmt.Sprintf("script %d\n%s", seed, source), columns, params, w)
	}
	return p, traded
}

// FuzzWaysOfExecution compares the ways of execution on the scripts of any seeds.
func FuzzWaysOfExecution(f *testing.F) {
	f.Add(uint64(1))
	bars := walkBars(7, 400)
	f.Fuzz(func(t *testing.T, seed uint64) { compareScript(t, seed, bars) })
}

func sameError(a, b error) bool {
	var x, y *RunError
	if errors.As(a, &x) && errors.As(b, &y) {
		return x.Line == y.Line
	}
	return errors.Is(a, b) || errors.Is(b, a)
}

func firstDifference(a, b []broker.Trade) string {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Sprintf("trade %d is %+v and %+v", i, a[i], b[i])
		}
	}
	return fmt.Sprintf("%d and %d trades", len(a), len(b))
}

func runTrades(p *Program, bars *backtest.Bars, w backtest.Window) ([]broker.Trade, error) {
	run, err := p.NewRun(bars, Market{})
	if err != nil {
		return nil, err
	}
	if err := run.Prepare(p.Defaults()); err != nil {
		return nil, err
	}
	return run.Trades(w)
}

// FuzzRun compiles any text and runs what compiles: neither may panic, and both ways of execution agree.
func FuzzRun(f *testing.F) {
	for seed := range uint64(6) {
		f.Add(randomScript(seed))
	}
	f.Add(residueScript)
	f.Add(bracketScript)
	bars := walkBars(9, 120)
	w := backtest.Window{From: 0, To: bars.Len()}
	f.Fuzz(func(t *testing.T, source string) {
		p, diags := Compile(source)
		if p == nil {
			if !diags.HasErrors() {
				t.Fatal("neither a program nor an error")
			}
			for _, d := range diags {
				if d.Code == "P499" {
					t.Fatalf("the compiler fails: %s", d.Message)
				}
			}
			return
		}
		columns := p.NewColumns(bars, Market{})
		passes := 0
		stop := func(r *Run) { r.OnStop(func() bool { passes++; return passes > 20 }) }
		plain, _, plainErr := runAs(t, columns, nil, w, func(r *Run) { r.plain = true; stop(r) })
		passes = 0
		jumping, _, jumpingErr := runAs(t, columns, nil, w, stop)
		if plainErr == nil && jumpingErr == nil && !slices.Equal(plain, jumping) {
			t.Fatalf("jumping run differs: %s", firstDifference(plain, jumping))
		}
	})
}
