package backtest

import (
	"math/bits"
	"sort"
)

// Signals are the bars on which a strategy wants a position, in order, and its direction. Most bars
// have no signal, so only those that have one are kept.
type Signals struct {
	list  []signal
	words [2][]uint64 // scratch of what is compared
	sides [][4]uint64
}

// signal is twice the bar, and one more when the signal is short.
type signal int32

func (s signal) bar() int    { return int(s >> 1) }
func (s signal) short() bool { return s&1 == 1 }

// Long says that the strategy wants to be long at the bar's close. Bars come in ascending
// order, each at most once.
func (s *Signals) Long(bar int) { s.list = append(s.list, signal(bar)<<1) }

// Short says that the strategy wants to be short at the bar's close.
func (s *Signals) Short(bar int) { s.list = append(s.list, signal(bar)<<1|1) }

// bit is 1 for true, without a branch.
func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// cross signals where a crosses b: long where it was not above one bar before and is now, short
// where it was not below and is. NaN on either bar gives no signal; there is none but before the first number.
func cross(a, b []float64, out *Signals) {
	b = b[:len(a)]
	i := max(firstNumber(a), firstNumber(b))
	for i < len(a) && (a[i] != a[i] || b[i] != b[i]) {
		i++
	}
	if i >= len(a) {
		return
	}
	above, below := bit(a[i] > b[i]), bit(a[i] < b[i]) // on the bar before
	i++
	overs, unders := out.compare(a[i:], b[i:])
	for k, over := range overs {
		under := unders[k]
		out.bits(i, over&^(over<<1|above), under&^(under<<1|below))
		above, below = over>>63, under>>63
		i += 64
	}
	for ; i < len(a); i++ {
		over, under := bit(a[i] > b[i]), bit(a[i] < b[i])
		out.bits(i, over&^above, under&^below)
		above, below = over, under
	}
}

// firstNumber is the place of the first value that is not NaN, or 0 where the last one is NaN: values then need not have
// all their numbers at the end. Warm-up may be as long as the history, so it is found by halving.
func firstNumber(values []float64) int {
	n := len(values)
	if n == 0 || values[n-1] != values[n-1] {
		return 0
	}
	return sort.Search(n, func(i int) bool { return values[i] == values[i] })
}

// compare are the bars, 64 a word, with a above b, and those with a below b, of as many whole words as there are.
func (s *Signals) compare(a, b []float64) (over, under []uint64) {
	over, under = s.scratch(0, len(a)/64), s.scratch(1, len(a)/64)
	compare(a, b, over, under)
	return over, under
}

// scratch is one of two lists of words.
func (s *Signals) scratch(which, words int) []uint64 {
	if cap(s.words[which]) < words {
		s.words[which] = make([]uint64, words)
	}
	return s.words[which][:words]
}

// beyond signals, of as many bars as there are whole words of 64, from one on: long where the close is above high, short where
// it is below low. It returns the first bar left.
func (s *Signals) beyond(from int, closes, high, low []float64) int {
	longs, shorts := s.scratch(0, len(closes)/64), s.scratch(1, len(closes)/64)
	above(closes, 64, high, 64, longs)
	above(low, 64, closes, 64, shorts)
	for i, long := range longs {
		s.bits(from, long, shorts[i])
		from += 64
	}
	return from
}

// outside are the sides of both bands that closes are on, as outsidePlain has them.
func (s *Signals) outside(closes, mean, dev []float64, width float64) [][4]uint64 {
	words := len(closes) / 64
	if cap(s.sides) < words {
		s.sides = make([][4]uint64, words)
	}
	outside(closes, mean, dev, width, s.sides[:words])
	return s.sides[:words]
}

// bits adds the signals of up to 64 bars from one on: those whose bit is set, long where it is so in both.
func (s *Signals) bits(bar int, long, short uint64) {
	for both := long | short; both != 0; both &= both - 1 {
		at := bits.TrailingZeros64(both)
		s.list = append(s.list, signal(bar+at)<<1|signal(short&^long>>at&1))
	}
}

// allNumbers reports whether there are values and none of them is NaN. Indicators have NaN at their beginning, and
// from where prices overflow to their end.
func allNumbers(values []float64) bool {
	n := len(values)
	return n > 0 && values[0] == values[0] && values[n-1] == values[n-1]
}
