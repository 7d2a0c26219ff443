package broker_test

import (
	"testing"

	"millrace/jobs/backtest/broker"
)

func TestMarketOrderFillsAtNextOpen(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
	r.wantPosition(0, nan)
	r.ohlc(103, 110, 90, 105)
	r.wantPosition(1, 103)
	r.flat(106, func() { r.Close(idA, 0, nan, nan, false) })
	r.ohlc(108, 108, 107, 107)
	r.wantRows(row{1, 103, 108, 1, 3})
}

func TestStopAndLimitLevelsMoveToTheGrid(t *testing.T) {
	// Levels between ticks: a buy stop and a sell limit move up, a sell stop and a buy limit down, and a
	// level within 1e-4 of a tick stays on it.
	for _, c := range []struct {
		name string
		e    broker.Entry
		want float64
	}{
		{"buy stop", stopEntry(idA, broker.Long, 105.2), 106},
		{"sell stop", stopEntry(idA, broker.Short, 94.8), 94},
		{"buy limit", limitEntry(idA, broker.Long, 94.8), 94},
		{"sell limit", limitEntry(idA, broker.Short, 105.2), 106},
		{"buy stop on the grid", stopEntry(idA, broker.Long, 105.00005), 105},
		{"sell stop on the grid", stopEntry(idA, broker.Short, 94.99995), 95},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, account())
			r.flat(100, func() { r.Entry(c.e) })
			r.ohlc(100, 110, 90, 100)
			r.wantPosition(float64(c.e.Dir), c.want)
		})
	}
}

func TestEqualityTouchesALevel(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Entry(stopEntry(idA, broker.Long, 105)) })
	r.ohlc(100, 104, 99, 100)
	r.wantPosition(0, nan)
	r.ohlc(100, 105, 99, 100)
	r.wantPosition(1, 105)
}

func TestGapFillsStopAtOpenAndLimitAtBetterOpen(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Entry(stopEntry(idA, broker.Long, 105)) })
	r.ohlc(108, 109, 107, 108)
	r.wantPosition(1, 108)

	r = start(t, account())
	r.flat(100, func() { r.Entry(limitEntry(idA, broker.Long, 95)) })
	r.ohlc(92, 93, 91, 92)
	r.wantPosition(1, 92)
}

func TestPathVisitsTheNearerExtremeFirst(t *testing.T) {
	// Both stops are hit. High 103 is nearer to the open than low 95: the buy stop fills first, the
	// sell stop then only nets it, as it was placed flat.
	r := start(t, account())
	both := func() {
		r.Entry(stopEntry(idA, broker.Long, 102))
		r.Entry(stopEntry(idB, broker.Short, 98))
	}
	r.flat(100, both)
	r.ohlc(100, 103, 95, 99)
	r.wantRows(row{1, 102, 98, 1, 1})
	r.wantPosition(0, nan)

	// A tie of the distances goes to the low first.
	r = start(t, account())
	r.flat(100, both)
	r.ohlc(100, 105, 95, 99)
	r.wantRows(row{-1, 98, 102, 1, 1})
}

func TestEqualDistancesAreDecidedByFloatingPointDifferences(t *testing.T) {
	s := account()
	s.Tick = 0.1
	// 0.4 to either side in decimals; 101.1 − 100.7 is below 100.7 − 100.3 in float64, 100.7 − 100.3 above 100.3 − 99.9.
	for _, c := range []struct{ open, high, low, first float64 }{{100.7, 101.1, 100.3, 101}, {100.3, 100.7, 99.9, 100}} {
		r := start(t, s)
		r.flat(c.open, func() {
			r.Entry(stopEntry(idA, broker.Long, c.high-0.1))
			r.Entry(stopEntry(idB, broker.Short, c.low+0.1))
		})
		r.ohlc(c.open, c.high, c.low, c.open)
		if got := r.Closed()[0].EntryPrice; got != c.first {
			t.Errorf("open %v, high %v, low %v: the first fill is at %v, want %v", c.open, c.high, c.low, got, c.first)
		}
	}
}

func TestBuysFillBeforeSellsAtOnePrice(t *testing.T) {
	for _, first := range []broker.Dir{broker.Long, broker.Short} {
		r := start(t, account())
		r.flat(100, func() {
			r.Entry(stopEntry(idA, first, 100))
			r.Entry(stopEntry(idB, -first, 100))
		})
		r.flat(100)
		r.wantRows(row{1, 100, 100, 1, 1})
	}
}

func TestStopLimitBecomesLimitWhereThePathTouchesItsStop(t *testing.T) {
	// The low of 95 comes before the stop at 104 is touched, so the limit of 98 waits for the price
	// after it, which comes back to 98 only at the end of the next bar.
	r := start(t, account())
	e := stopEntry(idA, broker.Long, 104)
	e.Limit = 98
	r.flat(100, func() { r.Entry(e) })
	r.ohlc(100, 106, 95, 103)
	r.wantPosition(0, nan)
	r.ohlc(103, 107, 97, 99)
	r.wantPosition(1, 98)

	// With the limit beyond the stop it fills where the stop is touched.
	r = start(t, account())
	e.Limit = 105
	r.flat(100, func() { r.Entry(e) })
	r.ohlc(100, 106, 95, 103)
	r.wantPosition(1, 104)
}

func TestSameIDReplacesThePendingEntry(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Entry(stopEntry(idA, broker.Long, 103)) })
	r.flat(100, func() { r.Entry(stopEntry(idA, broker.Long, 106)) })
	r.ohlc(100, 107, 100, 100)
	r.wantPosition(1, 106)
}

func TestEntryPlacedOppositeReverses(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 3)) })
	r.flat(100, func() { r.Entry(sized(entry(idB, broker.Short), 2)) })
	r.flat(104)
	r.wantRows(row{3, 100, 104, 1, 2})
	r.wantPosition(-2, 104)
}

func TestEntryPlacedOppositeKeepsItsOwnSizeWhenACloseWentFirst(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 3)) })
	r.flat(100, func() {
		r.Close(idA, 0, nan, nan, false)
		r.Entry(sized(entry(idB, broker.Short), 2))
	})
	r.flat(104)
	r.wantRows(row{3, 100, 104, 1, 2})
	r.wantPosition(-2, 104)
}

func TestMarketEntryReversesWhatAnEntryOfItsBarOpened(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() {
		r.Entry(sized(entry(idA, broker.Long), 3))
		r.Entry(sized(entry(idB, broker.Short), 2))
	})
	r.flat(104)
	r.wantRows(row{3, 104, 104, 1, 1})
	r.wantPosition(-2, 104)
}

func TestDeferredFlipOpensTheOldSizeToo(t *testing.T) {
	// The stop is placed against 3 units; they are closed on the next bar, and when the stop fills later it
	// opens 2 and the 3.
	r := start(t, account())
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 3)) })
	r.flat(100, func() { r.Entry(sized(stopEntry(idB, broker.Short, 90), 2)) })
	r.flat(100, func() { r.Close(idA, 0, nan, nan, false) })
	r.flat(100)
	r.wantPosition(0, nan)
	r.flat(90)
	r.wantPosition(-5, 90)

	// What a close of the same bar asks for before the entry does not count.
	r = start(t, account())
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 3)) })
	r.flat(100, func() {
		r.Close(idA, 0, nan, nan, false)
		r.Entry(sized(stopEntry(idB, broker.Short, 90), 2))
	})
	r.flat(100)
	r.flat(90)
	r.wantPosition(-2, 90)
}

func TestPyramidingIsCheckedAtTheCallAndForMarketOrdersAtTheFill(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() {
		r.Entry(entry(idA, broker.Long))
		r.Entry(entry(idB, broker.Long))
	})
	r.flat(101, func() { r.Entry(entry(idX, broker.Long)) })
	r.flat(102)
	r.wantPosition(1, 101)

	// A priced entry is not placed when the direction has all its entries.
	r = long(t, account(), 1, func(r *run) { r.Entry(stopEntry(idB, broker.Long, 105)) })
	r.ohlc(100, 110, 100, 110)
	r.wantPosition(1, 100)

	// Two priced entries placed flat may both fill.
	r = start(t, account())
	r.flat(100, func() {
		r.Entry(stopEntry(idA, broker.Long, 102))
		r.Entry(stopEntry(idB, broker.Long, 104))
	})
	r.ohlc(100, 105, 100, 105)
	r.wantPosition(2, 103)

	// strategy settings that allow two entries.
	s := account()
	s.Pyramiding = 2
	r = start(t, s)
	r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
	r.flat(101, func() { r.Entry(entry(idB, broker.Long)) })
	r.flat(103, func() { r.Entry(entry(idX, broker.Long)) })
	r.flat(105)
	r.wantPosition(2, 102)
}

func TestOrderNetsWithoutPyramidingOrReversal(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Order(sized(entry(idA, broker.Long), 3)) })
	r.flat(100, func() { r.Order(sized(entry(idB, broker.Long), 1)) })
	r.flat(102, func() { r.Order(sized(entry(idX, broker.Short), 2)) })
	r.flat(104)
	r.wantRows(row{2, 100, 104, 1, 3})
	r.wantPosition(2, 101)
	r.flat(104, func() { r.Order(sized(entry(idX, broker.Short), 5)) })
	r.flat(104)
	r.wantPosition(-3, 104)
}

func TestCancelRemovesOrders(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() {
		r.Entry(stopEntry(idA, broker.Long, 102))
		r.Entry(stopEntry(idB, broker.Long, 103))
	})
	r.flat(100, func() { r.Cancel(idA) })
	r.ohlc(100, 105, 100, 105)
	r.wantPosition(1, 103)

	r.flat(100, func() {
		r.Close(idB, 0, nan, nan, false)
		r.CancelAll()
	})
	r.flat(100)
	r.wantPosition(1, 103)
}

func TestGroupCancelsOrReducesTheOthers(t *testing.T) {
	grouped := func(e broker.Entry, k broker.OCAType) broker.Entry {
		e.OCA, e.OCAType = group, k
		return e
	}
	r := start(t, account())
	r.flat(100, func() {
		r.Order(grouped(sized(stopEntry(idA, broker.Long, 102), 3), broker.OCACancel))
		r.Order(grouped(sized(stopEntry(idB, broker.Long, 103), 3), broker.OCACancel))
	})
	r.ohlc(100, 105, 100, 105)
	r.wantPosition(3, 102)

	r = start(t, account())
	r.flat(100, func() {
		r.Order(grouped(sized(stopEntry(idA, broker.Long, 102), 2), broker.OCAReduce))
		r.Order(grouped(sized(stopEntry(idB, broker.Long, 104), 3), broker.OCAReduce))
	})
	r.ohlc(100, 105, 100, 105)
	r.wantPosition(3, (2*102+104)/3.0)
}

func TestLimitNeedsTheAssumedTicksBeyond(t *testing.T) {
	s := account()
	s.LimitTicks = 2
	r := start(t, s)
	r.flat(100, func() { r.Entry(limitEntry(idA, broker.Long, 95)) })
	r.ohlc(100, 101, 94, 100)
	r.wantPosition(0, nan)
	r.ohlc(100, 101, 93, 100)
	r.wantPosition(1, 95)
}

func TestSlippageMovesMarketAndStopFillsOnly(t *testing.T) {
	s := account()
	s.SlippageTicks = 2
	r := start(t, s)
	r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
	r.flat(100, func() { r.Exit(bracket(idX, idA, 90, 120)) })
	r.wantPosition(1, 102)
	r.ohlc(100, 100, 89, 95)
	r.wantRows(row{1, 102, 88, 1, 2})

	r = start(t, s)
	r.flat(100, func() { r.Entry(limitEntry(idA, broker.Short, 105)) })
	r.ohlc(100, 106, 99, 100, func() { r.Exit(bracket(idX, idA, nan, 95)) })
	r.wantPosition(-1, 105)
	r.ohlc(100, 100, 94, 95)
	r.wantRows(row{-1, 105, 95, 1, 2})
}
