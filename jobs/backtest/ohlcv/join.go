package ohlcv

import (
	"fmt"

	"millrace/jobs/backtest"
)

// Join makes one set of bars of several that follow each other; the columns are copied.
func Join(parts ...*backtest.Bars) (*backtest.Bars, error) {
	if len(parts) == 1 {
		return parts[0], nil
	}
	n := 0
	for _, part := range parts {
		n += part.Len()
	}
	if n > MaxRows {
		return nil, fmt.Errorf("%d bars are more than %d", n, MaxRows)
	}
	all := backtest.Bars{Time: make([]int64, 0, n)}
	for _, col := range floatColumns(&all) {
		*col = make([]float64, 0, n)
	}
	for _, part := range parts {
		all.Time = append(all.Time, part.Time...)
		from := floatColumns(part)
		for i, col := range floatColumns(&all) {
			*col = append(*col, *from[i]...)
		}
	}
	return backtest.NewBars(all.Time, all.Open, all.High, all.Low, all.Close, all.Volume)
}
