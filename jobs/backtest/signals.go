package backtest

import "math/bits"

// Signals are the bars on which a strategy wants a position, in order, and its direction. Most bars
// have no signal, so only those that have one are kept.
type Signals struct{ list []signal }

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
	i := 0
	for i < len(a) && (a[i] != a[i] || b[i] != b[i]) {
		i++
	}
	if i == len(a) {
		return
	}
	above, below := bit(a[i] > b[i]), bit(a[i] < b[i]) // on the bar before
	i++
	for ; i+64 <= len(a); i += 64 {
		over, under := compare64((*[64]float64)(a[i:]), (*[64]float64)(b[i:]))
		out.bits(i, over&^(over<<1|above), under&^(under<<1|below))
		above, below = over>>63, under>>63
	}
	for ; i < len(a); i++ {
		over, under := bit(a[i] > b[i]), bit(a[i] < b[i])
		out.bits(i, over&^above, under&^below)
		above, below = over, under
	}
}

// bits adds the signals of up to 64 bars from one on: those whose bit is set, long where it is so in both.
func (s *Signals) bits(bar int, long, short uint64) {
	for both := long | short; both != 0; both &= both - 1 {
		at := bits.TrailingZeros64(both)
		s.list = append(s.list, signal(bar+at)<<1|signal(short&^long>>at&1))
	}
}

// allNumbers reports whether there are 64 values and none of them is NaN. Indicators have NaN at their beginning, and
// from where prices overflow to their end.
func allNumbers(values []float64) bool {
	return len(values) >= 64 && values[0] == values[0] && values[63] == values[63]
}
