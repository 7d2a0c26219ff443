package pine

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/broker"
)

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
		if p.plan.idle.possible && len(p.plan.idle.guards) > 0 {
			classes["P with idle bars"]++
		}
		traded += n
	}
	if traded < int(count) || classes["P"] == 0 || classes["P with idle bars"] < int(count)/20 || classes["B"]+classes["S"] == 0 {
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
