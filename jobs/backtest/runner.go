package backtest

import "math"

// Runner runs one strategy over one history repeatedly. It keeps its scratch memory, so that
// a run allocates nothing once warm. Not safe for concurrent use: make one per goroutine.
type Runner struct {
	bars     *Bars
	strategy Signaler
	cfg      Config
	ind      Indicators

	// Of cfg, for the inner loops.
	longs, shorts bool // may be entered
	protected     bool // stops or targets are in force

	signals Signals
	course  course
	legs    legs
	equity  []float64 // at the close of the bars from first on, of which so many are measured
	first   int
	read    int
	stats   equityStats
	window  Window    // of the last Simulate
	keep    bool      // the returns of every Simulate
	atr     []float64 // nil unless a stop is measured in true ranges
	trades  []Trade   // filled by Trace only
	trace   bool
}

// equityChunk is how many bars are traded before their returns are summed: few enough for the equity of all lanes to
// stay in the first cache.
const equityChunk = 512

// NewRunner makes a runner with a cache of its own. The config must be valid.
func NewRunner(b *Bars, s Signaler, cfg Config) *Runner {
	return NewIndicatorCache(b).NewRunner(s, cfg)
}

// NewRunner makes a runner over the cache's bars. The config must be valid.
func (c *IndicatorCache) NewRunner(s Signaler, cfg Config) *Runner {
	r := &Runner{
		bars: c.bars, strategy: s, cfg: cfg, ind: Indicators{cache: c}, equity: make([]float64, equityChunk),
		longs: cfg.Side != SideShort, shorts: cfg.Side != SideLong, protected: cfg.Stops.active(),
	}
	if r.protected && cfg.Stops.usesATR() {
		r.atr = append([]float64(nil), r.ind.ATR(cfg.Stops.atrPeriod())...)
		r.ind.release()
	}
	return r
}

// Prepare computes the signals of every bar for the parameters; Simulate and Trace use them.
func (r *Runner) Prepare(p Params) {
	defer r.ind.release()
	r.signals.list = r.signals.list[:0]
	r.strategy.Signals(&r.ind, p, &r.signals)
}

// KeepReturns sets whether later runs keep their returns for Returns, which otherwise runs the window
// again.
func (r *Runner) KeepReturns(keep bool) { r.keep = keep }

// Simulate trades the window, from flat and with the account's cash, and measures the result.
func (r *Runner) Simulate(w Window, m *Metrics) {
	*m = Metrics{Bars: w.Len()}
	r.window = w
	if w.Len() <= 0 {
		m.FinalEquity = r.cfg.Account.Cash
		m.undefined()
		return
	}
	r.run(w)
	r.summarise(w, &r.course.tally, m)
}

// Returns are the per-period returns behind the last Simulate, valid until the next one.
func (r *Runner) Returns() []float64 {
	if w := r.window; w.Len() > 0 && !r.stats.kept() {
		keep := r.keep
		r.keep = true
		r.run(w)
		r.keep = keep
	}
	return r.stats.returns
}

// Trace runs the window as Simulate does and returns every trade, and the equity at each bar's
// close in quote currency. Both belong to the caller.
func (r *Runner) Trace(w Window) ([]Trade, []float64) {
	if w.Len() <= 0 {
		return nil, nil
	}
	scratch := r.equity
	r.equity, r.trace, r.trades = make([]float64, w.Len()), true, nil
	r.run(w)
	equity, trades := r.equity, r.trades
	r.equity, r.trace, r.trades = scratch, false, nil
	return trades, equity
}

// position is the open position; zero units are flat.
type position struct {
	units    float64 // negative when short
	entry    float64 // price
	entryBar int
	cost     float64 // commission paid on entry
	stop     float64 // 0: none
	target   float64 // 0: none
	trail    float64 // distance as a fraction of the best price; or in price when trailATR
	trailATR float64
	best     float64 // best price of the completed bars since the entry
}

// tally sums the results of a run's trades.
type tally struct {
	trades, wins  int
	profit, loss  float64 // sums of winning and losing pnl, both positive
	first         float64 // pnl
	over, squares float64 // sums of pnl − first and of its square
	returnsPct    float64
	exposed       int // bars that closed with an open position
	cash          float64
	ruined        bool
	unpaid        int // entries that were not made as cash did not pay for them
}

// course is where a run has come to.
type course struct {
	bar     int // the next
	pos     position
	tally   tally
	signals []signal // to come
	open    float64  // of the bar on which the next signal is filled
}

// run trades the window chunk by chunk and feeds the equity of every bar to the equity statistics.
func (r *Runner) run(w Window) {
	r.begin(w)
	if r.trace {
		r.advance(w.To)
	}
	r.toEnd()
}

// begin sets a run to the beginning of a window that has bars.
func (r *Runner) begin(w Window) {
	r.window, r.first, r.read = w, w.From, 0
	r.course = course{bar: w.From, signals: signalsFrom(r.signals.list, w.From)}
	r.course.tally.cash = r.cfg.Account.Cash
	r.stats.reset(r.bars, w, r.cfg.Account.Cash, r.keep)
}

// summed makes room for the equity of the bars to come.
func (r *Runner) summed() { r.first, r.read = r.first+r.read, 0 }

// advance walks up to a bar, from one effective signal to the next, and writes the equity at every bar's close. The
// position that is open at the end of the window is closed there.
func (r *Runner) advance(to int) {
	w, pos, t := r.window, &r.course.pos, &r.course.tally
	bar, signals := r.course.bar, r.course.signals
	for bar < to {
		// Fill what was decided on the bar before, at this bar's open.
		if len(signals) > 0 && signals[0].bar() == bar-1 {
			r.followSignal(pos, t, bar, r.course.open, signals[0].short())
			signals = signals[1:]
		}
		if pos.units == 0 || !r.protected {
			signals = r.dropRedundant(signals, pos, t)
		}
		// Up to and including the next deciding bar nothing changes but the price.
		end := to
		if len(signals) > 0 {
			if next := signals[0].bar() + 1; next < w.To {
				r.course.open = r.bars.Open[next] // loaded early, so that it is in the cache when needed
				end = min(next, to)
			}
		}
		switch {
		case pos.units == 0:
			r.idle(t.cash, bar, end)
			bar = end
		case r.protected:
			bar = r.protect(pos, t, bar, end)
		default:
			bar = r.hold(pos, t, bar, end)
		}
	}
	if to == w.To && pos.units != 0 {
		r.exit(pos, t, to-1, r.slipped(r.bars.Close[to-1], pos.units > 0), "end")
		r.equity[to-1-r.first] = t.cash
	}
	r.measure(to)
	r.course.bar, r.course.signals = bar, signals
}

// measure feeds the equity up to bar to the statistics, unless a trace keeps all of it.
func (r *Runner) measure(bar int) {
	if !r.trace {
		r.stats.read(r.equity[r.read : bar-r.first])
		r.read = bar - r.first
	}
}

// signalsFrom are the signals at or after bar.
func signalsFrom(signals []signal, bar int) []signal {
	low, high := 0, len(signals)
	for low < high {
		if mid := (low + high) / 2; signals[mid].bar() < bar {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return signals[low:]
}

// changing drops the leading signals that change nothing: those in the position's own direction or,
// when flat, those to a side that is not entered.
func (r *Runner) dropRedundant(signals []signal, pos *position, t *tally) []signal {
	switch {
	case pos.units > 0, pos.units == 0 && !r.longs:
		for len(signals) > 0 && !signals[0].short() {
			signals = signals[1:]
		}
	case pos.units < 0, !r.shorts:
		for len(signals) > 0 && signals[0].short() {
			signals = signals[1:]
		}
	}
	if t.ruined {
		return nil
	}
	return signals
}

// idle passes over bars [bar, end) without a position. Of their equity only the first can move a sum.
func (r *Runner) idle(cash float64, bar, end int) {
	if r.trace {
		equity := r.equity[bar-r.first : end-r.first]
		for i := range equity {
			equity[i] = cash
		}
		return
	}
	r.measure(bar)
	if !(r.stats.last <= 0) { // a ruined account has no returns
		r.equity[r.read] = cash
		r.read++
	}
	r.stats.idleBars(cash, end-bar)
	r.first = end - r.read
}

// hold writes the equity of bars [bar, end) with the position unchanged, unless it is ruined. It
// returns the next bar.
func (r *Runner) hold(pos *position, t *tally, bar, end int) int {
	closes := r.bars.Close[bar:end]
	equity := r.equity[bar-r.first:]
	equity = equity[:len(closes)]
	units, entry, cash := pos.units, pos.entry, t.cash
	for i := hold(equity, closes, units, entry, cash); i < len(closes); i++ {
		e := cash + float64(units*(closes[i]-entry))
		equity[i] = e
		if e <= 0 {
			t.exposed += i
			r.ruin(pos, t, bar+i)
			return bar + i + 1
		}
	}
	t.exposed += len(closes)
	return end
}

func (r *Runner) ruin(pos *position, t *tally, bar int) {
	r.exit(pos, t, bar, r.slipped(r.bars.Close[bar], pos.units > 0), "ruin")
	r.equity[bar-r.first] = t.cash
	t.ruined = true
}

// slipped is the price of a market order: lower for a sale, higher for a purchase.
func (r *Runner) slipped(price float64, sale bool) float64 {
	if sale {
		return price * (1 - r.cfg.Account.Slippage)
	}
	return price * (1 + r.cfg.Account.Slippage)
}

// followSignal acts on a signal at the open of bar.
func (r *Runner) followSignal(pos *position, t *tally, bar int, open float64, short bool) {
	if pos.units != 0 {
		if (pos.units < 0) == short {
			return
		}
		r.exit(pos, t, bar, r.slipped(open, pos.units > 0), "signal")
		if !r.cfg.Account.Exclusive {
			return
		}
	}
	if t.ruined || short && !r.shorts || !short && !r.longs {
		return
	}
	r.enter(pos, t, bar, r.slipped(open, short), !short)
}

// size is how many units an entry at a price has; none where cash does not pay for it.
func (r *Runner) size(cash, price float64) float64 {
	a := &r.cfg.Account
	units, unitCost := a.Size, price*(1+float64(a.Commission))
	if a.Size > 1 {
		if units*unitCost > cash {
			return 0
		}
		return units
	}
	if units = cash * a.Size / unitCost; a.WholeUnits {
		units = float64(int64(units))
	}
	return units
}

// enter opens a position at price, as large as the account's rules say.
func (r *Runner) enter(pos *position, t *tally, bar int, price float64, long bool) {
	units := r.size(t.cash, price)
	if units <= 0 {
		t.unpaid++
		return
	}
	cost := float64(units * price * float64(r.cfg.Account.Commission))
	t.cash -= cost
	if !long {
		units = -units
	}
	*pos = position{units: units, entry: price, entryBar: bar, cost: cost, best: price}
	if r.protected {
		r.setStops(pos, bar, long)
	}
}

// exit closes the position at price on bar.
func (r *Runner) exit(pos *position, t *tally, bar int, price float64, reason string) {
	gross := float64(pos.units * (price - pos.entry))
	value := pos.units * price
	if value < 0 {
		value = -value
	}
	commission := float64(value * float64(r.cfg.Account.Commission))
	t.cash += gross - commission
	pnl := gross - pos.cost - commission
	size := pos.units
	if size < 0 {
		size = -size
	}
	pct := 100 * pnl / (size * pos.entry)
	t.add(pnl, pct)
	if r.trace {
		side := SideLong
		if pos.units < 0 {
			side = SideShort
		}
		r.trades = append(r.trades, Trade{
			Side: side, Size: size,
			EntryBar: pos.entryBar, EntryTime: r.bars.Time[pos.entryBar], EntryPrice: pos.entry,
			ExitBar: bar, ExitTime: r.bars.Time[bar], ExitPrice: price,
			PnL: pnl, ReturnPct: pct, ExitReason: reason,
		})
	}
	pos.units = 0
}

func (t *tally) add(pnl, pct float64) {
	if t.trades++; t.trades == 1 {
		t.first = pnl
	}
	t.over += pnl - t.first
	t.squares += float64((pnl - t.first) * (pnl - t.first))
	t.returnsPct += pct
	// The sum that a trade does not belong to gets zero, without a branch.
	won := bit(pnl > 0)
	t.wins += int(won)
	t.profit += math.Float64frombits(math.Float64bits(pnl) & -won)
	t.loss -= math.Float64frombits(math.Float64bits(pnl) & (won - 1))
}
