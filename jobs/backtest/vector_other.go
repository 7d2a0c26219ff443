//go:build !amd64

package backtest

func hold(equity, closes []float64, units, entry, cash float64) int {
	return holdPlain(equity, closes, units, entry, cash)
}

func guard(equity, closes, lows, highs []float64, units, entry, cash, lower, upper float64) int {
	return guardPlain(equity, closes, lows, highs, units, entry, cash, lower, upper)
}

// hasLanes reports whether vectors have numbers of several runs side by side.
func hasLanes() bool { return false }

func (s *walk) over([]float64, []byte, int, []float64) {}

func (s *meanLanes) add([]float64) {}

func (f *filling) run(_ int, relative, whole bool) { f.runPlain(relative, whole) }

func (s *walk) overDays([]float64, []byte, int, []float64) {}

func returnsOfDays(last *[Lanes]float64, rows []float64, ends []int32, first int, returns []float64) {
	returnsOfDaysPlain(last, rows, ends, first, returns)
}

func momentsOfLanes(m *laneMoments, returns []float64) { momentsOfLanesPlain(m, returns) }

func quiet(equity []float64, floor, peak float64) int { return quietPlain(equity, floor, peak) }

func (s *laneSums) add(equity *[sumLanes][]float64) { s.addPlain(equity) }

func compare(a, b []float64, over, under []uint64) {
	compareWordsPlain(a, b, over, under)
}

func above(a []float64, stepA int, b []float64, stepB int, out []uint64) {
	abovePlain(a, stepA, b, stepB, out)
}

func outside(closes, mean, dev []float64, width float64, sides [][4]uint64) {
	outsidePlain(closes, mean, dev, width, sides)
}
