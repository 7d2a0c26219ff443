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

// halves reports whether vectors have four numbers: those of eight lanes are done half by half.
func halves() bool { return cpu.X86.HasAVX2 && cpu.X86.HasBMI1 && cpu.X86.HasBMI2 }

// half is how many numbers such vectors have.
const half = Lanes / 2

// hasLanes reports whether vectors have numbers of several runs side by side: what is done in legs does not pay one run after the other.
func hasLanes() bool { return wide() || halves() }

// over is overPlain of the legs that were loaded.
func (s *walk) over(closes []float64, begun []byte, bar int, rows []float64) {
	bars, step := len(closes), 8*Lanes
	if bars == 0 {
		return
	}
	begun = begun[:bars]
	var row [2]*float64 // of each half
	if rows == nil {
		step = 0
	} else {
		rows = rows[:bars*Lanes]
		row = [2]*float64{&rows[0], &rows[half]}
	}
	if wide() {
		walkAVX512(s, &closes[0], &begun[0], bars, bar, row[0], step)
		return
	}
	walkAVX2(&s.units[0], 0, &closes[0], &begun[0], bars, bar, row[0], step)
	walkAVX2(&s.units[half], half, &closes[0], &begun[0], bars, bar, row[1], step)
}

// run is runPlain of as many fills as the run with the most has.
func (f *filling) run(most int, relative, whole bool) {
	if !hasLanes() {
		f.runPlain(relative, whole)
		return
	}
	if most == 0 {
		return
	}
	legs, shorts := f.legs[:(most+1)*legNumbers], f.shorts[:most]
	if wide() {
		fillAVX512(f, &legs[0], &shorts[0], most, relative, whole)
		return
	}
	f.unfit = fillAVX2(&f.size[0], 0, &legs[0], &shorts[0], most, relative, whole) |
		fillAVX2(&f.size[half], half, &legs[half], &shorts[0], most, relative, whole)
}

// overDays is overDaysPlain of the legs that were loaded.
func (s *walk) overDays(closes []float64, begun []byte, bar int, rows []float64) {
	bars := len(closes)
	begun, rows = begun[:bars], rows[:bars*Lanes]
	if wide() {
		walkDaysAVX512(s, &closes[0], &begun[0], bars, bar, &rows[0])
		return
	}
	walkDaysAVX2(&s.units[0], 0, &closes[0], &begun[0], bars, bar, &rows[0])
	walkDaysAVX2(&s.units[half], half, &closes[0], &begun[0], bars, bar, &rows[half])
}

// returnsOfDays is returnsOfDaysPlain of some days.
func returnsOfDays(last *[Lanes]float64, rows []float64, ends []int32, first int, returns []float64) {
	days := len(ends)
	_, _ = rows[(int(ends[0])-first)*Lanes], rows[(int(ends[days-1])-first)*Lanes+Lanes-1]
	returns = returns[:days*Lanes]
	if wide() {
		returnsAVX512(last, &rows[0], &ends[0], days, first, &returns[0])
		return
	}
	returnsAVX2(&last[0], &rows[0], &ends[0], days, first, &returns[0])
	returnsAVX2(&last[half], &rows[half], &ends[0], days, first, &returns[half])
}

// momentsOfLanes is momentsOfLanesPlain of some returns.
func momentsOfLanes(m *laneMoments, returns []float64) {
	periods := len(returns) / Lanes
	if wide() {
		momentsAVX512(m, &returns[0], periods)
		return
	}
	momentsAVX2(&m.mean[0], &returns[0], periods)
	momentsAVX2(&m.mean[half], &returns[half], periods)
}

// add is compensated.means of all lanes over some groups of meanBars values.
func (s *meanLanes) add(in []float64) {
	if wide() {
		meansAVX512(s, &in[0], len(in))
		return
	}
	meansAVX2(&s.sum[0], &in[0], len(in))
	meansAVX2(&s.sum[half], &in[0], len(in))
}

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

// compare is comparePlain of as many 64 bars as there are words.
func compare(a, b []float64, over, under []uint64) {
	words := len(over)
	if words == 0 {
		return
	}
	a, b, under = a[:64*words], b[:64*words], under[:words]
	switch {
	case wide():
		compareAVX512(&a[0], &b[0], &over[0], &under[0], words)
	case cpu.X86.HasAVX2:
		compareAVX2(&a[0], &b[0], &over[0], &under[0], words)
	default:
		compareWordsPlain(a, b, over, under)
	}
}

// above is abovePlain.
func above(a []float64, stepA int, b []float64, stepB int, out []uint64) {
	last := len(out) - 1
	if last < 0 {
		return
	}
	_, _ = a[stepA*last+63], b[stepB*last+63]
	switch {
	case wide():
		aboveAVX512(&a[0], 8*stepA, &b[0], 8*stepB, &out[0], len(out))
	case cpu.X86.HasAVX2:
		aboveAVX2(&a[0], 8*stepA, &b[0], 8*stepB, &out[0], len(out))
	default:
		abovePlain(a, stepA, b, stepB, out)
	}
}

// outside is outsidePlain.
func outside(closes, mean, dev []float64, width float64, sides [][4]uint64) {
	n := 64 * len(sides)
	if n == 0 {
		return
	}
	_, _, _ = closes[n-1], mean[n-1], dev[n-1]
	switch {
	case wide():
		outsideAVX512(&closes[0], &mean[0], &dev[0], width, &sides[0], len(sides))
	case cpu.X86.HasAVX2:
		outsideAVX2(&closes[0], &mean[0], &dev[0], width, &sides[0], len(sides))
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
func compareAVX2(a, b *float64, over, under *uint64, words int)

//go:noescape
func aboveAVX2(a *float64, stepA int, b *float64, stepB int, out *uint64, words int)

//go:noescape
func outsideAVX2(closes, mean, dev *float64, width float64, sides *[4]uint64, words int)

//go:noescape
func walkAVX2(s *float64, shift int, closes *float64, begun *byte, bars, bar int, rows *float64, step int)

//go:noescape
func fillAVX2(f *float64, shift int, legs *float64, shorts *byte, fills int, relative, whole bool) (unfit uint64)

//go:noescape
func walkDaysAVX2(s *float64, shift int, closes *float64, begun *byte, bars, bar int, rows *float64)

//go:noescape
func returnsAVX2(last, rows *float64, ends *int32, days, first int, returns *float64)

//go:noescape
func momentsAVX2(m, returns *float64, periods int)

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
func meansAVX2(s, in *float64, bars int)

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
