package backtest

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

// signalWriter appends signals without a branch, for strategies whose signals the processor cannot
// predict: every bar is written, and the next bar overwrites it when it had no signal.
type signalWriter struct {
	list []signal
	n    int
}

// writer starts with no signals and room for one a bar; finish keeps what it wrote.
func (s *Signals) writer(bars int) signalWriter {
	if cap(s.list) < bars {
		s.list = make([]signal, bars)
	}
	return signalWriter{list: s.list[:bars]}
}

// write keeps the bar when one of the two bits is set; long wins over short.
func (w *signalWriter) write(bar int, long, short signal) {
	w.list[w.n] = signal(bar)<<1 | short&^long
	w.n += int(long | short)
}

// bit is 1 for true, without a branch.
func bit(b bool) signal {
	if b {
		return 1
	}
	return 0
}

func (s *Signals) finish(w signalWriter) { s.list = w.list[:w.n] }

// cross signals where a crosses b: long where it was not above one bar before and is now, short
// where it was not below and is. NaN on either bar gives no signal.
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
