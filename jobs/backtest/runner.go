package backtest

// Runner runs one strategy over one history again and again. It keeps its scratch memory, so that
// a run allocates nothing once warmed up. Not safe for concurrent use: make one per goroutine.
type Runner struct {
	bars     *Bars
	strategy Strategy
	cfg      Config
	ind      *Indicators

	signals []int8
	turns   []int32 // bars with a signal, ascending
	equity  []float64
	returns []float64
	atr     []float64 // nil unless a stop is measured in true ranges
	trades  []Trade   // filled by Trace only
	trace   bool
}

// NewRunner makes a runner. The config must be valid.
func NewRunner(b *Bars, s Strategy, cfg Config) *Runner {
	r := &Runner{
		bars: b, strategy: s, cfg: cfg, ind: NewIndicators(b),
		signals: make([]int8, b.Len()), equity: make([]float64, b.Len()), returns: make([]float64, 0, b.Len()),
	}
	if cfg.Stops.active() && cfg.Stops.usesATR() {
		r.atr = append([]float64(nil), r.ind.ATR(cfg.Stops.atrPeriod())...)
	}
	return r
}

// Prepare computes the signals of every bar for the parameters; Simulate and Trace use them.
func (r *Runner) Prepare(p Params) {
	clear(r.signals)
	r.strategy.Signals(r.ind, p, r.signals)
	r.turns = r.turns[:0]
	for i, s := range r.signals {
		if s != 0 {
			r.turns = append(r.turns, int32(i))
		}
	}
}

// Simulate trades the window, from flat and with the account's cash, and measures the result.
func (r *Runner) Simulate(w Window, m *Metrics) {
	*m = Metrics{Bars: w.Len()}
	if w.Len() <= 0 {
		r.returns = r.returns[:0]
		m.FinalEquity = r.cfg.Account.Cash
		m.undefined()
		return
	}
	var tally tally
	r.run(w, &tally)
	r.summarise(w, &tally, m)
}

// Returns are the per-period returns behind the last Simulate, valid until the next one.
func (r *Runner) Returns() []float64 { return r.returns }

// Trace runs the window as Simulate does and returns every trade, and the equity at each bar's
// close in quote currency. Both belong to the caller.
func (r *Runner) Trace(w Window) ([]Trade, []float64) {
	if w.Len() <= 0 {
		return nil, nil
	}
	r.trace = true
	r.trades = nil
	var tally tally
	r.run(w, &tally)
	r.trace = false
	trades := r.trades
	r.trades = nil
	return trades, append([]float64(nil), r.equity[w.From:w.To]...)
}

// position is what is open between two events. A units of zero is flat.
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

// tally adds up what the trades of a run did.
type tally struct {
	trades, wins    int
	profit, loss    float64 // sums of winning and losing pnl, both positive
	pnl, pnlSquares float64
	returnsPct      float64
	exposed         int // bars that closed with an open position
	cash            float64
	ruined          bool
}

// run walks the window from signal to signal and writes the equity of every bar.
func (r *Runner) run(w Window, t *tally) {
	t.cash = r.cfg.Account.Cash
	var pos position
	protected := r.cfg.Stops.active()
	turns := r.turns
	next := firstAtLeast(turns, int32(w.From))
	for bar := w.From; bar < w.To; {
		// Fill what was decided on the bar before, at this bar's open.
		if next < len(turns) && int(turns[next]) == bar-1 {
			r.turn(&pos, t, bar, r.signals[bar-1])
			next++
		}
		// Up to and including the next deciding bar nothing changes but the price.
		end := w.To
		if next < len(turns) && int(turns[next])+1 < w.To {
			end = int(turns[next]) + 1
		}
		if pos.units != 0 && protected {
			bar = r.protect(&pos, t, bar, end)
			continue
		}
		bar = r.hold(&pos, t, bar, end)
	}
	if pos.units != 0 {
		last := w.To - 1
		r.exit(&pos, t, last, r.slipped(r.bars.Close[last], pos.units > 0), "end")
		r.equity[last] = t.cash
	}
}

// firstAtLeast is the index of the first turn at or after bar.
func firstAtLeast(turns []int32, bar int32) int {
	low, high := 0, len(turns)
	for low < high {
		mid := (low + high) / 2
		if turns[mid] < bar {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// hold marks the equity of bars [bar, end) with the position unchanged, unless it is ruined. It
// returns the bar to go on from.
func (r *Runner) hold(pos *position, t *tally, bar, end int) int {
	equity := r.equity[bar:end]
	if pos.units == 0 {
		for i := range equity {
			equity[i] = t.cash
		}
		return end
	}
	units, base := pos.units, t.cash-pos.units*pos.entry
	closes := r.bars.Close[bar:end]
	equity = equity[:len(closes)]
	for i, c := range closes {
		e := base + units*c
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
	r.equity[bar] = t.cash
	t.ruined = true
}

// slipped is the price of a market order: lower for a sale, higher for a purchase.
func (r *Runner) slipped(price float64, sale bool) float64 {
	if sale {
		return price * (1 - r.cfg.Account.Slippage)
	}
	return price * (1 + r.cfg.Account.Slippage)
}

// turn acts on a signal at the open of bar.
func (r *Runner) turn(pos *position, t *tally, bar int, signal int8) {
	open := r.bars.Open[bar]
	if pos.units != 0 {
		if (pos.units > 0) == (signal > 0) {
			return
		}
		r.exit(pos, t, bar, r.slipped(open, pos.units > 0), "signal")
		if !r.cfg.Account.Exclusive {
			return
		}
	}
	if t.ruined || signal > 0 && r.cfg.Side == SideShort || signal < 0 && r.cfg.Side == SideLong {
		return
	}
	r.enter(pos, t, bar, r.slipped(open, signal < 0), signal > 0)
}

// enter opens a position at price, as large as the account's rules say.
func (r *Runner) enter(pos *position, t *tally, bar int, price float64, long bool) {
	a := &r.cfg.Account
	units := a.Size
	unitCost := price * (1 + a.Commission)
	if a.Size <= 1 {
		units = t.cash * a.Size / unitCost
		if a.WholeUnits {
			units = float64(int64(units))
		}
	} else if units*unitCost > t.cash {
		return
	}
	if units <= 0 {
		return
	}
	cost := units * price * a.Commission
	t.cash -= cost
	if !long {
		units = -units
	}
	*pos = position{units: units, entry: price, entryBar: bar, cost: cost, best: price}
	if r.cfg.Stops.active() {
		r.arm(pos, bar, long)
	}
}

// exit closes the position at price on bar.
func (r *Runner) exit(pos *position, t *tally, bar int, price float64, reason string) {
	gross := pos.units * (price - pos.entry)
	value := pos.units * price
	if value < 0 {
		value = -value
	}
	commission := value * r.cfg.Account.Commission
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
	*pos = position{}
}

func (t *tally) add(pnl, pct float64) {
	t.trades++
	t.pnl += pnl
	t.pnlSquares += pnl * pnl
	t.returnsPct += pct
	if pnl > 0 {
		t.wins++
		t.profit += pnl
	} else {
		t.loss -= pnl
	}
}
