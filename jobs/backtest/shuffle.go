package backtest

// Permuted is a history at the same times whose bars stand in another order within each part; what lies
// outside of the parts stays as it is. It keeps what each part has as a whole: its first open and, but
// for rounding, its last close, and so its drift; each bar's high, low, close and volume against its own
// open; and each gap between a close and the next open. Order alone is lost, and with it all that could
// be predicted. Gaps that follow a longer pause than bars usually have between them (a night, a weekend)
// take each other's places only. After Masters, "Permutation and Randomization Tests for Trading System
// Development", 2018, chapter 6; the test is that of Aronson, "Evidence-Based Technical Analysis", 2006.
//
// draw returns a number from 0 to n−1, each with the same probability. Bars of a lower timeframe do not
// follow their bar: the copy has none.
func (b *Bars) Permuted(parts []Window, draw func(n int) int) *Bars {
	out := *b
	n := b.Len()
	out.detail = nil
	out.Open, out.High, out.Low, out.Close, out.Volume = make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	shape, gap := make([]int, n), make([]int, n) // the bar that each place takes its shape, its gap from
	for i := range n {
		shape[i], gap[i] = i, i
	}
	for _, w := range parts {
		shuffle(shape[w.From:w.To], draw)
		var pauses, others []int
		for i := w.From + 1; i < w.To; i++ {
			if b.Time[i]-b.Time[i-1] > b.interval {
				pauses = append(pauses, i)
			} else {
				others = append(others, i)
			}
		}
		for _, places := range [][]int{pauses, others} {
			from := append([]int(nil), places...)
			shuffle(from, draw)
			for k, i := range places {
				gap[i] = from[k]
			}
		}
	}
	for i := range n {
		of := shape[i]
		open := b.Open[0]
		if i > 0 {
			open = out.Close[i-1] * (b.Open[gap[i]] / b.Close[gap[i]-1])
		}
		// Division and product keep the order of prices, and so low ≤ open, close ≤ high.
		out.Open[i], out.High[i], out.Low[i] = open, open*(b.High[of]/b.Open[of]), open*(b.Low[of]/b.Open[of])
		out.Close[i], out.Volume[i] = open*(b.Close[of]/b.Open[of]), b.Volume[of]
	}
	return &out
}

// HasDetail reports whether bars of a lower timeframe are inside of these.
func (b *Bars) HasDetail() bool { return b.detail != nil }

// shuffle is that of Fisher and Yates.
func shuffle(places []int, draw func(n int) int) {
	for i := len(places) - 1; i > 0; i-- {
		j := draw(i + 1)
		places[i], places[j] = places[j], places[i]
	}
}
