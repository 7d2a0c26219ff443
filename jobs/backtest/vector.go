package backtest

import "math"

// What every bar of every trial goes through. amd64 has each in vectors of four or eight, with the same roundings in the
// same order, so that the bits of a result are those of any other machine.

// Lanes is how many trials run side by side, as many as the widest vectors have numbers.
const Lanes = 8

// sumLanes is how many of them have their returns summed side by side where they do not run in legs.
const sumLanes = 4

// holdPlain writes the equity of a position at each close, up to the first that is not above zero. It returns how many
// it has written.
func holdPlain(equity, closes []float64, units, entry, cash float64) int {
	equity = equity[:len(closes)]
	for i, c := range closes {
		e := cash + float64(units*(c-entry))
		if e <= 0 {
			return i
		}
		equity[i] = e
	}
	return len(closes)
}

// guardPlain is holdPlain up to the first bar whose low is at or below lower, or whose high is at or above upper.
func guardPlain(equity, closes, lows, highs []float64, units, entry, cash, lower, upper float64) int {
	equity, lows, highs = equity[:len(closes)], lows[:len(closes)], highs[:len(closes)]
	for i, c := range closes {
		e := cash + float64(units*(c-entry))
		if e <= 0 || lows[i] <= lower || highs[i] >= upper {
			return i
		}
		equity[i] = e
	}
	return len(closes)
}

// quietPlain is how many bars come before the first that is below the floor or at the peak or above.
func quietPlain(equity []float64, floor, peak float64) int {
	for i, e := range equity {
		if !(e >= floor) || e >= peak {
			return i
		}
	}
	return len(equity)
}

// comparePlain are the bars, a bit each, with a above b, and those with a below b.
func comparePlain(a, b *[64]float64) (over, under uint64) {
	for i, v := range a {
		if v > b[i] {
			over |= 1 << i
		} else if v < b[i] {
			under |= 1 << i
		}
	}
	return over, under
}

// compareWordsPlain is comparePlain of as many 64 bars as there are words.
func compareWordsPlain(a, b []float64, over, under []uint64) {
	for i := range over {
		over[i], under[i] = comparePlain((*[64]float64)(a[64*i:]), (*[64]float64)(b[64*i:]))
	}
}

// bandsPlain are mean − width·dev and mean + width·dev.
func bandsPlain(lower, upper, mean, dev *[64]float64, width float64) {
	for i, m := range mean {
		off := float64(width * dev[i])
		lower[i], upper[i] = m-off, m+off
	}
}

// abovePlain are the bars, 64 a word, with a above b. Each is moved by its step for each word: one that is moved by none has
// the same 64 values for every word.
func abovePlain(a []float64, stepA int, b []float64, stepB int, out []uint64) {
	for i := range out {
		out[i], _ = comparePlain((*[64]float64)(a[stepA*i:]), (*[64]float64)(b[stepB*i:]))
	}
}

// outsidePlain are the bars, 64 a word, whose close is above the lower band, below it, above the upper band, and below it.
func outsidePlain(closes, mean, dev []float64, width float64, sides [][4]uint64) {
	var lower, upper [64]float64
	for i := range sides {
		c, s := (*[64]float64)(closes[64*i:]), &sides[i]
		bandsPlain(&lower, &upper, (*[64]float64)(mean[64*i:]), (*[64]float64)(dev[64*i:]), width)
		s[0], s[1] = comparePlain(c, &lower)
		s[2], s[3] = comparePlain(c, &upper)
	}
}

// laneSums are the powerSums of several trials.
type laneSums struct{ last, r1, gains, losses, r3, r4 [sumLanes]float64 }

// addPlain sums the returns of each lane's equity. All have as many bars, an even number.
func (s *laneSums) addPlain(equity *[sumLanes][]float64) {
	for lane, bars := range equity {
		var stats equityStats
		s.store(lane, &stats)
		stats.summed = stats.sums.add(stats.summed, bars)
		s.load(lane, &stats)
	}
}

// add sums the returns of the equity after last, and returns its last.
func (s *powerSums) add(last float64, equity []float64) float64 {
	r1, gains, losses, r3, r4 := s.r1, s.squares[0], s.squares[1], s.r3, s.r4
	for _, e := range equity {
		r := (e - last) / last
		last = e
		rr := float64(r * r)
		// The square goes to one of both sums, by the sign and without a branch: the other gets zero.
		loss := uint64(int64(math.Float64bits(r)) >> 63)
		r1 += r
		gains += math.Float64frombits(math.Float64bits(rr) &^ loss)
		losses += math.Float64frombits(math.Float64bits(rr) & loss)
		r3 += float64(r * rr)
		r4 += float64(rr * rr)
	}
	*s = powerSums{r1, [2]float64{gains, losses}, r3, r4}
	return last
}
