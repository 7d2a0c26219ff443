package broker_test

import (
	"errors"
	"math"
	"testing"

	"millrace/jobs/backtest/broker"
)

func TestDefaultQuantities(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    broker.QtyType
		qty     float64
		fee     float64
		feeType broker.FeeType
		want    float64
	}{
		{"fixed", broker.Fixed, 2.5, 0, broker.FeePercent, 2.5},
		{"cash at the signal's close", broker.Cash, 1000, 10, broker.FeePercent, 8},                                 // 1000/125
		{"percent of equity", broker.PercentOfEquity, 50, 0, broker.FeePercent, 40},                                 // 5000/125
		{"percent of equity less the fee of an order", broker.PercentOfEquity, 50, 100, broker.FeeCashPerOrder, 39}, // 4900/125 = 39.2
		{"percent of equity with the fee of its value", broker.PercentOfEquity, 50, 1, broker.FeePercent, 39.5},     // 5000/126.25 = 39.6
		{"percent of equity with the fee of a unit", broker.PercentOfEquity, 50, 3, broker.FeeCashPerContract, 39},  // 5000/128 = 39.06
	} {
		t.Run(c.name, func(t *testing.T) {
			s := account()
			s.QtyType, s.Qty, s.LotStep = c.kind, c.qty, 0.5
			s.FeeType, s.Fee = c.feeType, c.fee
			r := start(t, s)
			r.flat(125, func() { r.Entry(entry(idA, broker.Long)) })
			r.flat(200)
			if r.PositionSize() != c.want {
				t.Errorf("size %v, want %v", r.PositionSize(), c.want)
			}
		})
	}
}

func TestPricedOrderOfTheDefaultSizeIsSizedAtItsFill(t *testing.T) {
	s := account()
	s.QtyType, s.Qty = broker.PercentOfEquity, 100
	r := start(t, s)
	r.flat(100, func() { r.Entry(stopEntry(idA, broker.Long, 125)) })
	r.ohlc(100, 130, 100, 125)
	r.wantPosition(80, 125)
}

func TestQuantitiesRoundDownToTheLotStep(t *testing.T) {
	s := account()
	s.LotStep = 0.1
	for _, c := range []struct{ qty, want float64 }{{0.37, 0.3}, {0.3, 0.3}, {0.1 + 0.2, 0.3}, {0.05, 0}, {-1, 0}, {math.Inf(1), 0}} {
		r := start(t, s)
		r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), c.qty)) })
		r.flat(100)
		if r.PositionSize() != c.want {
			t.Errorf("quantity %v opened %v, want %v", c.qty, r.PositionSize(), c.want)
		}
	}
}

func TestEquityIsCapitalClosedAndOpenProfit(t *testing.T) {
	s := account()
	s.PointValue = 10
	r := start(t, s)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Short), 2)) })
	r.ohlc(100, 102, 90, 95)
	if r.OpenProfit() != 100 || r.Equity() != 10_100 || r.NetProfit() != 0 {
		t.Errorf("open %v, equity %v, net %v; want 100, 10100, 0", r.OpenProfit(), r.Equity(), r.NetProfit())
	}
	r.flat(95, func() { r.CloseAll(0, false) })
	r.flat(105)
	if r.NetProfit() != -100 || r.Equity() != 9_900 || r.GrossLoss() != 100 || r.LossTrades() != 1 {
		t.Errorf("net %v, equity %v, gross loss %v, losing %v", r.NetProfit(), r.Equity(), r.GrossLoss(), r.LossTrades())
	}
	c := r.Closed()[0]
	// Best at 90: 2·10·10; worst at the exit of 105: 2·5·10.
	if c.MaxRunup != 200 || c.MaxDrawdown != 100 || c.Profit != -100 {
		t.Errorf("run-up %v, drawdown %v, profit %v; want 200, 100, -100", c.MaxRunup, c.MaxDrawdown, c.Profit)
	}
	// Equity inside bars: 10,000, low side first 10,200 at 90, then 9,900.
	if r.MaxDrawdown() != 300 {
		t.Errorf("drawdown %v, want 300", r.MaxDrawdown())
	}
}

func TestCommissions(t *testing.T) {
	for _, c := range []struct {
		name string
		kind broker.FeeType
		fee  float64
		rows []float64 // fees of the two rows
	}{
		// 4 units: in at 100, 1 out at 110, then 3 out at 120 in a reversal to 1 short.
		{"percent", broker.FeePercent, 1, []float64{1 + 1.1, 3 + 3.6}},
		{"per contract", broker.FeeCashPerContract, 2, []float64{4, 12}},
		{"per order, split by quantity", broker.FeeCashPerOrder, 8, []float64{2 + 8, 6 + 8*3/4.0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := account()
			s.FeeType, s.Fee = c.kind, c.fee
			r := long(t, s, 4)
			r.flat(110, func() { r.Close(idA, 0, 1, nan, true) })
			r.flat(120, func() { r.Entry(entry(idB, broker.Short)) })
			r.flat(120)
			for i, row := range r.Closed() {
				if math.Abs(row.Fee-c.rows[i]) > 1e-9 {
					t.Errorf("row %d pays %v, want %v", i, row.Fee, c.rows[i])
				}
				if want := row.Size*(row.ExitPrice-row.EntryPrice) - row.Fee; math.Abs(row.Profit-want) > 1e-9 {
					t.Errorf("row %d earns %v, want %v", i, row.Profit, want)
				}
			}
			if lot := r.Open()[0]; c.kind == broker.FeeCashPerOrder && lot.Fee != 2 {
				t.Errorf("the new lot pays %v, want 2", lot.Fee)
			}
		})
	}
}

func TestEntryBeyondItsMarginIsDropped(t *testing.T) {
	s := account()
	s.MarginLong, s.MarginShort = 100, 100
	r := start(t, s)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 100)) })
	r.flat(101) // 100·101 > 10,000
	r.wantPosition(0, nan)

	// A reversal that exceeds it is dropped as a whole, and so is a close called after it on the same bar.
	r = start(t, s)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 50)) })
	r.flat(100, func() {
		r.Entry(sized(entry(idB, broker.Short), 101))
		r.Close(idA, 0, nan, nan, false)
	})
	r.flat(100)
	r.wantPosition(50, 100)
}

func TestReversalOfAnOlderPositionNeedsMarginForItsNewSideOnly(t *testing.T) {
	s := account()
	s.MarginLong, s.MarginShort = 100, 100
	r := start(t, s)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 90)) })
	r.flat(100, func() { r.Entry(sized(entry(idB, broker.Short), 90)) })
	r.flat(100)
	r.wantPosition(-90, 100)
}

func TestOppositeEntriesOfOneBarNeedMarginForBoth(t *testing.T) {
	s := account()
	s.MarginLong, s.MarginShort = 100, 100
	for _, c := range []struct{ size, want float64 }{{45, -45}, {55, 55}} {
		r := start(t, s)
		r.flat(100, func() {
			r.Entry(sized(entry(idA, broker.Long), c.size))
			r.Entry(sized(entry(idB, broker.Short), c.size))
		})
		r.flat(100)
		r.wantPosition(c.want, 100)
	}
}

func TestEntryBehindACloseOfItsBarFillsAndIsTrimmed(t *testing.T) {
	// Closed at 100 with 10,000; 101 units at 100 need 10,100: short of 1 unit, times 4.
	s := account()
	s.MarginLong, s.MarginShort, s.LotStep = 100, 100, 1
	r := start(t, s)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 50)) })
	r.flat(100, func() {
		r.Close(idA, 0, nan, nan, false)
		r.Entry(sized(entry(idB, broker.Short), 101))
	})
	r.flat(100)
	r.wantRows(row{50, 100, 100, 1, 2}, row{-4, 100, 100, 2, 2})
	r.wantPosition(-97, 100)
}

func TestSecondEntryOfOneBarFillsAndIsTrimmed(t *testing.T) {
	s := account()
	s.MarginLong, s.LotStep, s.Pyramiding = 100, 1, 2
	r := start(t, s)
	r.flat(100, func() {
		r.Entry(sized(entry(idA, broker.Long), 60))
		r.Entry(sized(entry(idB, broker.Long), 41))
	})
	r.flat(100)
	r.wantPosition(97, 100)

	// An entry that exceeds it together with older lots is dropped.
	r = start(t, s)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 60)) })
	r.flat(100, func() { r.Entry(sized(entry(idB, broker.Long), 41)) })
	r.flat(100)
	r.wantPosition(60, 100)
}

func TestShortfallBelowALotClosesOneUnit(t *testing.T) {
	// Short of 3.2 at 112.52: 0.03 units, less than the lot of 0.1.
	s := account()
	s.MarginShort, s.LotStep, s.Tick = 100, 0.1, 0.01
	r := start(t, s)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Short), 80)) })
	r.flat(100)
	r.ohlc(100, 112.52, 100, 100) // equity 8,998.4, need 9,001.6
	r.wantRows(row{-1, 100, 112.52, 1, 2})
}

func TestMarginCallClosesFourTimesTheShortfall(t *testing.T) {
	// Short 80 at 100 with 10,000 at margin 100 %: at 112 equity is 9,040 and the need 8,960; at 114
	// equity 8,880, need 9,120: short of 240, 2.1 units, floored to 2, times 4.
	s := account()
	s.MarginShort, s.LotStep = 100, 1
	r := start(t, s)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Short), 80)) })
	r.flat(100)
	r.ohlc(100, 112, 100, 100)
	r.wantPosition(-80, 100)
	r.ohlc(100, 114, 100, 100)
	r.wantRows(row{-8, 100, 114, 1, 3})
	if c := r.Closed()[0]; c.Reason != broker.ByMargin {
		t.Errorf("reason %v", c.Reason)
	}
}

func TestBoundsEndTheRunWithAnError(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() {
		for i := range broker.MaxOrders + 1 {
			r.Order(stopEntry(int32(i+1), broker.Long, 200))
		}
	})
	if err := r.Bar(1, 0, 100, 100, 100, 100); !errors.Is(err, broker.ErrOrders) {
		t.Errorf("error %v, want %v", err, broker.ErrOrders)
	}

	r = start(t, account())
	for bar := range broker.MaxLots + 2 {
		if err := r.Bar(bar, 0, 100, 100, 100, 100); err != nil {
			if !errors.Is(err, broker.ErrLots) || bar != broker.MaxLots+1 {
				t.Errorf("bar %d: %v", bar, err)
			}
			return
		}
		r.Order(entry(idA, broker.Long))
	}
	t.Error("no error with more lots than allowed")
}

func TestResetStartsAfresh(t *testing.T) {
	s := account()
	r := start(t, s)
	play := func() []broker.Trade {
		r.bar = 0
		r.flat(100, func() { r.Entry(entry(idA, broker.Long)); r.Exit(trail(2, 1)) })
		r.ohlc(100, 106, 99, 103)
		r.flat(103, func() { r.Entry(stopEntry(idB, broker.Short, 102)) })
		r.ohlc(103, 104, 100, 101)
		return append([]broker.Trade(nil), r.Closed()...)
	}
	first := play()
	r.Reset(s)
	second := play()
	if len(first) == 0 || len(first) != len(second) || first[0] != second[0] || r.NetProfit() != first[0].Profit {
		t.Errorf("first run %v, second %v", first, second)
	}
}
