package pine

import (
	"time"

	"millrace/jobs/backtest"
)

// dayNumbers are the numbers of the bars' days in a zone.
func dayNumbers(bars *backtest.Bars, zone *time.Location) []int32 {
	days := make([]int32, bars.Len())
	for i, t := range bars.Time {
		t /= 1e6
		if zone != time.UTC {
			_, offset := time.Unix(t, 0).In(zone).Zone()
			t += int64(offset)
		}
		days[i] = int32(floorDiv(t, 86_400))
	}
	return days
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}
