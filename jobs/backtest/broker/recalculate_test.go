package broker

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
)

// recalculated runs one bar of 100, 104, 99, 102: the path is 100, 99, 104, 102. place is called on the close of
// the bar before and after fills; it returns what it is to see. The result has a line for each calculation.
func recalculated(t *testing.T, e *Emulator, place func(calculation int)) []string {
	t.Helper()
	var seen []string
	n := 0
	calculate := func() error {
		seen = append(seen, fmt.Sprintf("%v at %v", e.PositionSize(), e.close))
		place(n)
		n++
		return nil
	}
	e.Recalculate(calculate)
	if err := e.Bar(0, 0, 100, 100, 100, 100); err != nil {
		t.Fatal(err)
	}
	_ = calculate()
	if err := e.Bar(1, 0, 100, 104, 99, 102); err != nil {
		t.Fatal(err)
	}
	return seen
}

func marketEntry(id int32, dir Dir) Entry {
	return Entry{ID: id, Dir: dir, Qty: 1, Limit: math.NaN(), Stop: math.NaN()}
}

// A strategy that enters on every calculation fills twice at the open, then at each extreme: four entries.
func TestRecalculationsFillAtTheOpenTwiceAndAtEachExtreme(t *testing.T) {
	e := New(Settings{Tick: 0.01, Capital: 1e6, Pyramiding: 10})
	seen := recalculated(t, e, func(n int) { e.Entry(marketEntry(int32(n+1), Long)) })
	if want := []string{"0 at 100", "1 at 100", "2 at 99", "3 at 104"}; !slices.Equal(seen, want) {
		t.Errorf("calculations see %v, want %v", seen, want)
	}
	var prices []float64
	for _, l := range e.Open() {
		prices = append(prices, l.Price)
	}
	if want := []float64{100, 100, 99, 104}; !slices.Equal(prices, want) {
		t.Errorf("entries at %v, want %v", prices, want)
	}
}

// A stop that is placed after the entry filled at the open works on the rest of the bar.
func TestAnExitPlacedByARecalculationWorksOnTheRestOfTheBar(t *testing.T) {
	e := New(Settings{Tick: 0.01, Capital: 1e6})
	na := math.NaN()
	recalculated(t, e, func(n int) {
		switch n {
		case 0:
			e.Entry(marketEntry(1, Long))
		case 1:
			e.Exit(&Exit{ID: 2, From: 1, Qty: na, QtyPercent: na, Profit: na, Limit: 103, Loss: na, Stop: 99.5, TrailPrice: na, TrailPoints: na, TrailOffset: na})
		}
	})
	// The path falls to 99 first.
	if e.PositionSize() != 0 || e.ClosedCount() != 1 || e.NetProfit() != -0.5 {
		t.Errorf("position %v, %d closed, profit %v, want a stop at 99.5", e.PositionSize(), e.ClosedCount(), e.NetProfit())
	}
}

func TestABarWithoutAFillIsNotCalculatedAgain(t *testing.T) {
	e := New(Settings{Tick: 0.01, Capital: 1e6})
	seen := recalculated(t, e, func(int) { e.Entry(Entry{ID: 1, Dir: Long, Qty: 1, Limit: 50, Stop: math.NaN()}) })
	if len(seen) != 1 {
		t.Errorf("calculations: %v", seen)
	}
}

func TestAnErrorOfARecalculationEndsTheRun(t *testing.T) {
	e := New(Settings{Tick: 0.01, Capital: 1e6})
	broken := errors.New("broken")
	e.Recalculate(func() error { return broken })
	_ = e.Bar(0, 0, 100, 100, 100, 100)
	e.Entry(marketEntry(1, Long))
	if err := e.Bar(1, 0, 100, 104, 99, 102); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if err := e.Bar(2, 0, 100, 104, 99, 102); !errors.Is(err, broken) {
		t.Errorf("the next bar gives %v", err)
	}
}
