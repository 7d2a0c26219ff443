package broker

import "math"

// dust is the quantity below which a lot counts as closed.
const dust = 1e-9

// fill executes live order i at price k in ticks and removes it.
func (e *Emulator) fill(i int, k float64, slips bool, reason Reason) {
	o := e.orders[i]
	e.remove(i)
	switch o.kind {
	case kindEntry, kindOrder:
		e.fillEntry(&o, e.priceFor(k, o.dir, slips))
	case kindExit:
		e.fillExit(&o, e.priceFor(k, -o.exit.dir, slips), reason)
	default:
		e.fillClose(&o, e.priceFor(k, -o.dir, slips))
	}
}

// priceFor is the price of a fill at k ticks, with slippage against direction d.
func (e *Emulator) priceFor(k float64, d Dir, slips bool) float64 {
	if slips {
		k += float64(float64(d) * float64(e.s.SlippageTicks))
	}
	return e.grid.price(k)
}

// fillEntry closes what the order closes and opens what it opens.
func (e *Emulator) fillEntry(o *order, price float64) {
	if e.dayOver {
		return
	}
	qty := o.qty
	if o.resize {
		qty = e.defaultQty(price)
	}
	closing, opening := e.split(o, qty)
	if opening > 0 && o.kind == kindEntry {
		opening = e.allowed(o.dir, closing, opening)
	}
	if o.kind == kindEntry && e.affords(o, closing, opening, price) == rejected {
		e.dropClosesWith(o)
		return
	}
	if closing <= dust && opening <= dust {
		return
	}
	e.filling = o.id
	traded := closing + max(opening, 0)
	if closing > dust {
		e.take(closing, traded, price, taker{id: o.id, comment: o.comment}, 0)
	}
	if opening > dust {
		e.open(o, opening, traded, price)
	}
	e.reduceGroup(o, o.qty)
	e.filling = 0
	e.countFill(price, true)
}

// dropClosesWith removes the closes that were placed on the bar of a rejected reversal, after it: they do not
// close in its stead.
func (e *Emulator) dropClosesWith(o *order) {
	if !o.reverses {
		return
	}
	for i := len(e.orders) - 1; i >= 0; i-- {
		if c := &e.orders[i]; (c.kind == kindClose || c.kind == kindCloseAll) && c.bar == o.bar && c.dir != o.dir {
			e.remove(i)
		}
	}
}

// split divides an entry's quantity into what closes the opposite position and what opens.
func (e *Emulator) split(o *order, qty float64) (closing, opening float64) {
	against := e.size * float64(o.dir)
	size := math.Abs(e.size)
	switch {
	case against < 0 && o.kind == kindEntry && (o.reverses || !o.priced()):
		return size, qty
	case against < 0:
		closing = min(size, qty)
		return closing, qty - closing
	case o.kind == kindOrder:
		return 0, qty
	case !o.priced():
		if against > 0 && len(e.lots) >= e.s.Pyramiding {
			return 0, 0
		}
		return 0, qty
	}
	return 0, qty + o.carry
}

// open adds a lot.
func (e *Emulator) open(o *order, qty, traded, price float64) {
	if len(e.lots) >= MaxLots {
		e.err = ErrLots
		return
	}
	e.lots = append(e.lots, Lot{
		ID: o.id, Comment: o.comment, Size: qty * float64(o.dir), Price: price, Bar: e.bar, AtClose: e.atClose,
		Fee: e.fee(qty, traded, price), original: qty, high: price, low: price,
	})
	e.sum()
}

// taker names what closes lots.
type taker struct {
	id, comment int32
	reason      Reason
}

// take closes qty units of the position, oldest lots first; with only, lots of that entry alone. The
// order as a whole trades traded units.
func (e *Emulator) take(qty, traded, price float64, by taker, only int32) {
	kept := e.lots[:0]
	for i := range e.lots {
		l := e.lots[i]
		if qty <= dust || only != 0 && l.ID != only {
			kept = append(kept, l)
			continue
		}
		part := min(qty, math.Abs(l.Size))
		qty -= part
		e.book(&l, part, e.fee(part, traded, price), price, by)
		if math.Abs(l.Size) > dust {
			kept = append(kept, l)
		}
	}
	e.lots = kept
	e.sum()
	if !e.lean {
		e.watch(e.equityAt(price))
	}
	if len(e.lots) == 0 {
		e.endPosition()
	}
}

// endPosition drops the exits of a position that has closed, but those of an entry that is filling.
func (e *Emulator) endPosition() {
	e.spent = e.spent[:0]
	if e.exits == 0 {
		return
	}
	for i := len(e.orders) - 1; i >= 0; i-- {
		if o := &e.orders[i]; o.kind == kindExit && (e.filling == 0 || o.exit.From != e.filling) {
			e.remove(i)
		}
	}
}

// sum brings the totals of the position up to its lots.
func (e *Emulator) sum() {
	e.version++
	e.size, e.cost = 0, 0
	for i := range e.lots {
		e.size += e.lots[i].Size
		e.cost += float64(e.lots[i].Size * e.lots[i].Price)
	}
	e.noteSize(e.size)
	e.callBelow, e.callAbove = e.callPrices()
}

func (e *Emulator) fillClose(o *order, price float64) {
	if e.side() != o.dir {
		return
	}
	qty, only := min(o.qty, math.Abs(e.size)), int32(0)
	if o.kind == kindClose {
		mine, _ := e.lotsOf(o.id)
		qty = min(o.qty, math.Abs(mine))
		if e.s.CloseAny {
			only = o.id
		}
	}
	if qty > dust {
		e.take(qty, qty, price, taker{id: o.id, comment: o.comment}, only)
		e.closedOnBar = e.bar
		e.countFill(price, false)
	}
}

func (e *Emulator) fillExit(o *order, price float64, reason Reason) {
	x := o.exit
	mine, _ := e.exitLots(x.From)
	qty := e.exitQty(o)
	if qty <= dust {
		return
	}
	if qty < mine-dust {
		e.spent = append(e.spent, exitKey{x.ID, x.From})
	}
	only := int32(0)
	if e.s.CloseAny {
		only = x.From
	}
	e.take(qty, qty, price, taker{id: x.ID, comment: x.commentFor(reason), reason: reason}, only)
	e.reduceGroup(o, qty)
	e.countFill(price, false)
}

// commentFor is the comment of an exit by what filled it.
func (x *exitState) commentFor(reason Reason) int32 {
	special := x.CommentLoss
	switch reason {
	case ByLimit:
		special = x.CommentProfit
	case ByTrail:
		special = x.CommentTrail
	}
	if special != 0 {
		return special
	}
	return x.Comment
}

// exitLots is the open and the original quantity of the lots that an exit acts on.
func (e *Emulator) exitLots(from int32) (open, original float64) {
	for i := range e.lots {
		if l := &e.lots[i]; from == 0 || l.ID == from {
			open += math.Abs(l.Size)
			original += l.original
		}
	}
	return open, original
}

// exitQty is what an exit would close now: its wish, within what exits called before it have reserved.
func (e *Emulator) exitQty(o *order) float64 {
	open, original := e.exitLots(o.exit.From)
	rest := open
	if e.exits > 0 {
		for i := range e.orders {
			s := &e.orders[i]
			if s.kind == kindExit && s.exit.From == o.exit.From && s.exit.born < o.exit.born {
				rest -= e.wish(s.exit, open, original)
			}
		}
	}
	return max(0, min(rest, e.wish(o.exit, open, original)))
}

// wish is the quantity that an exit asks for.
func (e *Emulator) wish(x *exitState, open, original float64) float64 {
	switch {
	case !math.IsNaN(x.Qty):
		return max(0, min(open, e.floorLot(x.Qty)-x.reduced))
	case !math.IsNaN(x.QtyPercent):
		return max(0, min(open, e.floorLot(original*x.QtyPercent/100)-x.reduced))
	}
	return open
}

// reduceGroup applies the fill of an order to the others of its group.
func (e *Emulator) reduceGroup(o *order, qty float64) {
	if o.oca == 0 || o.ocaType == OCANone {
		return
	}
	for i := len(e.orders) - 1; i >= 0; i-- {
		s := &e.orders[i]
		if s.oca != o.oca {
			continue
		}
		if o.ocaType == OCAReduce {
			if s.kind == kindExit {
				s.exit.reduced += qty
				continue
			}
			if s.qty -= qty; s.qty > dust {
				continue
			}
		}
		e.remove(i)
	}
}
