package broker

import "math"

type kind uint8

const (
	kindEntry kind = iota // with pyramiding and reversal
	kindOrder             // nets
	kindExit
	kindClose
	kindCloseAll
)

// order is one live order. Prices are in ticks, absent ones NaN.
type order struct {
	kind      kind
	dir       Dir // of a close: the side that it closes
	ocaType   OCAType
	armed     bool // a stop-limit whose stop was touched
	reverses  bool // placed while the position was opposite
	immediate bool
	resize    bool // a priced order of the default size
	id        int32
	comment   int32
	oca       int32
	serial    int64
	bar       int
	qty       float64
	carry     float64 // opposite size at the call, for a deferred flip
	stop      float64
	limit     float64

	exit *exitState // of an exit; nil otherwise
}

// exitState is what only exits have.
type exitState struct {
	Exit
	best    float64 // price that the trailing stop follows; NaN until active
	offset  float64 // whole ticks
	reduced float64 // quantity that its group has taken from it
	born    int64   // serial of its first call: who called first reserves first

	version    int64 // of the levels below
	dir        Dir   // of the lots; Both when it has none
	stop       float64
	limit      float64
	activation float64
}

func (o *order) priced() bool { return !math.IsNaN(o.stop) || !math.IsNaN(o.limit) }

func (o *order) market() bool { return o.kind != kindExit && !o.priced() }

// trailing says whether an exit has a trailing stop.
func (x *exitState) trailing() bool {
	return !math.IsNaN(x.TrailPoints) || !math.IsNaN(x.TrailPrice)
}

// Entry places or replaces an entry. It does nothing when the direction has all its entries, when the
// quantity is not positive, and while a risk rule has stopped trading.
func (e *Emulator) Entry(o Entry) { e.place(o, kindEntry) }

// Order places or replaces an order that nets against the position.
func (e *Emulator) Order(o Entry) { e.place(o, kindOrder) }

func (e *Emulator) place(n Entry, k kind) {
	against := e.size * float64(n.Dir)
	if e.stopped || e.dayOver || n.Dir == Both || k == kindEntry && against > 0 && len(e.lots) >= e.s.Pyramiding {
		return
	}
	o := order{
		kind: k, dir: n.Dir, id: n.ID, comment: n.Comment, oca: n.OCA, ocaType: n.OCAType, bar: e.bar,
		stop: math.NaN(), limit: math.NaN(),
	}
	if !math.IsNaN(n.Stop) {
		o.stop = e.grid.stopTicks(n.Stop, n.Dir)
	}
	if !math.IsNaN(n.Limit) {
		o.limit = e.grid.limitTicks(n.Limit, n.Dir)
	}
	if math.IsNaN(n.Qty) {
		o.qty, o.resize = e.defaultQty(e.close), o.priced()
	} else {
		o.qty = e.floorLot(n.Qty)
	}
	if !(o.qty > 0) || math.IsInf(o.qty, 0) {
		return
	}
	if against < 0 {
		o.reverses = true
		o.carry = max(0, math.Abs(e.size)-e.closesOfThisBar())
	}
	if i := e.findEntry(n.ID); i >= 0 {
		e.remove(i)
	}
	e.add(o)
}

// closesOfThisBar is the quantity that closes placed on this bar ask for.
func (e *Emulator) closesOfThisBar() float64 {
	sum := 0.0
	for i := range e.orders {
		if o := &e.orders[i]; (o.kind == kindClose || o.kind == kindCloseAll) && o.bar == e.bar {
			sum += o.qty
		}
	}
	return sum
}

// Exit places or replaces a bracket. It does nothing without a level, with neither lots nor a pending
// entry to act on, and when it is spent.
func (e *Emulator) Exit(x *Exit) {
	if math.IsNaN(x.Profit) && math.IsNaN(x.Limit) && math.IsNaN(x.Loss) && math.IsNaN(x.Stop) &&
		math.IsNaN(x.TrailPrice) && math.IsNaN(x.TrailPoints) {
		return
	}
	if len(e.lots) == 0 && !e.pendingEntry() || e.isSpent(exitKey{x.ID, x.From}) {
		return
	}
	i := e.findExit(x.ID, x.From)
	if i >= 0 {
		e.replaceExit(i, x)
		return
	}
	if len(e.orders) >= MaxOrders {
		e.err = ErrOrders
		return
	}
	state := e.newExit()
	*state = exitState{Exit: *x, best: math.NaN(), version: -1, born: e.serial + 1}
	if !math.IsNaN(x.TrailOffset) {
		state.offset = wholeTicks(x.TrailOffset)
	}
	e.levels(state)
	if state.trailing() {
		state.follow(e.grid.ticks(e.close))
	}
	e.add(order{
		kind: kindExit, id: x.ID, oca: x.OCA, ocaType: x.OCAType, bar: e.bar, stop: math.NaN(), limit: math.NaN(), exit: state,
	})
}

// replaceExit replaces live exit i by a call, in its own memory: scripts call an exit on every bar.
func (e *Emulator) replaceExit(i int, n *Exit) {
	o := e.orders[i]
	x, last := o.exit, len(e.orders)-1
	if i == last && x.same(n) {
		return
	}
	e.count(&o, -1)
	best, born := x.best, x.born
	*x = exitState{Exit: *n, best: best, born: born, version: -1}
	if !math.IsNaN(n.TrailOffset) {
		x.offset = wholeTicks(n.TrailOffset)
	}
	e.levels(x)
	if x.dir != Both && float64(x.dir)*x.activation > float64(x.dir)*x.best {
		x.best = math.NaN()
	}
	e.serial++
	o.oca, o.ocaType, o.bar, o.serial = n.OCA, n.OCAType, e.bar, e.serial
	e.count(&o, 1)
	copy(e.orders[i:], e.orders[i+1:])
	e.orders[last] = o
}

// newExit is memory for an exit.
func (e *Emulator) newExit() *exitState {
	if n := len(e.spare); n > 0 {
		x := e.spare[n-1]
		e.spare = e.spare[:n-1]
		return x
	}
	return &exitState{}
}

// same says whether a call repeats the exit as it is. Scripts call an exit on every bar; most calls
// change nothing.
func (x *exitState) same(n *Exit) bool {
	if x.reduced != 0 || x.Comment != n.Comment || x.CommentProfit != n.CommentProfit || x.CommentLoss != n.CommentLoss ||
		x.CommentTrail != n.CommentTrail || x.OCA != n.OCA || x.OCAType != n.OCAType {
		return false
	}
	equal := func(a, b float64) bool { return a == b || a != a && b != b }
	return equal(x.Stop, n.Stop) && equal(x.Limit, n.Limit) && equal(x.Loss, n.Loss) && equal(x.Profit, n.Profit) &&
		equal(x.TrailPrice, n.TrailPrice) && equal(x.TrailPoints, n.TrailPoints) && equal(x.TrailOffset, n.TrailOffset) &&
		equal(x.Qty, n.Qty) && equal(x.QtyPercent, n.QtyPercent)
}

// pendingEntry says whether an order that opens a position is live.
func (e *Emulator) pendingEntry() bool {
	for i := range e.orders {
		if k := e.orders[i].kind; k == kindEntry || k == kindOrder {
			return true
		}
	}
	return false
}

// Close closes lots of the entry id at market: qty units, or qtyPercent of them, or all when both are
// NaN. It does nothing when the entry has no open lot.
func (e *Emulator) Close(id, comment int32, qty, qtyPercent float64, immediately bool) {
	open := 0.0
	for i := range e.lots {
		if e.lots[i].ID == id {
			open += math.Abs(e.lots[i].Size)
		}
	}
	if open == 0 {
		return
	}
	switch {
	case !math.IsNaN(qtyPercent):
		qty = e.floorLot(open * qtyPercent / 100)
	case math.IsNaN(qty):
		qty = open
	}
	if qty > 0 {
		e.add(e.marketClose(kindClose, id, comment, qty, immediately))
	}
}

// CloseAll closes the whole position at market.
func (e *Emulator) CloseAll(comment int32, immediately bool) {
	if len(e.lots) == 0 {
		return
	}
	for i := range e.orders {
		if e.orders[i].kind == kindCloseAll {
			e.remove(i)
			break
		}
	}
	e.add(e.marketClose(kindCloseAll, 0, comment, math.Abs(e.size), immediately))
}

func (e *Emulator) marketClose(k kind, id, comment int32, qty float64, immediately bool) order {
	return order{
		kind: k, dir: e.side(), id: id, comment: comment, bar: e.bar, qty: qty, immediate: immediately,
		stop: math.NaN(), limit: math.NaN(),
	}
}

// Cancel removes the live entry, order and exits of an id.
func (e *Emulator) Cancel(id int32) {
	for i := len(e.orders) - 1; i >= 0; i-- {
		if o := &e.orders[i]; o.id == id && o.kind != kindClose && o.kind != kindCloseAll {
			e.remove(i)
		}
	}
}

// CancelAll removes all live orders, market orders too.
func (e *Emulator) CancelAll() {
	e.spareExits()
	e.orders = e.orders[:0]
	e.markets, e.exits, e.trails = 0, 0, 0
}

// spareExits takes back the memory of all live exits.
func (e *Emulator) spareExits() {
	if e.exits == 0 {
		return
	}
	for i := range e.orders {
		if x := e.orders[i].exit; x != nil {
			e.spare = append(e.spare, x)
		}
	}
}

func (e *Emulator) add(o order) {
	if len(e.orders) >= MaxOrders {
		e.err = ErrOrders
		return
	}
	e.serial++
	o.serial = e.serial
	e.count(&o, 1)
	e.orders = append(e.orders, o)
}

// remove drops live order i. An exit's state stays readable until the next Exit.
func (e *Emulator) remove(i int) {
	e.count(&e.orders[i], -1)
	if x := e.orders[i].exit; x != nil {
		e.spare = append(e.spare, x)
	}
	e.orders = append(e.orders[:i], e.orders[i+1:]...)
}

func (e *Emulator) count(o *order, n int) {
	if o.market() {
		e.markets += n
	} else if o.kind == kindExit {
		e.exits += n
		if o.exit.trailing() {
			e.trails += n
		}
	}
}

func (e *Emulator) findEntry(id int32) int {
	for i := range e.orders {
		if o := &e.orders[i]; o.id == id && (o.kind == kindEntry || o.kind == kindOrder) {
			return i
		}
	}
	return -1
}

func (e *Emulator) findExit(id, from int32) int {
	for i := range e.orders {
		if o := &e.orders[i]; o.kind == kindExit && o.id == id && o.exit.From == from {
			return i
		}
	}
	return -1
}

func (e *Emulator) isSpent(k exitKey) bool {
	for _, s := range e.spent {
		if s == k {
			return true
		}
	}
	return false
}
