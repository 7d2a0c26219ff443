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

func TestDrawdownRuleEndsTheRun(t *testing.T) {
	r := start(t, account())
	r.StopAtDrawdown(50, false)
	r.day(1, 100, 100, 100, 100, func() { r.Entry(sized(entry(idA, broker.Long), 10)) })
	r.day(1, 100, 102, 99, 102) // equity peaks at 10,020
	r.day(1, 102, 102, 90, 91)  // 9,970 is 97
	r.wantRows(row{10, 100, 97, 1, 2})
	r.day(2, 91, 91, 91, 91, func() { r.Entry(entry(idA, broker.Long)) })
	r.day(2, 91, 91, 91, 91)
	r.wantPosition(0, nan)
}

func TestIntradayLossRuleEndsTheDay(t *testing.T) {
	r := start(t, account())
	r.StopAtIntradayLoss(1, true)
	r.day(1, 100, 100, 100, 100, func() { r.Entry(sized(entry(idA, broker.Long), 10)) })
	r.day(1, 100, 100, 95, 95)
	r.day(1, 95, 95, 80, 80) // 1 % of 10,000 is 10 points
	r.wantRows(row{10, 100, 90, 1, 2})
	r.day(2, 80, 80, 80, 80, func() { r.Entry(entry(idA, broker.Long)) })
	r.day(2, 80, 80, 80, 80)
	r.wantPosition(1, 80)
}

func TestDaysOfLossInARowEndTheRun(t *testing.T) {
	r := start(t, account())
	r.MaxConsLossDays(2)
	for d := range int32(4) {
		r.day(d, 100, 100, 100, 100, func() { r.Entry(entry(idA, broker.Long)) })
		r.day(d, 100, 100, 100, 100, func() { r.CloseAll(0, false) })
		r.day(d, 99, 99, 99, 99)
	}
	r.wantRows(row{1, 100, 99, 1, 2}, row{1, 100, 99, 4, 5})
}
