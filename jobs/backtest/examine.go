package backtest

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// cuts is at how many bars a strategy is examined for looking ahead.
const cuts = 8

// Examination is what running a strategy over a history shows about it.
type Examination struct {
	Bars   int `json:"bars"`
	Runs   int `json:"runs"`   // that were made
	Trades int `json:"trades"` // at the defaults
	// Complete is false when time ran out before all runs were made.
	Complete bool `json:"complete"`
	// NsPerBar is what a bar of a run took on average, columns included, as the caller measured it; 0: not.
	NsPerBar int64 `json:"ns_per_bar"`
	// Warmup is how many bars before a window trials see at the defaults; 0 also when they see all.
	Warmup int `json:"warmup"`
	// Refusal is why the strategy cannot be tuned: at its defaults it goes beyond a limit or the time. Empty: it can.
	Refusal string `json:"refusal,omitempty"`
	// Problems are why the strategy is not to be trusted: two runs that differ, an order that the
	// future changed.
	Problems []string `json:"problems"`
	// Warnings are inputs at which it fails, a warm-up that is too short, and a strategy that never trades.
	Warnings []string `json:"warnings"`
}

// Examine runs the strategy at its defaults twice, on histories that end at a cut or whose bars from it on
// are others, on a window that shows only its warm-up, and at both ends of each parameter. stop ends it early.
func Examine(s Strategy, b *Bars, cfg Config, stop func() bool) Examination {
	e := examiner{
		Examination: Examination{Bars: b.Len(), Problems: []string{}, Warnings: []string{}},
		strategy:    s, bars: b, cfg: cfg, stop: stop,
	}
	e.Complete = e.repeat() && e.lookAhead() && e.warm() && e.ends()
	return e.Examination
}

type examiner struct {
	Examination
	strategy Strategy
	bars     *Bars
	cfg      Config
	stop     func() bool
	trades   []Trade
	equity   []float64
}

// run trades all bars. ok is false when time is up.
func (e *examiner) run(b *Bars, p Params) (trades []Trade, equity []float64, ok bool, err error) {
	return e.runWindow(b, Window{To: b.Len()}, p)
}

func (e *examiner) runWindow(b *Bars, w Window, p Params) (trades []Trade, equity []float64, ok bool, err error) {
	if e.stop() {
		return nil, nil, false, nil
	}
	defer func() {
		if r := recover(); r != nil {
			ok, err = true, &limitError{fmt.Sprintf("it panics: %v", r)}
		}
	}()
	e.Runs++
	t := NewTrader(b, e.strategy, e.cfg)
	t.OnStop(e.stop)
	t.Prepare(p)
	trades, equity = t.Trace(w)
	err = t.Err()
	return trades, equity, err == nil || !e.stop(), err
}

func (e *examiner) defaults() Params {
	params, _ := CheckParams(e.strategy, nil)
	return params
}

// repeat runs the defaults twice.
func (e *examiner) repeat() bool {
	var err error
	var ok bool
	if e.trades, e.equity, ok, err = e.run(e.bars, e.defaults()); !ok {
		if e.Runs > 0 {
			e.Refusal = fmt.Sprintf("at its defaults one run over %d bars does not end in time", e.Bars)
		}
		return false
	}
	if err != nil {
		e.equity = nil
		if exceedsLimit(err) {
			e.Refusal = fmt.Sprintf("at the defaults: %v", err)
			return true
		}
		e.Warnings = append(e.Warnings, fmt.Sprintf("at the defaults: %v", err))
		return true
	}
	if e.Trades = len(e.trades); e.Trades == 0 {
		e.Warnings = append(e.Warnings, "at the defaults no trade is made on the sample")
	}
	trades, equity, ok, err := e.run(e.bars, e.defaults())
	if ok && (err != nil || !slices.Equal(trades, e.trades) || !sameBits(equity, e.equity)) {
		e.Problems = append(e.Problems, "two runs on the same bars differ")
	}
	return ok
}

// lookAhead replaces the bars from a cut on: what was done before it may not change.
func (e *examiner) lookAhead() bool {
	if e.equity == nil {
		return true
	}
	for k := 1; k <= cuts; k++ {
		cut := e.bars.Len() * k / (cuts + 1)
		if cut < 2 {
			continue
		}
		// A history that ends at the cut closes what is open on its last bar.
		if same, ok := e.sameBefore(e.bars.Slice(0, cut), cut-1); !ok || !same {
			return ok
		}
		other, err := e.bars.withOtherFuture(cut)
		if err != nil {
			continue
		}
		if same, ok := e.sameBefore(other, cut); !ok || !same {
			return ok
		}
	}
	return true
}

// sameBefore runs bars that are the examined ones up to a cut, and reports a difference before it.
func (e *examiner) sameBefore(bars *Bars, cut int) (same, ok bool) {
	trades, equity, ok, err := e.run(bars, e.defaults())
	if !ok || err != nil {
		return true, ok // a failure after the cut; one before it would have failed the first run
	}
	if !sameBits(equity[:cut], e.equity[:cut]) || !slices.Equal(before(trades, cut), before(e.trades, cut)) {
		e.Problems = append(e.Problems, fmt.Sprintf("what is traded before bar %d depends on the bars from it on: it looks ahead", cut))
		return false, true
	}
	return true, true
}

// warm trades the last third, once with all bars before it and once with its warm-up only.
func (e *examiner) warm() bool {
	if e.equity == nil {
		return true
	}
	n := e.bars.Len()
	from := n - n/3
	e.Warmup = Warmup(e.bars, e.strategy, e.defaults(), nil)
	first := from - e.Warmup
	if e.Warmup >= n {
		e.Warmup = 0
	}
	if first <= 0 {
		return true // it sees all there are
	}
	want, _, ok, err := e.runWindow(e.bars, Window{From: from, To: n}, e.defaults())
	if !ok || err != nil {
		return ok
	}
	got, _, ok, err := e.runWindow(e.bars.Slice(first, n), Window{From: from - first, To: n - first}, e.defaults())
	if ok && (err != nil || !slices.EqualFunc(want, got, func(a, b Trade) bool {
		return a.EntryTime == b.EntryTime && a.ExitTime == b.ExitTime && a.Side == b.Side
	})) {
		e.Warnings = append(e.Warnings, fmt.Sprintf("it trades otherwise when it sees only the %d bars before a window that are its warm-up", from-first))
	}
	return ok
}

// ends runs both ends of each parameter.
func (e *examiner) ends() bool {
	if e.Refusal != "" {
		return true
	}
	for i, spec := range e.strategy.Params() {
		for _, end := range []float64{spec.Min, spec.Max} {
			if math.Abs(end) >= 1e9 { // not a bound of the strategy's own
				continue
			}
			p := e.defaults()
			p[i] = end
			_, _, ok, err := e.run(e.bars, p)
			if !ok {
				return false
			}
			if err != nil {
				e.Warnings = append(e.Warnings, fmt.Sprintf("with %s at %v: %v", spec.Name, end, err))
			}
		}
	}
	return true
}

// limitError is a fault of a run that every other run would meet too.
type limitError struct{ reason string }

func (e *limitError) Error() string      { return e.reason }
func (e *limitError) ExceedsLimit() bool { return true }

// exceedsLimit reports whether a run went beyond a bound that holds for every strategy.
func exceedsLimit(err error) bool {
	var limit interface{ ExceedsLimit() bool }
	return errors.As(err, &limit) && limit.ExceedsLimit()
}

// before are the trades that were closed before a bar.
func before(trades []Trade, bar int) []Trade {
	var done []Trade
	for _, t := range trades {
		if t.ExitBar < bar {
			done = append(done, t)
		}
	}
	return done
}

// sameBits reports whether two curves are equal.
func sameBits(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
}

// withOtherFuture are bars that from a cut on have other prices, which continue from the last close
// before it.
func (b *Bars) withOtherFuture(cut int) (*Bars, error) {
	column := func(of []float64) []float64 { return slices.Clone(of) }
	open, high, low, closing, volume := column(b.Open), column(b.High), column(b.Low), column(b.Close), column(b.Volume)
	n := b.Len()
	for i := cut; i < n; i++ {
		// The rest in reverse, mirrored in the last close: as volatile, in another direction.
		from := n - 1 - (i - cut)
		mirror := b.Close[cut-1] * b.Close[cut-1]
		open[i], high[i], low[i], closing[i] = mirror/b.Open[from], mirror/b.Low[from], mirror/b.High[from], mirror/b.Close[from]
		high[i], low[i] = max(high[i], open[i], closing[i]), min(low[i], open[i], closing[i])
		volume[i] = b.Volume[from] + 1
	}
	return NewBars(slices.Clone(b.Time), open, high, low, closing, volume)
}
