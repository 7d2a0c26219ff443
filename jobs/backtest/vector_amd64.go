package backtest

import "golang.org/x/sys/cpu"

// hold is holdPlain in groups of four: it may stop up to three bars early.
func hold(equity, closes []float64, units, entry, cash float64) int {
	if bars := len(closes) &^ 3; bars > 0 && cpu.X86.HasAVX2 {
		return holdAVX2(&equity[:bars][0], &closes[0], bars, units, entry, cash)
	}
	return holdPlain(equity, closes, units, entry, cash)
}

// guard is guardPlain in groups of four: it may stop up to three bars early.
func guard(equity, closes, lows, highs []float64, units, entry, cash, lower, upper float64) int {
	if bars := len(closes) &^ 3; bars > 0 && cpu.X86.HasAVX2 {
		return guardAVX2(&equity[:bars][0], &closes[0], &lows[:bars][0], &highs[:bars][0], bars, units, entry, cash, lower, upper)
	}
	return guardPlain(equity, closes, lows, highs, units, entry, cash, lower, upper)
}

// quiet is quietPlain in groups of four: it may stop up to three bars early.
func quiet(equity []float64, floor, peak float64) int {
	if bars := len(equity) &^ 3; bars > 0 && cpu.X86.HasAVX2 {
		return quietAVX2(&equity[0], bars, floor, peak)
	}
	return quietPlain(equity, floor, peak)
}

func (s *laneSums) add(equity *[Lanes][]float64) {
	if !cpu.X86.HasAVX2 {
		s.addPlain(equity)
		return
	}
	bars := len(equity[0])
	if bars == 0 {
		return
	}
	var at [Lanes]*float64
	for i, e := range equity {
		at[i] = &e[:bars][0]
	}
	sumAVX2(s, &at, bars)
}

// compare64 is comparePlain.
func compare64(a, b *[64]float64) (over, under uint64) {
	if !cpu.X86.HasAVX2 {
		return comparePlain(a, b)
	}
	return compareAVX2(&a[0], &b[0])
}

// bands64 is bandsPlain.
func bands64(lower, upper, mean, dev *[64]float64, width float64) {
	if !cpu.X86.HasAVX2 {
		bandsPlain(lower, upper, mean, dev, width)
		return
	}
	bandsAVX2(lower, upper, mean, dev, width)
}

//go:noescape
func holdAVX2(equity, closes *float64, bars int, units, entry, cash float64) int

//go:noescape
func guardAVX2(equity, closes, lows, highs *float64, bars int, units, entry, cash, lower, upper float64) int

//go:noescape
func quietAVX2(equity *float64, bars int, floor, peak float64) int

//go:noescape
func sumAVX2(sums *laneSums, equity *[Lanes]*float64, bars int)

//go:noescape
func compareAVX2(a, b *float64) (over, under uint64)

//go:noescape
func bandsAVX2(lower, upper, mean, dev *[64]float64, width float64)
