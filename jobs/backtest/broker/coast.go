package broker

import (
	"math"
	"slices"
)

// Series are the prices of all bars: see NewSeries.
type Series struct {
	Open, High, Low, Close []float64

	top, bottom []float64 // extremes of each span of bars
}

// span is how many bars one look at their common extremes passes over.
const span = 64

// NewSeries are the series with what lets Coast pass many bars at one look.
func NewSeries(open, high, low, closing []float64) Series {
	s := Series{Open: open, High: high, Low: low, Close: closing}
	for from := 0; from < len(high); from += span {
		to := min(from+span, len(high))
		s.top = append(s.top, slices.Max(high[from:to]))
		s.bottom = append(s.bottom, slices.Min(low[from:to]))
	}
	return s
}

// first is the first bar from from on, before to, that reaches above or below; to when none does.
func (s *Series) first(from, to int, above, below float64) int {
	if math.IsInf(above, 1) && math.IsInf(below, -1) {
		return to
	}
	for i := from; i < to; {
		end := min(i-i%span+span, to)
		if at := i / span; at < len(s.top) && s.top[at] < above && s.bottom[at] > below {
			i = end
			continue
		}
		for ; i < end; i++ {
			if !(s.High[i] < above && s.Low[i] > below) {
				return i
			}
		}
	}
	return to
}

// Coast works off bars from, from+1, … before to as Bar would, for as long as it is certain that
// nothing fills on them, and returns the first bar that Bar has to work off. Reads are then as of the bar before it.
// It writes the equity at each close to equity, whose first value is that of bar from, when that is not nil. A
// strategy that acts on some bars only coasts between them.
func (e *Emulator) Coast(s *Series, from, to int, equity []float64) int {
	if e.err != nil || e.markets > 0 || e.lossRule || e.daily || from >= to {
		return from
	}
	above, below := e.reach()
	if len(e.lots) > 0 {
		above, below = min(above, e.callAbove), max(below, e.callBelow)
	}
	var i int
	switch {
	case e.lean || len(e.lots) == 0:
		if i = s.first(from, to, above, below); equity != nil && i > from {
			e.curve(s.Close[from:i], equity[:i-from])
		}
	case len(e.lots) == 1:
		i = e.coastOne(s, from, to, above, below, equity)
	default:
		i = e.coastMany(s, from, to, above, below, equity)
	}
	if i > from {
		e.bar, e.close = i-1, s.Close[i-1]
	}
	return i
}

// curve writes the equity at closes between which nothing fills.
func (e *Emulator) curve(closes, equity []float64) {
	equity = equity[:len(closes)]
	base, point := e.capital+e.net, e.point
	switch len(e.lots) {
	case 0:
		for i := range equity {
			equity[i] = base
		}
	case 1:
		size, price := e.lots[0].Size, e.lots[0].Price
		for i, c := range closes {
			equity[i] = base + float64(size*(c-price)*point)
		}
	default:
		for i, c := range closes {
			equity[i] = e.equityAt(c)
		}
	}
}

// outOfReach says whether a bar between the prices stays without meeting any level.
func (e *Emulator) outOfReach(high, low float64) bool {
	if e.markets > 0 {
		return false
	}
	above, below := e.reach()
	return high < above && low > below
}

// reach is the prices below and above which a bar stays without meeting a level: a high under above and a low over
// below fill nothing. A trailing stop in force follows every price, so nothing is out of reach.
func (e *Emulator) reach() (above, below float64) {
	above, below = math.Inf(1), math.Inf(-1)
	meet := func(stop, limit float64, d Dir) {
		if d < 0 {
			stop, limit = limit, stop
		}
		// Upwards a buy stop or a sell limit is met, downwards a sell stop or a buy limit.
		if stop < above {
			above = stop
		}
		if limit > below {
			below = limit
		}
	}
	for i := range e.orders {
		o := &e.orders[i]
		if o.kind != kindExit {
			meet(o.stop, o.limit, o.dir)
			continue
		}
		x := o.exit
		e.levels(x)
		if x.dir == Both {
			continue
		}
		meet(x.stop, x.limit, -x.dir)
		if x.trailing() {
			if !math.IsNaN(x.best) {
				return math.Inf(-1), math.Inf(1)
			}
			meet(math.NaN(), x.activation, -x.dir)
		}
	}
	return (above - 2*onGrid) * e.grid.tick, (below + 2*onGrid) * e.grid.tick
}

// coastOne is coastMany for a single lot, the usual case: everything it follows stays in registers.
func (e *Emulator) coastOne(s *Series, from, to int, above, below float64, equity []float64) int {
	l := &e.lots[0]
	size, price, base, point := l.Size, l.Price, e.capital+e.net, e.point
	a := e.account
	top, bottom := l.high, l.low
	opens, highs, lows, closes := s.Open[:to], s.High[:to], s.Low[:to], s.Close[:to]
	i := from
	for ; i < to; i++ {
		o, h, low := opens[i], highs[i], lows[i]
		if h >= above || low <= below {
			break
		}
		first, second := base+float64(size*(low-price)*point), base+float64(size*(h-price)*point)
		if h-o < o-low {
			first, second = second, first
		}
		if h > top {
			top = h
		}
		if low < bottom {
			bottom = low
		}
		a.watch(first)
		a.watch(second)
		if equity != nil {
			equity[i-from] = base + float64(size*(closes[i]-price)*point)
		}
	}
	e.account, l.high, l.low = a, top, bottom
	return i
}

func (e *Emulator) coastMany(s *Series, from, to int, above, below float64, equity []float64) int {
	i := from
	for ; i < to; i++ {
		p := prices{s.Open[i], s.High[i], s.Low[i], s.Close[i]}
		if p.high >= above || p.low <= below {
			break
		}
		e.passQuietly(p)
		if equity != nil {
			equity[i-from] = e.equityAt(p.close)
		}
	}
	return i
}
