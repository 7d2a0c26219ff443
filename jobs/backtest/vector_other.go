//go:build !amd64

package backtest

func hold(equity, closes []float64, units, entry, cash float64) int {
	return holdPlain(equity, closes, units, entry, cash)
}

func guard(equity, closes, lows, highs []float64, units, entry, cash, lower, upper float64) int {
	return guardPlain(equity, closes, lows, highs, units, entry, cash, lower, upper)
}

func quiet(equity []float64, floor, peak float64) int { return quietPlain(equity, floor, peak) }

func (s *laneSums) add(equity *[Lanes][]float64) { s.addPlain(equity) }

func compare64(a, b *[64]float64) (over, under uint64) { return comparePlain(a, b) }

func bands64(lower, upper, mean, dev *[64]float64, width float64) {
	bandsPlain(lower, upper, mean, dev, width)
}
