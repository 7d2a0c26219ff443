package broker_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"millrace/jobs/backtest/broker"
)

// market is a random walk on a grid of whole ticks.
type market struct{ open, high, low, close []float64 }

func walk(rng *rand.Rand, n int) market {
	var m market
	price := 1000.0
	for range n {
		o := price + float64(rng.IntN(5)-2)
		c := o + float64(rng.IntN(21)-10)
		h, l := math.Max(o, c)+float64(rng.IntN(8)), math.Min(o, c)-float64(rng.IntN(8))
		m.open, m.high, m.low, m.close = append(m.open, o), append(m.high, h), append(m.low, l), append(m.close, c)
		price = c
	}
	return m
}

// act places random orders around the close. Mirrored, every direction and level is reflected at 1000.
func act(rng *rand.Rand, e *broker.Emulator, price float64, mirrored bool) {
	side, level := 1.0, func(p float64) float64 { return p }
	if mirrored {
		side, level = -1, func(p float64) float64 { return 2000 - p }
	}
	d := float64(1 - 2*rng.IntN(2))
	away, qty, id := float64(1+rng.IntN(12)), float64(1+rng.IntN(4)), int32(1+rng.IntN(3))
	n := broker.Entry{ID: id, Dir: broker.Dir(d * side), Qty: qty, Limit: nan, Stop: nan}
	switch rng.IntN(9) {
	case 0:
		e.Entry(n)
	case 1:
		n.Stop = level(price + d*away)
		e.Entry(n)
	case 2:
		n.Limit = level(price - d*away)
		e.Entry(n)
	case 3:
		n.Stop, n.OCA, n.OCAType = level(price+d*away), group, broker.OCAType(rng.IntN(3))
		e.Order(n)
	case 4:
		x := exit(idX, id)
		x.Profit, x.Loss = away, away+2
		e.Exit(x)
	case 5:
		x := exit(idY, 0)
		x.TrailPoints, x.TrailOffset, x.QtyPercent = away, float64(rng.IntN(4)), 50
		e.Exit(x)
	case 6:
		e.Close(id, 0, nan, nan, rng.IntN(2) == 0)
	case 7:
		e.Cancel(id)
	}
}

func settings(rng *rand.Rand) broker.Settings {
	s := account()
	s.Pyramiding, s.LotStep = 1+rng.IntN(3), 0.5
	s.ProcessOnClose, s.CloseAny, s.Nearer = rng.IntN(2) == 0, rng.IntN(2) == 0, rng.IntN(2) == 0
	s.FeeType, s.Fee, s.SlippageTicks = broker.FeeType(rng.IntN(3)), float64(rng.IntN(2)), rng.IntN(3)
	return s
}

func TestMoneyAndPositionAreConserved(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s, m := settings(rng), walk(rng, 300)
		e := broker.New(s)
		e.KeepTrades(true)
		for i := range m.open {
			if err := e.Bar(i, 0, m.open[i], m.high[i], m.low[i], m.close[i]); err != nil {
				t.Fatal(err)
			}
			for range rng.IntN(3) {
				act(rng, e, m.close[i], false)
			}
			e.AfterScript()
			checkBooks(t, e, s, seed, i, m.close[i])
		}
	}
}

// checkBooks compares the sums that the emulator keeps with its lots and rows.
func checkBooks(t *testing.T, e *broker.Emulator, s broker.Settings, seed uint64, bar int, price float64) {
	t.Helper()
	size, open, fees := 0.0, 0.0, 0.0
	for _, l := range e.Open() {
		size += l.Size
		open += l.Size * (price - l.Price)
		fees += l.Fee
	}
	net, wins := 0.0, 0.0
	for _, c := range e.Closed() {
		if profit := c.Size*(c.ExitPrice-c.EntryPrice) - c.Fee; math.Abs(profit-c.Profit) > 1e-6 {
			t.Fatalf("seed %d bar %d: row %+v earns %v", seed, bar, c, profit)
		}
		if c.MaxRunup < 0 || c.MaxDrawdown < 0 || c.ExitBar < c.EntryBar {
			t.Fatalf("seed %d bar %d: row %+v", seed, bar, c)
		}
		net += c.Profit
		wins += math.Max(0, c.Profit)
	}
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-6 {
			t.Fatalf("seed %d bar %d: %s is %v, want %v", seed, bar, what, got, want)
		}
	}
	near("position size", e.PositionSize(), size)
	near("net profit", e.NetProfit(), net)
	near("gross profit", e.GrossProfit(), wins)
	near("gross difference", e.GrossProfit()-e.GrossLoss(), net)
	near("equity", e.Equity(), s.Capital+net+open)
	if n := e.WinTrades() + e.LossTrades() + e.EvenTrades(); n != len(e.Closed()) || n != e.ClosedCount() {
		t.Fatalf("seed %d bar %d: %d trades counted, %d rows", seed, bar, n, len(e.Closed()))
	}
	for _, l := range e.Open() {
		if l.Size*size <= 0 {
			t.Fatalf("seed %d bar %d: a lot of %v in a position of %v", seed, bar, l.Size, size)
		}
	}
}

func TestMirroredPricesGiveMirroredTrades(t *testing.T) {
	for seed := range uint64(300) {
		trades := func(mirrored bool) []broker.Trade {
			rng := rand.New(rand.NewPCG(seed, 2))
			s, m := settings(rng), walk(rng, 200)
			s.Fee = 0
			e := broker.New(s)
			e.KeepTrades(true)
			for i := range m.open {
				o, h, l, c := m.open[i], m.high[i], m.low[i], m.close[i]
				// A tie of the distances is not symmetric: it goes to the low.
				if h-o == o-l {
					h++
				}
				if mirrored {
					o, h, l, c = 2000-o, 2000-l, 2000-h, 2000-c
				}
				if err := e.Bar(i, 0, o, h, l, c); err != nil {
					t.Fatal(err)
				}
				for range rng.IntN(3) {
					act(rng, e, m.close[i], mirrored)
				}
				e.AfterScript()
			}
			return e.Closed()
		}
		plain, mirror := trades(false), trades(true)
		if len(plain) != len(mirror) {
			t.Fatalf("seed %d: %d trades, mirrored %d", seed, len(plain), len(mirror))
		}
		for i, p := range plain {
			q := mirror[i]
			if p.Size != -q.Size || p.EntryPrice != 2000-q.EntryPrice || p.ExitPrice != 2000-q.ExitPrice || p.ExitBar != q.ExitBar || math.Abs(p.Profit-q.Profit) > 1e-6 {
				t.Fatalf("seed %d: trade %d is %+v, mirrored %+v", seed, i, p, q)
			}
		}
	}
}

func TestRunAllocatesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 3))
	s, m := settings(rng), walk(rng, 2000)
	e := broker.New(s)
	e.KeepTrades(true)
	play := func() {
		rng := rand.New(rand.NewPCG(4, 5))
		e.Reset(s)
		for i := range m.open {
			_ = e.Bar(i, 0, m.open[i], m.high[i], m.low[i], m.close[i])
			act(rng, e, m.close[i], false)
			e.AfterScript()
		}
	}
	play()
	// The generator of random numbers is one allocation of the test itself.
	if n := testing.AllocsPerRun(5, play); n > 2 {
		t.Errorf("%v allocations in a run", n)
	}
}

func BenchmarkBars(b *testing.B) {
	for _, c := range []struct {
		name string
		act  func(e *broker.Emulator, i int, price float64)
	}{
		{"market reversals every 20 bars", func(e *broker.Emulator, i int, _ float64) {
			if i%20 == 0 {
				e.Entry(broker.Entry{ID: idA, Dir: broker.Dir(1 - 2*(i/20%2)), Qty: 1, Limit: nan, Stop: nan})
			}
		}},
		{"bracket called every bar", func(e *broker.Emulator, i int, price float64) {
			if i%20 == 0 {
				e.Entry(broker.Entry{ID: idA, Dir: broker.Dir(1 - 2*(i/20%2)), Qty: 1, Limit: nan, Stop: nan})
			}
			if p := e.PositionSize(); p != 0 {
				avg := e.PositionAvg()
				e.Exit(bracket(idX, idA, avg-20*p, avg+20*p))
			}
		}},
		{"trail", func(e *broker.Emulator, i int, price float64) {
			if i%20 == 0 {
				e.Entry(broker.Entry{ID: idA, Dir: broker.Dir(1 - 2*(i/20%2)), Qty: 1, Limit: nan, Stop: nan})
				e.Exit(trail(10, 5))
			}
		}},
		{"stops both sides replaced every bar", func(e *broker.Emulator, i int, price float64) {
			e.Entry(stopEntry(idA, broker.Long, price+15))
			e.Entry(stopEntry(idB, broker.Short, price-15))
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := walk(rand.New(rand.NewPCG(1, 1)), 10_000)
			s := account()
			e := broker.New(s)
			for b.Loop() {
				e.Reset(s)
				for i := range m.open {
					_ = e.Bar(i, 0, m.open[i], m.high[i], m.low[i], m.close[i])
					c.act(e, i, m.close[i])
					e.AfterScript()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/bar")
		})
	}
}
