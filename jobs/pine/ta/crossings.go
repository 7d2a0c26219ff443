package ta

import "math/bits"

// Crossings computes the column of crossover, or of crossunder, as bits: that of bar i is bit i%64 of
// out[i/64]. A series of one value holds for all n bars. out has a word for every 64 bars begun.
func Crossings(under bool, a, b []float64, n int, out []uint64) {
	if under {
		a, b = b, a // a crosses under b where b crosses over a
	}
	above, known := false, false // of the last bar on which both are defined
	var x, y [64]float64
	for w := range out {
		from := w * 64
		to := min(from+64, n)
		over, notOver := compare(spread(a, from, to, &x), spread(b, from, to, &y))
		defined := over | notOver
		if all := ^uint64(0) >> (64 - uint(to-from)); defined == all && known {
			before := over << 1
			if above {
				before |= 1
			}
			out[w] = over &^ before
			above = over>>uint(to-from-1)&1 == 1
			continue
		}
		out[w] = 0
		for rest := defined; rest != 0; rest &= rest - 1 {
			bit := rest & -rest
			now := over&bit != 0
			if now && known && !above {
				out[w] |= bit
			}
			above, known = now, true
		}
	}
}

// spread is part of a series; a single value is spread out in memory.
func spread(v []float64, from, to int, memory *[64]float64) []float64 {
	if len(v) != 1 {
		return v[from:to]
	}
	for i := range memory {
		memory[i] = v[0]
	}
	return memory[:to-from]
}

// compare sets bits where a is over b, and where it is not; neither where one is na. On its own its loop fits the
// registers.
//
//go:noinline
func compare(a, b []float64) (over, notOver uint64) {
	b = b[:len(a)]
	for i, x := range a {
		var o, u uint64
		if x > b[i] {
			o = 1
		}
		if x <= b[i] {
			u = 1
		}
		over = over>>1 | o<<63
		notOver = notOver>>1 | u<<63
	}
	shift := uint(64 - len(a))
	return over >> shift, notOver >> shift
}

// Pack sets the bits of the bars on which a series of bools is true: 0 and na are not. out has a word for
// every 64 bars begun.
func Pack(v []float64, out []uint64) {
	for w := range out {
		word := uint64(0)
		part := v[w*64 : min(w*64+64, len(v))]
		for _, x := range part {
			var t uint64
			if x < 0 || x > 0 {
				t = 1
			}
			word = word>>1 | t<<63
		}
		out[w] = word >> uint(64-len(part))
	}
}

// NextBit is the first set bit from from on, before to; to when there is none.
func NextBit(words []uint64, from, to int) int {
	if from >= to {
		return to
	}
	w := from / 64
	word := words[w] >> uint(from%64) << uint(from%64)
	for word == 0 {
		if w++; w*64 >= to {
			return to
		}
		word = words[w]
	}
	return min(w*64+bits.TrailingZeros64(word), to)
}
