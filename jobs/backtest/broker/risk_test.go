package broker_test

import (
	"testing"

	"millrace/jobs/backtest/broker"
)

func TestEntriesOfAForbiddenDirectionOnlyClose(t *testing.T) {
	r := start(t, account())
	r.AllowEntryIn(broker.Long)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 2)) })
	r.flat(100, func() { r.Entry(entry(idB, broker.Short)) })
	r.flat(104, func() { r.Entry(entry(idB, broker.Short)) })
	r.wantRows(row{2, 100, 104, 1, 2})
	r.flat(104)
	r.wantPosition(0, nan)
}

func TestEntriesStopAtTheLargestPosition(t *testing.T) {
	s := account()
	s.Pyramiding = 5
	r := start(t, s)
	r.MaxPositionSize(5)
	for range 4 {
		r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 3)) })
	}
	r.wantPosition(5, 100)
}

func TestDayEndsWithItsLastAllowedFill(t *testing.T) {
	r := start(t, account())
	r.MaxIntradayFilledOrders(2)
	r.day(1, 100, 100, 100, 100, func() { r.Entry(entry(idA, broker.Long)) })
	r.day(1, 100, 100, 100, 100, func() { r.Entry(entry(idB, broker.Short)) })
	// The reversal is the second fill, and the position that it opens is closed at once.
	r.day(1, 103, 104, 102, 103, func() { r.Entry(entry(idA, broker.Long)) })
	r.wantRows(row{1, 100, 103, 1, 2}, row{-1, 103, 103, 2, 2})
	if c := r.Closed()[1]; c.Reason != broker.ByRisk {
		t.Errorf("reason %v", c.Reason)
	}
	r.day(1, 103, 103, 103, 103)
	r.wantPosition(0, nan)
	r.day(2, 103, 103, 103, 103, func() { r.Entry(entry(idA, broker.Long)) })
	r.day(2, 105, 105, 105, 105)
	r.wantPosition(1, 105)
}

func TestLastAllowedFillInsideTheBarClosesAtTheExtreme(t *testing.T) {
	r := start(t, account())
	r.MaxIntradayFilledOrders(1)
	r.day(1, 100, 100, 100, 100, func() { r.Entry(stopEntry(idA, broker.Long, 103)) })
	r.day(1, 100, 108, 99, 101)
	r.wantRows(row{1, 103, 108, 1, 1})
}

func TestOrdersOfADayThatIsOverAreNotPlaced(t *testing.T) {
	r := start(t, account())
	r.MaxIntradayFilledOrders(1)
	r.day(1, 100, 100, 100, 100, func() { r.Entry(entry(idA, broker.Long)) })
	r.day(1, 101, 101, 101, 101, func() { r.Entry(entry(idB, broker.Short)) })
	r.day(2, 102, 102, 102, 102, func() { r.Entry(entry(idB, broker.Short)) })
	r.wantRows(row{1, 101, 101, 1, 1})
	r.day(2, 103, 103, 103, 103)
	r.wantRows(row{1, 101, 101, 1, 1}, row{-1, 103, 103, 3, 3})
}

func TestDrawdownRuleActsOnABarThatClosesALot(t *testing.T) {
	r := start(t, account())
	r.StopAtDrawdown(100, false)
	r.flat(100, func() { r.Entry(sized(entry(idA, broker.Long), 10)) })
	r.flat(100)
	r.ohlc(100, 100, 80, 80) // 200 below, nothing closed: the position stays
	r.wantPosition(10, 100)
	r.flat(85, func() { r.Close(idA, 0, 1, nan, false) })
	r.ohlc(85, 86, 84, 85)
	r.wantRows(row{1, 100, 85, 1, 4}, row{9, 100, 85, 1, 4})
	r.flat(85, func() { r.Entry(entry(idA, broker.Long)) })
	r.flat(85)
	r.wantPosition(0, nan)
}

func TestIntradayLossRuleEndsTheDay(t *testing.T) {
	r := start(t, account())
	r.StopAtIntradayLoss(1, true)
	r.day(1, 100, 100, 100, 100, func() { r.Entry(sized(entry(idA, broker.Long), 10)) })
	r.day(1, 100, 100, 85, 95) // 1 % of the day's 10,000 is 10 points at a close
	r.wantPosition(10, 100)
	r.day(1, 95, 95, 85, 88)
	r.wantRows(row{10, 100, 88, 1, 2})
	r.day(2, 80, 80, 80, 80, func() { r.Entry(entry(idA, broker.Long)) })
	r.day(2, 80, 80, 80, 80)
	r.wantPosition(1, 80)
}

func TestDaysOfLossInARowEndTheRun(t *testing.T) {
	// An open loss counts. The third lower close is known when the next day opens, and ends the run there.
	r := start(t, account())
	r.MaxConsLossDays(3)
	r.day(0, 100, 100, 100, 100, func() { r.Entry(sized(entry(idA, broker.Short), 10)) })
	r.day(1, 100, 110, 100, 110)
	r.day(2, 110, 120, 110, 120)
	r.day(3, 120, 130, 120, 130)
	r.wantPosition(-10, 100)
	r.day(4, 131, 140, 130, 140, func() { r.Entry(entry(idA, broker.Short)) })
	r.wantRows(row{-10, 100, 131, 1, 4})
	r.day(5, 140, 140, 140, 140)
	r.wantPosition(0, nan)
}
