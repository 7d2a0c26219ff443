package broker

import "math"

// touch is where a leg of the path meets an order.
type touch struct {
	at     float64 // price so far when it happens, in ticks
	price  float64 // of the fill, in ticks, before slippage
	dist   float64 // from the leg's start
	limit  bool
	buys   bool
	reason Reason
}

// before orders two touches of a leg.
func (t *touch) before(o *touch) bool {
	switch {
	case t.dist != o.dist:
		return t.dist < o.dist
	case t.limit != o.limit:
		return o.limit
	}
	return t.buys && !o.buys
}

// walk moves the price from a to b and fills what it meets. With a equal to b it fills what a has
// reached or passed.
func (e *Emulator) walk(a, b float64) {
	for len(e.orders) > 0 {
		var first touch
		found := -1
		for i := range e.orders {
			if t, ok := e.meet(&e.orders[i], a, b); ok && (found < 0 || t.before(&first)) {
				first, found = t, i
			}
		}
		if found < 0 {
			break
		}
		e.follow(first.at)
		a = first.at
		o := &e.orders[found]
		if o.kind != kindExit && !o.armed && !math.IsNaN(o.stop) && !math.IsNaN(o.limit) {
			o.armed = true
			if !e.marketable(o, a) {
				continue
			}
			first.price, first.limit = a, true
		}
		e.fill(found, first.price, !first.limit, first.reason)
	}
	e.follow(b)
}

// marketable says whether an armed stop-limit may fill at price k.
func (e *Emulator) marketable(o *order, k float64) bool {
	if o.dir > 0 {
		return k <= o.limit-float64(e.s.LimitTicks)
	}
	return k >= o.limit+float64(e.s.LimitTicks)
}

// meet says where the leg from a to b meets the order.
func (e *Emulator) meet(o *order, a, b float64) (touch, bool) {
	switch o.kind {
	case kindClose, kindCloseAll:
		return touch{}, false
	case kindExit:
		return e.meetExit(o, a, b)
	}
	if !math.IsNaN(o.stop) && !o.armed {
		return meetStop(o.stop, o.dir, a, b)
	}
	if !math.IsNaN(o.limit) {
		return e.meetLimit(o.limit, o.dir, a, b)
	}
	return touch{}, false
}

func (e *Emulator) meetExit(o *order, a, b float64) (touch, bool) {
	x := o.exit
	e.levels(x)
	if x.dir == Both || (e.exits > 1 || x.reduced > 0) && e.exitQty(o) <= 0 {
		return touch{}, false
	}
	stop, trail := x.effectiveStop()
	t, ok := meetStop(stop, -x.dir, a, b)
	t.reason = ByStop
	if trail {
		t.reason = ByTrail
	}
	if l, met := e.meetLimit(x.limit, -x.dir, a, b); met && (!ok || l.before(&t)) {
		t, ok = l, true
		t.reason = ByLimit
	}
	// Without an offset the trailing stop sits at the best price: reaching the activation fills it.
	if math.IsNaN(x.best) && x.offset == 0 && x.trailing() {
		sign := float64(x.dir)
		if sign*(b-a) >= 0 && sign*b >= sign*x.activation {
			at := x.activation
			if sign*a > sign*at {
				at = a
			}
			l := touch{at: at, price: at, dist: math.Abs(at - a), limit: true, buys: x.dir < 0, reason: ByTrail}
			if !ok || l.before(&t) {
				t, ok = l, true
			}
		}
	}
	return t, ok
}

// meetStop says where the leg meets a stop of direction d. A NaN level is never met.
func meetStop(level float64, d Dir, a, b float64) (touch, bool) {
	if d > 0 {
		if !(b >= a && b >= level) {
			return touch{}, false
		}
		at := max(level, a)
		return touch{at: at, price: at, dist: at - a, buys: true}, true
	}
	if !(b <= a && b <= level) {
		return touch{}, false
	}
	at := min(level, a)
	return touch{at: at, price: at, dist: a - at}, true
}

// meetLimit says where the leg goes beyond a limit of direction d by the assumed ticks. It fills at its level,
// or at the price so far when that is better.
func (e *Emulator) meetLimit(level float64, d Dir, a, b float64) (touch, bool) {
	beyond := level - float64(float64(d)*float64(e.s.LimitTicks))
	if d > 0 {
		if !(b <= a && b <= beyond) {
			return touch{}, false
		}
	} else if !(b >= a && b >= beyond) {
		return touch{}, false
	}
	if float64(d)*(beyond-a) >= 0 {
		return touch{at: a, price: a, limit: true, buys: d > 0}, true
	}
	return touch{at: beyond, price: level, dist: math.Abs(beyond - a), limit: true, buys: d > 0}, true
}

// quiet says that nothing fills on a bar between the two prices. It may say no when nothing does.
func (e *Emulator) quiet(high, low float64) bool {
	if e.markets > 0 {
		return false
	}
	for i := range e.orders {
		o := &e.orders[i]
		stop, limit, dir := o.stop, o.limit, o.dir
		if o.kind == kindExit {
			x := o.exit
			e.levels(x)
			if x.dir == Both {
				continue
			}
			if x.trailing() && (!math.IsNaN(x.best) || x.dir > 0 && high >= x.activation || x.dir < 0 && low <= x.activation) {
				return false
			}
			stop, limit, dir = x.stop, x.limit, -x.dir
		}
		if dir > 0 && (high >= stop || low <= limit) || dir < 0 && (low <= stop || high >= limit) {
			return false
		}
	}
	return true
}

// fillMarkets fills market orders at price k in order of creation; with immediateOnly, those alone.
func (e *Emulator) fillMarkets(k float64, immediateOnly bool) {
	for i := 0; e.markets > 0 && i < len(e.orders); {
		o := &e.orders[i]
		if !o.market() || immediateOnly && !o.immediate {
			i++
			continue
		}
		// A fill removes its own order and may remove others: begin again with the oldest.
		e.fill(i, k, true, ByOrder)
		i = 0
	}
}
