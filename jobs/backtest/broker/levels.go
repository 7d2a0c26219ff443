package broker

import "math"

// levels computes an exit's levels in ticks from the lots that it acts on.
func (e *Emulator) levels(x *exitState) {
	if x.version == e.version {
		return
	}
	x.version = e.version
	x.dir, x.stop, x.limit, x.activation = Both, math.NaN(), math.NaN(), math.NaN()
	size, cost := e.size, e.cost
	if x.From != 0 {
		size, cost = e.lotsOf(x.From)
	}
	if size == 0 {
		return
	}
	x.dir = Long
	if size < 0 {
		x.dir = Short
	}
	entry, sign := cost/size/e.grid.tick, float64(x.dir)
	stop, loss := stopLevel(x.Stop/e.grid.tick, -x.dir), stopLevel(entry-float64(sign*x.Loss), -x.dir)
	limit, profit := limitLevel(x.Limit/e.grid.tick, -x.dir), limitLevel(entry+float64(sign*x.Profit), -x.dir)
	x.stop = e.combine(stop, loss, x.dir)
	x.limit = e.combine(limit, profit, -x.dir)
	switch {
	case !math.IsNaN(x.TrailPrice):
		x.activation = limitLevel(x.TrailPrice/e.grid.tick, -x.dir)
	case !math.IsNaN(x.TrailPoints):
		x.activation = limitLevel(entry+float64(sign*wholeTicks(x.TrailPoints)), -x.dir)
	}
}

// combine chooses between an absolute and a relative level: the one that the price meets first, which
// is the higher for d long, or the absolute one.
func (e *Emulator) combine(absolute, relative float64, d Dir) float64 {
	switch {
	case math.IsNaN(absolute):
		return relative
	case math.IsNaN(relative) || !e.s.Nearer:
		return absolute
	case d > 0:
		return max(absolute, relative)
	}
	return min(absolute, relative)
}

// lotsOf sums the lots of one entry.
func (e *Emulator) lotsOf(id int32) (size, cost float64) {
	for i := range e.lots {
		if l := &e.lots[i]; l.ID == id {
			size += l.Size
			cost += float64(l.Size * l.Price)
		}
	}
	return size, cost
}

// follow moves the best price of a trailing exit when price k is beyond it and its activation.
func (x *exitState) follow(k float64) {
	sign := float64(x.dir)
	if x.dir == Both || !(sign*k >= sign*x.activation) {
		return
	}
	if math.IsNaN(x.best) || sign*k > sign*x.best {
		x.best = k
	}
}

// effectiveStop is the nearer of the stop and the trailing stop, and whether it is the trailing one.
func (x *exitState) effectiveStop() (level float64, trail bool) {
	if math.IsNaN(x.best) {
		return x.stop, false
	}
	sign := float64(x.dir)
	following := stopLevel(x.best-float64(sign*x.offset), -x.dir)
	if math.IsNaN(x.stop) || sign*following > sign*x.stop {
		return following, true
	}
	return x.stop, false
}

// follow shows the price so far to lots, equity and trailing exits.
func (e *Emulator) follow(k float64) {
	if len(e.lots) > 0 && !e.lean {
		e.see(e.grid.price(k))
	}
	if e.trails == 0 {
		return
	}
	for i := range e.orders {
		if o := &e.orders[i]; o.kind == kindExit && o.exit.trailing() {
			e.levels(o.exit)
			o.exit.follow(k)
		}
	}
}
