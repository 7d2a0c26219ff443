package broker

import "math"

// Emulator holds the orders, lots and money of one run. Its zero value is not usable: call New. One
// emulator serves any number of runs, one after the other.
type Emulator struct {
	s     Settings
	grid  grid
	point float64

	orders []order // live, in order of creation
	lots   []Lot   // open, oldest first
	spent  []exitKey
	spare  []*exitState // memory of exits that are not live
	closed []Trade
	keep   bool
	lean   bool // extremes inside bars are not followed
	err    error
	again  func() error // see Recalculate

	serial  int64 // of the last order
	version int64 // of lots and exits; exits recompute their levels when it changes

	bar         int
	close       float64 // of the last bar
	closedOnBar int     // last bar on which a Close or CloseAll filled
	atClose     bool    // fills now are at the bar's close
	filling     int32   // id of the entry that is being filled
	now         prices  // of the bar that is worked off
	markets     int     // live orders without a price
	exits       int     // live exits
	trails      int     // live trailing exits

	size, cost           float64 // of the lots: sum of sizes, sum of size·price
	lotInverse           float64 // lots a unit when that is a whole number, else 0
	fixedQty             float64 // the default size when it is a number of units
	callBelow, callAbove float64 // prices from which on the position may lack margin
	account
	risk
}

// exitKey names an exit of one entry.
type exitKey struct{ id, from int32 }

// New is an emulator ready for a run.
func New(s Settings) *Emulator {
	e := &Emulator{}
	e.Reset(s)
	return e
}

// Reset makes the emulator as New does, and keeps its memory and KeepTrades.
func (e *Emulator) Reset(s Settings) {
	if s.Pyramiding < 1 {
		s.Pyramiding = 1
	}
	if s.PointValue == 0 {
		s.PointValue = 1
	}
	g := e.grid
	if g.tick != s.Tick {
		g = newGrid(s.Tick)
	}
	e.spareExits()
	*e = Emulator{
		s: s, grid: g, point: s.PointValue, keep: e.keep, lean: e.lean,
		orders: e.orders[:0], lots: e.lots[:0], spent: e.spent[:0], closed: e.closed[:0], spare: e.spare,
		close: math.NaN(), closedOnBar: -1,
	}
	if inverse := math.Floor(1/s.LotStep + 0.5); inverse >= 1 && math.Abs(float64(inverse*s.LotStep)-1) < 1e-9 {
		e.lotInverse = inverse
	}
	e.fixedQty = e.floorLot(s.Qty)
	e.account.reset(s.Capital)
	e.risk.reset(s.Capital)
}

// KeepTrades says whether Closed keeps a row for each closed lot. Counters and sums are kept either way.
func (e *Emulator) KeepTrades(keep bool) { e.keep = keep }

// KeepExtremes says whether equity and lots are followed inside bars, which is the default.
// Without, MaxDrawdown, MaxRunup and the excursions of lots and trades are without meaning, and bars on
// which nothing fills cost next to nothing.
func (e *Emulator) KeepExtremes(keep bool) { e.lean = !keep }

// Err is the bound that the run exceeded, or nil.
func (e *Emulator) Err() error { return e.err }

// Idle says that the position is flat, no order is live and no rule counts days: a bar changes nothing.
func (e *Emulator) Idle() bool { return len(e.orders) == 0 && len(e.lots) == 0 && !e.daily }

// Bar works off the orders of earlier bars on one bar. day numbers the trading day in the exchange's
// time zone. The error is a *LimitError, or that of a recalculation, and then the run is over.
func (e *Emulator) Bar(bar int, day int32, open, high, low, closing float64) error {
	return e.BarDetail(bar, day, open, high, low, closing, Inner{})
}

// BarDetail is Bar with the bars of a lower timeframe in place of the assumed path. Without any it
// assumes the path.
func (e *Emulator) BarDetail(bar int, day int32, open, high, low, closing float64, inner Inner) error {
	if e.err != nil {
		return e.err
	}
	if e.daily {
		e.newDay(day)
	}
	e.bar, e.close, e.now = bar, closing, prices{open, high, low, closing}
	if len(e.orders) == 0 && len(e.lots) == 0 {
		return nil
	}
	if len(e.orders) == 0 || e.outOfReach(high, low) || e.quiet(e.grid.ticks(high), e.grid.ticks(low)) {
		if e.mayCall(high, low) {
			e.callMargin(open)
		}
		e.passQuietly(e.now)
	} else {
		e.walkBar(e.now, inner)
	}
	if e.mayCall(high, low) {
		e.callMargin(e.worst(high, low))
	}
	if e.lossRule {
		e.checkLosses()
	}
	return e.err
}

// mayCall says whether a bar between the prices may call margin.
func (e *Emulator) mayCall(high, low float64) bool {
	return len(e.lots) > 0 && (low <= e.callBelow || high >= e.callAbove)
}

// prices are those of one bar.
type prices struct{ open, high, low, close float64 }

// upFirst says whether the assumed path visits the high before the low. The distances are compared as
// floating-point differences of the prices, not in ticks: the platform's own path decides equal distances
// by their rounding errors.
func (p prices) upFirst() bool { return p.high-p.open < p.open-p.low }

// walkBar fills market orders at the open and walks the path.
func (e *Emulator) walkBar(p prices, inner Inner) {
	open, seen := e.grid.ticks(p.open), e.version
	e.fillMarkets(open, false)
	if e.mayCall(p.open, p.open) {
		e.callMargin(p.open)
	}
	if e.again != nil {
		e.walkBarAgain(p, inner, seen)
		return
	}
	if e.lean && (len(e.orders) == 0 || len(inner.Open) == 0 && e.outOfReach(p.high, p.low)) {
		return
	}
	if len(inner.Open) == 0 {
		e.walkPath(p)
		return
	}
	for i := range inner.Open {
		e.walkPath(prices{inner.Open[i], inner.High[i], inner.Low[i], inner.Close[i]})
	}
}

// walkPath walks a bar whose inside is not known: its open and three legs.
func (e *Emulator) walkPath(p prices) {
	open, first, second := e.grid.ticks(p.open), e.grid.ticks(p.low), e.grid.ticks(p.high)
	if p.upFirst() {
		first, second = second, first
	}
	e.follow(open)
	e.walk(open, open)
	e.walk(open, first)
	e.walk(first, second)
	e.walk(second, e.grid.ticks(p.close))
}

// passQuietly shows lots and equity the extremes of a bar on which nothing fills.
func (e *Emulator) passQuietly(p prices) {
	if len(e.lots) == 0 || e.lean {
		return
	}
	first, second := p.low, p.high
	if p.upFirst() {
		first, second = second, first
	}
	for i := range e.lots {
		l := &e.lots[i]
		if p.high > l.high {
			l.high = p.high
		}
		if p.low < l.low {
			l.low = p.low
		}
	}
	e.watch(e.equityAt(first))
	e.watch(e.equityAt(second))
}

// see updates the extremes of lots and equity by one price.
func (e *Emulator) see(price float64) {
	for i := range e.lots {
		l := &e.lots[i]
		if price > l.high {
			l.high = price
		}
		if price < l.low {
			l.low = price
		}
	}
	e.watch(e.equityAt(price))
}

// AfterScript fills what may fill at the close of the bar whose strategy has placed its orders:
// everything marketable with ProcessOnClose, else the closes placed with immediately.
func (e *Emulator) AfterScript() {
	if len(e.orders) == 0 || e.markets == 0 && !e.s.ProcessOnClose {
		return
	}
	if !e.s.ProcessOnClose && !e.anyImmediate() {
		return
	}
	c := e.grid.ticks(e.close)
	e.atClose = true
	e.fillMarkets(c, !e.s.ProcessOnClose)
	if e.s.ProcessOnClose {
		e.walk(c, c)
	}
	e.atClose = false
}

func (e *Emulator) anyImmediate() bool {
	for i := range e.orders {
		if e.orders[i].immediate {
			return true
		}
	}
	return false
}
