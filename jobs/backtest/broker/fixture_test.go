package broker_test

import (
	"math"
	"testing"

	"millrace/jobs/backtest/broker"
)

// nan stands for an absent number.
var nan = math.NaN()

// run drives an emulator bar by bar in a test.
type run struct {
	*broker.Emulator
	t   *testing.T
	bar int
}

// account is the plain account of a test: one unit, whole ticks of one, no costs, no margin.
func account() broker.Settings {
	return broker.Settings{Tick: 1, Capital: 10_000, Qty: 1}
}

func start(t *testing.T, s broker.Settings) *run {
	t.Helper()
	r := &run{Emulator: broker.New(s), t: t}
	r.KeepTrades(true)
	return r
}

// ohlc works off one bar and then places the orders of the strategy.
func (r *run) ohlc(open, high, low, closing float64, strategy ...func()) {
	r.t.Helper()
	r.day(0, open, high, low, closing, strategy...)
}

func (r *run) day(day int32, open, high, low, closing float64, strategy ...func()) {
	r.t.Helper()
	if err := r.Bar(r.bar, day, open, high, low, closing); err != nil {
		r.t.Fatalf("bar %d: %v", r.bar, err)
	}
	for _, act := range strategy {
		act()
	}
	r.AfterScript()
	r.bar++
}

// flat works off a bar without a range.
func (r *run) flat(price float64, strategy ...func()) {
	r.t.Helper()
	r.ohlc(price, price, price, price, strategy...)
}

// row is what a test expects of a closed lot.
type row struct {
	size, entry, exit float64
	entryBar, exitBar int
}

func (r *run) wantRows(want ...row) {
	r.t.Helper()
	var got []row
	for _, c := range r.Closed() {
		got = append(got, row{c.Size, c.EntryPrice, c.ExitPrice, c.EntryBar, c.ExitBar})
	}
	if len(got) != len(want) {
		r.t.Fatalf("closed rows %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			r.t.Errorf("closed row %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func (r *run) wantPosition(size, average float64) {
	r.t.Helper()
	if r.PositionSize() != size || r.PositionAvg() != average && !(math.IsNaN(average) && math.IsNaN(r.PositionAvg())) {
		r.t.Fatalf("position %v at %v, want %v at %v", r.PositionSize(), r.PositionAvg(), size, average)
	}
}

// The ids of the tests' orders.
const (
	idA int32 = iota + 1
	idB
	idX
	idY
	group
)

func entry(id int32, d broker.Dir) broker.Entry {
	return broker.Entry{ID: id, Dir: d, Qty: nan, Limit: nan, Stop: nan}
}

func stopEntry(id int32, d broker.Dir, stop float64) broker.Entry {
	e := entry(id, d)
	e.Stop = stop
	return e
}

func limitEntry(id int32, d broker.Dir, limit float64) broker.Entry {
	e := entry(id, d)
	e.Limit = limit
	return e
}

func sized(e broker.Entry, qty float64) broker.Entry {
	e.Qty = qty
	return e
}

func exit(id, from int32) *broker.Exit {
	return &broker.Exit{
		ID: id, From: from, Qty: nan, QtyPercent: nan, Profit: nan, Limit: nan, Loss: nan, Stop: nan,
		TrailPrice: nan, TrailPoints: nan, TrailOffset: nan,
	}
}

func bracket(id, from int32, stop, limit float64) *broker.Exit {
	x := exit(id, from)
	x.Stop, x.Limit = stop, limit
	return x
}
