package broker

// lastPoint is the last point of a bar's path at which a strategy is calculated again: the open is 0, the
// nearer extreme 1, the other one 2. At the close it is calculated anyway.
const lastPoint = 2

// Recalculate has f called again inside a bar after orders have filled: at the open, at the nearer extreme and
// at the other one, whichever the path reaches first after a fill. Orders that f places there work on the rest of
// the bar, market orders at that point. While f runs, what is read at the last close is read at that point.
// An error of f ends the run. Reset switches it off.
func (e *Emulator) Recalculate(f func() error) { e.again = f }

// walkBarAgain is the rest of walkBar; seen is the version of the lots before anything filled.
func (e *Emulator) walkBarAgain(p prices, inner Inner, seen int64) {
	if len(inner.Open) == 0 {
		e.walkAgain(p, seen)
		return
	}
	for i := range inner.Open {
		e.walkAgain(prices{inner.Open[i], inner.High[i], inner.Low[i], inner.Close[i]}, seen)
		seen = e.version
	}
}

// walkAgain walks a bar's path as walkPath does, and calculates the strategy again.
func (e *Emulator) walkAgain(p prices, seen int64) {
	points := [4]float64{e.grid.ticks(p.open), e.grid.ticks(p.low), e.grid.ticks(p.high), e.grid.ticks(p.close)}
	if p.upFirst() {
		points[1], points[2] = points[2], points[1]
	}
	e.follow(points[0])
	e.walk(points[0], points[0])
	for n := 0; ; n++ {
		if n > 0 {
			e.walk(points[n-1], points[n])
		}
		if n > lastPoint || e.err != nil {
			return
		}
		if e.version == seen {
			continue
		}
		seen = e.version // fills from here on are news for the next point
		closing := e.close
		e.close = e.grid.price(points[n])
		if err := e.again(); err != nil && e.err == nil {
			e.err = err
		}
		e.close = closing
		e.fillMarkets(points[n], false)
		e.walk(points[n], points[n])
	}
}
