package backtest

// Signals are what a strategy wants, in order of bars. Only bars on which it wants something are
// kept: on most it wants nothing, and a run goes from one to the next.
type Signals struct{ turns []turn }

// turn is twice the bar, and one more when the signal is short.
type turn int32

func (t turn) bar() int    { return int(t >> 1) }
func (t turn) short() bool { return t&1 == 1 }

// Long says that the strategy wants to be long at the bar's close. Bars are told in ascending
// order, each at most once.
func (s *Signals) Long(bar int) { s.turns = append(s.turns, turn(bar)<<1) }

// Short says that the strategy wants to be short at the bar's close.
func (s *Signals) Short(bar int) { s.turns = append(s.turns, turn(bar)<<1|1) }

// pen is Signals for a strategy that wants something so often that the processor cannot foresee it:
// every bar is written, and the next one overwrites it when it was for nothing.
type pen struct {
	turns []turn
	n     int
}

// pen begins with no signals and room for those of every bar. put ends it.
func (s *Signals) pen(bars int) pen {
	if cap(s.turns) < bars {
		s.turns = make([]turn, bars)
	}
	return pen{turns: s.turns[:bars]}
}

// tell writes a bar on which the strategy wants to be long or, failing that, short; each is a bit.
func (p *pen) tell(bar int, long, short turn) {
	p.turns[p.n] = turn(bar)<<1 | short&^long
	p.n += int(long | short)
}

// bit is 1 for true, without a branch.
func bit(b bool) turn {
	if b {
		return 1
	}
	return 0
}

func (s *Signals) put(p pen) { s.turns = p.turns[:p.n] }

// cross signals where a crosses b: long where it was not above one bar before and is now, short
// where it was not below and is. NaN on either bar is no cross.
func cross(a, b []float64, out *Signals) {
	b = b[:len(a)]
	i := 0
	for i < len(a) && (a[i] != a[i] || b[i] != b[i]) {
		i++
	}
	if i == len(a) {
		return
	}
	above, below := a[i] > b[i], a[i] < b[i]
	for {
		// One comparison a bar while nothing changes.
		switch {
		case above:
			for i < len(a) && a[i] > b[i] {
				i++
			}
		case below:
			for i < len(a) && a[i] < b[i] {
				i++
			}
		default:
			for i < len(a) && !(a[i] > b[i]) && !(a[i] < b[i]) {
				i++
			}
		}
		if i == len(a) {
			return
		}
		if above, below = a[i] > b[i], a[i] < b[i]; above {
			out.Long(i)
		} else if below {
			out.Short(i)
		}
	}
}
