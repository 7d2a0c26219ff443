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

// wide reports whether vectors have eight numbers and masks.
func wide() bool { return cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasBMI2 }

// hasLegs reports whether vectors walk over legs, which one run after the other does not pay.
func hasLegs() bool { return wide() }

// over is overPlain of the legs that were loaded.
func (s *walk) over(closes []float64, begun []byte, bar int, rows []float64) {
	bars := len(closes)
	if bars == 0 {
		return
	}
	if begun = begun[:bars]; rows == nil {
		walkAVX512(s, &closes[0], &begun[0], bars, bar, nil, 0)
		return
	}
	walkAVX512(s, &closes[0], &begun[0], bars, bar, &rows[:bars*Lanes][0], 8*Lanes)
}

// run is runPlain of as many fills as the run with the most has.
func (f *filling) run(most int, relative, whole bool) {
	switch {
	case !wide():
		f.runPlain(relative, whole)
	case most > 0:
		fillAVX512(f, &f.legs[:(most+1)*legNumbers][0], &f.shorts[:most][0], most, relative, whole)
	}
}

// overDays is overDaysPlain of the legs that were loaded.
func (s *walk) overDays(closes []float64, begun []byte, bar int, rows []float64) {
	bars := len(closes)
	walkDaysAVX512(s, &closes[0], &begun[:bars][0], bars, bar, &rows[:bars*Lanes][0])
}

// returnsOfDays is returnsOfDaysPlain of some days.
func returnsOfDays(last *[Lanes]float64, rows []float64, ends []int32, first int, returns []float64) {
	days := len(ends)
	_, _ = rows[(int(ends[0])-first)*Lanes], rows[(int(ends[days-1])-first)*Lanes+Lanes-1]
	returnsAVX512(last, &rows[0], &ends[0], days, first, &returns[:days*Lanes][0])
}

// momentsOfLanes is momentsOfLanesPlain of some returns.
func momentsOfLanes(m *laneMoments, returns []float64) {
	momentsAVX512(m, &returns[0], len(returns)/Lanes)
}

// add is compensated.means of all lanes over some groups of meanBars values.
func (s *meanLanes) add(in []float64) { meansAVX512(s, &in[0], len(in)) }

// quiet is quietPlain of whole groups, of eight bars or of four: of four it may stop up to three bars early.
func quiet(equity []float64, floor, peak float64) int {
	if bars := len(equity) &^ 7; bars > 0 && wide() {
		return quietAVX512(&equity[0], bars, floor, peak)
	}
	if bars := len(equity) &^ 3; bars > 0 && cpu.X86.HasAVX2 {
		return quietAVX2(&equity[0], bars, floor, peak)
	}
	return quietPlain(equity, floor, peak)
}

func (s *laneSums) add(equity *[sumLanes][]float64) {
	if !cpu.X86.HasAVX2 {
		s.addPlain(equity)
		return
	}
	bars := len(equity[0])
	if bars == 0 {
		return
	}
	var at [sumLanes]*float64
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

// compare is comparePlain of as many 64 bars as there are words.
func compare(a, b []float64, over, under []uint64) {
	words := len(over)
	a, b, under = a[:64*words], b[:64*words], under[:words]
	if words > 0 && wide() {
		compareAVX512(&a[0], &b[0], &over[0], &under[0], words)
		return
	}
	for i := range over {
		over[i], under[i] = compare64((*[64]float64)(a[64*i:]), (*[64]float64)(b[64*i:]))
	}
}

// above is abovePlain.
func above(a []float64, stepA int, b []float64, stepB int, out []uint64) {
	switch last := len(out) - 1; {
	case last >= 0 && wide():
		_, _ = a[stepA*last+63], b[stepB*last+63]
		aboveAVX512(&a[0], 8*stepA, &b[0], 8*stepB, &out[0], len(out))
	case cpu.X86.HasAVX2:
		for i := range out {
			out[i], _ = compareAVX2(&a[stepA*i:][:64][0], &b[stepB*i:][:64][0])
		}
	default:
		abovePlain(a, stepA, b, stepB, out)
	}
}

// outside is outsidePlain.
func outside(closes, mean, dev []float64, width float64, sides [][4]uint64) {
	switch n := 64 * len(sides); {
	case n > 0 && wide():
		_, _, _ = closes[n-1], mean[n-1], dev[n-1]
		outsideAVX512(&closes[0], &mean[0], &dev[0], width, &sides[0], len(sides))
	case cpu.X86.HasAVX2:
		var lower, upper [64]float64
		for i := range sides {
			c, m, d := (*[64]float64)(closes[64*i:]), (*[64]float64)(mean[64*i:]), (*[64]float64)(dev[64*i:])
			bandsAVX2(&lower, &upper, m, d, width)
			s := &sides[i]
			s[0], s[1] = compareAVX2(&c[0], &lower[0])
			s[2], s[3] = compareAVX2(&c[0], &upper[0])
		}
	default:
		outsidePlain(closes, mean, dev, width, sides)
	}
}

//go:noescape
func holdAVX2(equity, closes *float64, bars int, units, entry, cash float64) int

//go:noescape
func guardAVX2(equity, closes, lows, highs *float64, bars int, units, entry, cash, lower, upper float64) int

//go:noescape
func quietAVX2(equity *float64, bars int, floor, peak float64) int

//go:noescape
func sumAVX2(sums *laneSums, equity *[sumLanes]*float64, bars int)

//go:noescape
func compareAVX2(a, b *float64) (over, under uint64)

//go:noescape
func bandsAVX2(lower, upper, mean, dev *[64]float64, width float64)

//go:noescape
func walkAVX512(s *walk, closes *float64, begun *byte, bars, bar int, rows *float64, step int)

//go:noescape
func fillAVX512(f *filling, legs *float64, shorts *byte, fills int, relative, whole bool)

//go:noescape
func walkDaysAVX512(s *walk, closes *float64, begun *byte, bars, bar int, rows *float64)

//go:noescape
func returnsAVX512(last *[Lanes]float64, rows *float64, ends *int32, days, first int, returns *float64)

//go:noescape
func momentsAVX512(m *laneMoments, returns *float64, periods int)

//go:noescape
func meansAVX512(s *meanLanes, in *float64, bars int)

//go:noescape
func quietAVX512(equity *float64, bars int, floor, peak float64) int

//go:noescape
func compareAVX512(a, b *float64, over, under *uint64, words int)

//go:noescape
func aboveAVX512(a *float64, stepA int, b *float64, stepB int, out *uint64, words int)

//go:noescape
func outsideAVX512(closes, mean, dev *float64, width float64, sides *[4]uint64, words int)
