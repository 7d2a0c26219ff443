package broker_test

import (
	"math/rand/v2"
	"testing"

	"millrace/jobs/backtest/broker"
)

// TestCoastingChangesNothing plays random orders on every fifth bar, once bar by bar and once coasting between.
func TestCoastingChangesNothing(t *testing.T) {
	coasted := 0
	for seed := range uint64(400) {
		play := func(coast, lean bool) (*broker.Emulator, []float64) {
			rng := rand.New(rand.NewPCG(seed, 9))
			s, m := settings(rng), walk(rng, 400)
			if seed%2 == 0 {
				s.MarginLong, s.MarginShort, s.Capital = 100, 100, 3000
			}
			e := broker.New(s)
			e.KeepTrades(true)
			e.KeepExtremes(!lean)
			prices := broker.NewSeries(m.open, m.high, m.low, m.close)
			series := &prices
			equity := make([]float64, len(m.open))
			for i := 0; i < len(m.open); i++ {
				if next := (i + 4) / 5 * 5; coast && next > i {
					j := e.Coast(series, i, min(next, len(m.open)), equity[i:])
					coasted += j - i
					if i = j; i == len(m.open) {
						break
					}
				}
				if err := e.Bar(i, 0, m.open[i], m.high[i], m.low[i], m.close[i]); err != nil {
					t.Fatal(err)
				}
				if i%5 == 0 {
					act(rng, e, m.close[i], false)
					act(rng, e, m.close[i], false)
				}
				e.AfterScript()
				equity[i] = e.Equity()
			}
			return e, equity
		}
		plain, equity := play(false, false)
		coasting, other := play(true, false)
		if len(plain.Closed()) != len(coasting.Closed()) {
			t.Fatalf("seed %d: %d trades, coasting %d", seed, len(plain.Closed()), len(coasting.Closed()))
		}
		for i, c := range plain.Closed() {
			if c != coasting.Closed()[i] {
				t.Fatalf("seed %d: trade %d is %+v, coasting %+v", seed, i, c, coasting.Closed()[i])
			}
		}
		for i := range equity {
			if equity[i] != other[i] {
				t.Fatalf("seed %d: equity of bar %d is %v, coasting %v", seed, i, equity[i], other[i])
			}
		}
		if plain.MaxDrawdown() != coasting.MaxDrawdown() || plain.MaxRunup() != coasting.MaxRunup() || plain.Equity() != coasting.Equity() {
			t.Fatalf("seed %d: drawdown %v, run-up %v, equity %v; coasting %v, %v, %v", seed, plain.MaxDrawdown(), plain.MaxRunup(), plain.Equity(), coasting.MaxDrawdown(), coasting.MaxRunup(), coasting.Equity())
		}
		leanly(t, seed, plain, equity, func() (*broker.Emulator, []float64) { return play(true, true) })
	}
	if coasted < 20_000 {
		t.Errorf("only %d bars were coasted over", coasted)
	}
}

// leanly compares a run that does not follow extremes: all else is the same.
func leanly(t *testing.T, seed uint64, plain *broker.Emulator, equity []float64, play func() (*broker.Emulator, []float64)) {
	t.Helper()
	lean, other := play()
	if len(plain.Closed()) != len(lean.Closed()) {
		t.Fatalf("seed %d: %d trades, without extremes %d", seed, len(plain.Closed()), len(lean.Closed()))
	}
	for i, c := range plain.Closed() {
		c.MaxRunup, c.MaxDrawdown = 0, 0
		if c != lean.Closed()[i] {
			t.Fatalf("seed %d: trade %d is %+v, without extremes %+v", seed, i, c, lean.Closed()[i])
		}
	}
	for i := range equity {
		if equity[i] != other[i] {
			t.Fatalf("seed %d: equity of bar %d is %v, without extremes %v", seed, i, equity[i], other[i])
		}
	}
}

func BenchmarkCoast(b *testing.B) {
	m := walk(rand.New(rand.NewPCG(1, 1)), 10_000)
	series := &broker.Series{Open: m.open, High: m.high, Low: m.low, Close: m.close}
	equity := make([]float64, len(m.open))
	s := account()
	e := broker.New(s)
	for b.Loop() {
		e.Reset(s)
		for i := 0; i < len(m.open); i++ {
			if i = e.Coast(series, i, min(i/20*20+20, len(m.open)), equity[i:]); i == len(m.open) {
				break
			}
			_ = e.Bar(i, 0, m.open[i], m.high[i], m.low[i], m.close[i])
			if i%20 == 0 {
				e.Entry(broker.Entry{ID: idA, Dir: broker.Dir(1 - 2*(i/20%2)), Qty: 1, Limit: nan, Stop: nan})
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/bar")
}
