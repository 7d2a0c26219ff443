package broker_test

import (
	"testing"

	"millrace/jobs/backtest/broker"
)

// long opens size units at 100 and leaves the run on bar 1.
func long(t *testing.T, s broker.Settings, size float64, strategy ...func(*run)) *run {
	r := start(t, s)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), size)) })
	r.flat(100, func() {
		for _, act := range strategy {
			act(r)
		}
	})
	return r
}

func TestExitGivenWithItsEntryActsOnTheEntryBar(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() {
		r.Entry(stopEntry(idA, broker.Long, 103))
		r.Exit(bracket(idX, idA, 101, nan))
	})
	// Open 100, high 105 first: entry at 103, then down through 101.
	r.ohlc(100, 105, 90, 95)
	r.wantRows(row{1, 103, 101, 1, 1})
}

func TestExitLevelsBehindTheEntryOnThePathAreNotHit(t *testing.T) {
	// Low 99 comes before the entry at 103, so the stop at 100 is not touched after it.
	r := start(t, account())
	r.flat(101, func() {
		r.Entry(stopEntry(idA, broker.Long, 103))
		r.Exit(bracket(idX, idA, 100, nan))
	})
	r.ohlc(101, 106, 99, 104)
	r.wantPosition(1, 103)
}

func TestExitIsOneOrderOfStopAndLimit(t *testing.T) {
	r := long(t, account(), 2, func(r *run) { r.Exit(bracket(idX, idA, 95, 104)) })
	r.ohlc(100, 105, 90, 100) // the high is nearer and comes first
	r.wantRows(row{2, 100, 104, 1, 2})
	r.wantPosition(0, nan)
	if !r.Idle() {
		t.Error("an exit order outlives its position")
	}
}

func TestStopFillsBeforeLimitAtOnePrice(t *testing.T) {
	r := long(t, account(), 2, func(r *run) {
		half := bracket(idX, idA, nan, 100)
		half.Qty = 1
		r.Exit(half)
		r.Exit(bracket(idY, idA, 100, nan))
	})
	r.ohlc(100, 100, 100, 100)
	if c := r.Closed(); len(c) != 2 || c[0].Reason != broker.ByStop {
		t.Errorf("closed %+v, want the stop first", c)
	}
}

func TestProfitAndLossAreTicksFromTheEntryPrice(t *testing.T) {
	ticks := func(r *run) {
		x := exit(idX, idA)
		x.Profit, x.Loss = 7, 5
		r.Exit(x)
	}
	r := long(t, account(), 1, ticks)
	r.ohlc(100, 107, 98, 100)
	r.wantRows(row{1, 100, 107, 1, 2})
	r = long(t, account(), 1, ticks)
	r.ohlc(100, 103, 95, 100)
	r.wantRows(row{1, 100, 95, 1, 2})
}

func TestAbsoluteAndRelativeLevelsTogether(t *testing.T) {
	both := func(r *run) {
		x := bracket(idX, idA, 90, 120)
		x.Profit, x.Loss = 7, 5
		r.Exit(x)
	}
	s := account()
	r := long(t, s, 1, both)
	r.ohlc(100, 110, 94, 100)
	r.wantPosition(1, 100) // the absolute levels 90 and 120

	s.Nearer = true
	r = long(t, s, 1, both)
	r.ohlc(100, 110, 94, 100)
	r.wantRows(row{1, 100, 95, 1, 2}) // the loss of 5 ticks is nearer than 90
}

func TestExitWithoutLevelsIsNotAnOrder(t *testing.T) {
	r := long(t, account(), 1, func(r *run) {
		r.Exit(exit(idX, idA))
		r.Close(idA, 0, nan, nan, false)
	})
	r.flat(100)
	if !r.Idle() {
		t.Error("an exit without levels is live")
	}
}

func TestExitsShareTheEntry(t *testing.T) {
	// Half at 104, the rest at the stop; what is spent does not fill twice although it is called on every bar.
	exits := func(r *run) func() {
		return func() {
			half := bracket(idX, idA, nan, 104)
			half.QtyPercent = 50
			r.Exit(half)
			r.Exit(bracket(idY, idA, 95, nan))
		}
	}
	r := long(t, account(), 4, func(r *run) { exits(r)() })
	r.ohlc(100, 104, 99, 103, exits(r))
	r.wantPosition(2, 100)
	r.ohlc(103, 106, 101, 103, exits(r))
	r.wantPosition(2, 100)
	r.ohlc(100, 100, 94, 95)
	r.wantRows(row{2, 100, 104, 1, 2}, row{2, 100, 95, 1, 4})

	// The stop first: it leaves what the other exit has reserved.
	r = long(t, account(), 4, func(r *run) { exits(r)() })
	r.ohlc(100, 100, 94, 95, exits(r))
	r.wantPosition(2, 100)
	r.ohlc(95, 105, 94, 100)
	r.wantRows(row{2, 100, 95, 1, 2}, row{2, 100, 104, 1, 3})
}

func TestSecondExitWithoutQuantityFindsNothingLeft(t *testing.T) {
	r := long(t, account(), 2, func(r *run) {
		r.Exit(bracket(idX, idA, nan, 110))
		r.Exit(bracket(idY, idA, 95, nan))
	})
	r.ohlc(100, 101, 90, 92)
	r.wantPosition(2, 100)
	r.ohlc(92, 111, 92, 110)
	r.wantRows(row{2, 100, 110, 1, 3})
}

func TestReissueReplacesTheLevels(t *testing.T) {
	r := long(t, account(), 1, func(r *run) { r.Exit(bracket(idX, idA, 95, nan)) })
	r.flat(100, func() { r.Exit(bracket(idX, idA, 90, nan)) })
	r.ohlc(100, 100, 93, 95)
	r.wantPosition(1, 100)
	r.ohlc(95, 95, 89, 90)
	r.wantRows(row{1, 100, 90, 1, 4})
}

func TestExitOfTheReversingEntryLivesThroughTheReversal(t *testing.T) {
	r := long(t, account(), 1, func(r *run) {
		r.Exit(bracket(idX, idA, 80, nan))
		r.Entry(entry(idB, broker.Short))
		r.Exit(bracket(idY, idB, 105, nan))
	})
	r.ohlc(100, 106, 99, 103)
	r.wantRows(row{1, 100, 100, 1, 2}, row{-1, 100, 105, 2, 2})
}

func TestCancelOfAFilledEntryLeavesItsExits(t *testing.T) {
	r := long(t, account(), 1, func(r *run) { r.Exit(bracket(idX, idA, 95, nan)) })
	r.flat(100, func() { r.Cancel(idA) })
	r.ohlc(100, 100, 94, 95)
	r.wantRows(row{1, 100, 95, 1, 3})
}

func trail(points, offset float64) *broker.Exit {
	x := exit(idX, idA)
	x.TrailPoints, x.TrailOffset = points, offset
	return x
}

func TestTrailStartsAtTheCloseThatIssuedIt(t *testing.T) {
	// The entry bar's high of 120 does not count; its close of 110 is beyond the activation of 105 and
	// is the first best price: stop 107.
	r := start(t, account())
	r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
	r.ohlc(100, 120, 100, 110, func() { r.Exit(trail(5, 3)) })
	r.ohlc(109, 109, 106, 108)
	r.wantRows(row{1, 100, 107, 1, 2})
}

func TestTrailFoldsTheOpenInBeforeThePath(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
	r.ohlc(100, 120, 100, 110, func() { r.Exit(trail(5, 3)) })
	// The open of 115 lifts the stop to 112, which the low touches.
	r.ohlc(115, 116, 111, 113)
	r.wantRows(row{1, 100, 113, 1, 2})
}

func TestTrailFollowsThePath(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
	r.flat(100, func() { r.Exit(trail(5, 3)) })
	r.ohlc(100, 104, 90, 104) // not active, nothing to hit
	r.ohlc(104, 108, 104, 104)
	// Open 104, low 104, high 108: stop 105, met on the way to the close.
	r.wantRows(row{1, 100, 105, 1, 3})
}

func TestTrailRoundsPointsAndOffsetUpToTicks(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
	r.flat(100, func() { r.Exit(trail(4.2, 2.5)) })
	r.ohlc(100, 104, 100, 101) // 4.2 points are 5
	r.wantPosition(1, 100)
	r.ohlc(101, 106, 101, 101) // best 106, offset 3
	r.wantRows(row{1, 100, 103, 1, 3})
}

func TestTrailWithoutOffsetFillsAtItsActivation(t *testing.T) {
	r := start(t, account())
	r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
	r.flat(100, func() { r.Exit(trail(5, nan)) })
	r.ohlc(100, 107, 99, 107)
	r.wantRows(row{1, 100, 105, 1, 2})

	// In force at 108, the next bar opens above it and rises first: the open is the best price, and it fills.
	r = start(t, account())
	r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
	r.ohlc(100, 110, 100, 108, func() { r.Exit(trail(5, 0)) })
	r.ohlc(110, 111, 100, 105)
	r.wantRows(row{1, 100, 110, 1, 2})

	// Active when issued: the next open.
	r = start(t, account())
	r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
	r.ohlc(100, 110, 100, 108, func() { r.Exit(trail(5, nan)) })
	r.ohlc(107, 112, 106, 107)
	r.wantRows(row{1, 100, 107, 1, 2})
}

func TestReissueKeepsTheTrailUnlessTheActivationLiesBeyondIt(t *testing.T) {
	active := func() *run {
		r := start(t, account())
		r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
		r.ohlc(100, 120, 100, 110, func() { r.Exit(trail(5, 8)) })
		return r
	}
	r := active()
	r.flat(109, func() { r.Exit(trail(6, 4)) }) // best 110 stays, stop 106
	r.ohlc(108, 108, 105, 105)
	r.wantRows(row{1, 100, 106, 1, 3})

	r = active()
	r.flat(109, func() { r.Exit(trail(15, 4)) }) // activation 115 is beyond 110
	r.ohlc(108, 108, 95, 95)
	r.wantPosition(1, 100)
}

func TestCloseTakesTheQuantityAndSideOpenAtTheCall(t *testing.T) {
	// The entry of the same bar survives the close.
	s := account()
	s.Pyramiding = 3
	r := long(t, s, 2, func(r *run) {
		r.Entry(entry(idA, broker.Long))
		r.Close(idA, 0, nan, nan, false)
	})
	r.flat(101)
	r.wantPosition(1, 101)

	// An opposite position is left alone.
	r = long(t, account(), 2, func(r *run) {
		r.Entry(entry(idB, broker.Short))
		r.CloseAll(0, false)
	})
	r.flat(101)
	r.wantPosition(-1, 101)
}

func TestClosesOfOneIDOnOneBarAddUp(t *testing.T) {
	r := long(t, account(), 5, func(r *run) {
		r.Close(idA, 0, 1, nan, false)
		r.Close(idA, 0, 2, nan, false)
	})
	r.flat(101)
	r.wantPosition(2, 100)
}

func TestLotsCloseFirstInFirstOutUnlessTheEntryIsNamed(t *testing.T) {
	two := func(closeAny bool) *run {
		s := account()
		s.Pyramiding, s.CloseAny = 2, closeAny
		r := start(t, s)
		r.flat(100, func() { r.Entry(entry(idA, broker.Long)) })
		r.flat(101, func() { r.Entry(entry(idB, broker.Long)) })
		r.flat(103, func() { r.Close(idB, 0, nan, nan, false) })
		r.flat(105)
		return r
	}
	two(false).wantRows(row{1, 101, 105, 1, 3})
	two(true).wantRows(row{1, 103, 105, 2, 3})
}

func TestOneRowForEachLot(t *testing.T) {
	s := account()
	s.Pyramiding = 2
	r := start(t, s)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 2)) })
	r.flat(101, func() { r.Entry(sized(entry(idB, broker.Long), 3)) })
	r.flat(103, func() { r.CloseAll(0, false) })
	r.flat(105)
	r.wantRows(row{2, 101, 105, 1, 3}, row{3, 103, 105, 2, 3})
}

func TestImmediateCloseFillsAtTheCloseOfItsBar(t *testing.T) {
	r := long(t, account(), 1)
	r.ohlc(100, 105, 99, 104, func() { r.Close(idA, 0, nan, nan, true) })
	r.wantRows(row{1, 100, 104, 1, 2})
	if c := r.Closed()[0]; !c.ExitAtClose || c.EntryAtClose {
		t.Errorf("at close: entry %v, exit %v", c.EntryAtClose, c.ExitAtClose)
	}
}

func TestProcessOnCloseFillsMarketAndReachedOrdersAtTheClose(t *testing.T) {
	s := account()
	s.ProcessOnClose = true
	r := start(t, s)
	r.ohlc(100, 105, 99, 104, func() { r.Entry(entry(idA, broker.Long)) })
	r.wantPosition(1, 104)
	// The close of 102 has reached the stop at 103; the limit of 120 waits.
	r.ohlc(104, 105, 101, 102, func() { r.Exit(bracket(idX, idA, 103, 120)) })
	r.wantRows(row{1, 104, 102, 0, 1})
}

func TestLowerBarsReplaceTheAssumedPath(t *testing.T) {
	// The bar's high is nearer to its open, so the assumed path goes up first; the lower bars went down first.
	for _, c := range []struct {
		inner broker.Inner
		want  float64
	}{
		{broker.Inner{}, 104},
		{broker.Inner{Open: []float64{100, 96}, High: []float64{100, 104}, Low: []float64{94, 96}, Close: []float64{95, 104}}, 95},
		{broker.Inner{Open: []float64{100, 93}, High: []float64{100, 104}, Low: []float64{97, 93}, Close: []float64{97, 104}}, 93},
	} {
		r := long(t, account(), 1, func(r *run) { r.Exit(bracket(idX, idA, 95, 104)) })
		if err := r.BarDetail(2, 0, 100, 104, 93, 104, c.inner); err != nil {
			t.Fatal(err)
		}
		r.wantRows(row{1, 100, c.want, 1, 2})
	}
}
