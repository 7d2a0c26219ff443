package pine

import (
	"errors"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/broker"
	"millrace/jobs/pine/ir"
)

// ErrStopped is the error of a run that was stopped from outside.
var ErrStopped = errors.New("the run was stopped")

// Market describes the instrument of the bars.
type Market struct {
	Tick       float64 // smallest price step; 0 means 0.01
	LotStep    float64 // smallest step of a quantity; 0: none
	PointValue float64 // 0 means 1
	Ticker     string
	Prefix     string
	Currency   string
	Base       string
	Type       string         // "crypto", "stock", …
	Zone       *time.Location // of the exchange; nil means UTC
}

// Run executes a program over bars again and again, keeping its memory. Not safe for concurrent use.
type Run struct {
	program  *Program
	market   Market
	settings ir.Settings
	bars     *backtest.Bars
	frame    *frame
	frames   map[frameKey]*frame
	zones    map[string]*time.Location
	emu      *broker.Emulator
	account  broker.Settings
	inputs   []float64
	m        *machine
	strs     []string
	known    map[string]int
	size     int // bytes of texts made while running
	empty    int
	silent   bool // orders are dropped: the bar is before the window
	passes   int
	stop     func() bool
	when     []byte // by bar: see mask
	key      []byte
	plain    bool // every instruction on every bar: what the other ways must equal
	everyBar bool // the residue on every bar
	cols     [][]float64
	fixed    []float64 // by slot: what is constant in the trial
	residue  *machine
	uniform  *machine
	held     []*entry // columns in use
	columns  *Columns
	faults   []columnFault
	side     broker.Dir // entries allowed by the request; Both: all
	equity   []float64  // where simulate writes the equity of each bar of the window; nil: nowhere
	ruined   int        // bars of the window that were traded before the account was ruined; 0: it was not
	exposed  int        // bars of the window that closed with an open position
	closes   []float64  // equity by bar, of bars that the broker coasts over
	steps    int
	patterns map[string]*regexp.Regexp
}

func (m Market) withDefaults() Market {
	if m.Tick == 0 {
		m.Tick = 0.01
	}
	if m.Zone == nil {
		m.Zone = time.UTC
	}
	return m
}

// NewRun makes a run of the program over the bars, with columns of its own.
func (p *Program) NewRun(bars *backtest.Bars, market Market) (*Run, error) {
	return p.NewColumns(bars, market).NewRun()
}

// NewRun makes a run that shares the columns.
func (c *Columns) NewRun() (*Run, error) {
	p := c.program
	r := &Run{
		program: p, market: c.market, settings: p.ir.Settings, bars: c.bars, frame: c.frame, frames: map[frameKey]*frame{}, zones: map[string]*time.Location{},
		known: map[string]int{}, inputs: make([]float64, len(p.ir.Inputs)), columns: c,
		cols: make([][]float64, len(p.plan.plan.Order)), fixed: make([]float64, len(p.ir.Slots)),
	}
	r.account = r.accountSettings()
	r.emu = broker.New(r.account)
	r.uniform = newMachine(r, p.plan.uniform, r.frame)
	r.residue = newMachine(r, p.plan.residue, r.frame)
	return r, nil
}

// OnStop makes the run ask stop now and then whether to give up.
func (r *Run) OnStop(stop func() bool) { r.stop = stop }

func (r *Run) stopped() bool { return r.stop != nil && r.stop() }

func (r *Run) accountSettings() broker.Settings {
	s := r.settings
	return broker.Settings{
		Tick: r.market.Tick, LotStep: r.market.LotStep, PointValue: r.market.PointValue, Capital: s.Capital,
		QtyType: map[string]broker.QtyType{"cash": broker.Cash, "percent_of_equity": broker.PercentOfEquity}[s.QtyType], Qty: s.Qty,
		Pyramiding: s.Pyramiding,
		FeeType:    map[string]broker.FeeType{"cash_per_order": broker.FeeCashPerOrder, "cash_per_contract": broker.FeeCashPerContract}[s.CommissionType], Fee: s.Commission,
		SlippageTicks: s.Slippage, LimitTicks: s.LimitTicks, MarginLong: s.MarginLong, MarginShort: s.MarginShort,
		ProcessOnClose: s.ProcessOnClose, CloseAny: s.CloseAny, Nearer: r.program.ir.Version >= 6,
	}
}

// Prepare sets the inputs, in the order of the program's inputs.
func (r *Run) Prepare(params []float64) error {
	for i, in := range r.program.ir.Inputs {
		v := in.Default
		if i < len(params) {
			v = params[i]
		}
		if in.Values != nil {
			n := int(math.Round(v))
			if n < 0 || n >= len(in.Values) {
				return failAt(in.Pos, "the input \""+in.Name+"\" has no such option")
			}
			v = in.Values[n]
		}
		r.inputs[i] = v
	}
	if r.plain {
		return nil
	}
	if err := r.prepareColumns(); err != nil {
		return err
	}
	if !r.program.plan.events.always {
		r.mask()
	}
	return nil
}

// Trades runs the window from flat and returns the closed trades. Bars before the window are seen by
// the script, but its orders on them are dropped.
func (r *Run) Trades(w backtest.Window) ([]broker.Trade, error) {
	r.emu.KeepTrades(true)
	if err := r.simulate(w); err != nil {
		return nil, err
	}
	return slices.Clone(r.emu.Closed()), nil
}

// simulate runs the script over the bars up to the window's end.
func (r *Run) simulate(w backtest.Window) error {
	r.emu.Reset(r.account)
	r.emu.KeepTrades(true)
	r.resetTexts()
	r.passes = 0
	r.exposed, r.ruined = 0, 0
	r.keepSide()
	if r.plain {
		return r.simulatePlain(w)
	}
	for _, f := range r.faults {
		if f.bar < w.To {
			return f.err
		}
	}
	r.residue.reset()
	if r.program.plan.events.always || r.everyBar {
		return r.walk(r.residue, 0, w)
	}
	return r.jump(w)
}

// simulatePlain executes every instruction on every bar.
func (r *Run) simulatePlain(w backtest.Window) error {
	if r.m == nil {
		r.m = newMachine(r, r.program.main, r.frame)
	}
	r.m.reset()
	return r.walk(r.m, 0, w)
}

// walk runs a machine on every bar; before the window its orders are dropped.
func (r *Run) walk(m *machine, from int, w backtest.Window) error {
	b := r.bars
	for i := from; i < w.To; i++ {
		r.silent = i < w.From
		if !r.silent {
			if err := r.emu.Bar(i, r.columns.days[i], b.Open[i], b.High[i], b.Low[i], b.Close[i]); err != nil {
				return err
			}
		}
		if err := m.step(i); err != nil {
			return err
		}
		if !r.silent {
			r.keepSide()
			r.emu.AfterScript()
			if r.follow(i - w.From) {
				return nil
			}
		}
		if i&4095 == 4095 && r.stopped() {
			return ErrStopped
		}
		m.heap.collect(m, r.program.ir)
	}
	return nil
}

// lookahead is how many bars the broker coasts over at most before the next event is looked for again:
// an event that only counts for another position may be far.
const lookahead = 256

// jump runs the residue on bars with an event only, and lets the broker coast between them.
func (r *Run) jump(w backtest.Window) error {
	b, e, when := r.bars, r.emu, r.when[:w.To]
	r.silent = false
	first := r.program.plan.events.once // the first bar makes settings
	for i := w.From; i < w.To; {
		if !first {
			next, state := i, r.state()
			for most := min(i+lookahead, w.To); next < most && when[next]&state == 0; {
				next++
			}
			reached, ruined := r.coast(i, next, w)
			if ruined {
				return nil
			}
			if i = reached; i == w.To || i == next && when[i]&state == 0 {
				continue
			}
		}
		if err := e.Bar(i, r.columns.days[i], b.Open[i], b.High[i], b.Low[i], b.Close[i]); err != nil {
			return err
		}
		if first || when[i]&r.state() != 0 {
			first = false
			if err := r.residue.step(i); err != nil {
				return err
			}
		}
		r.keepSide()
		e.AfterScript()
		if r.follow(i - w.From) {
			return nil
		}
		i++
		if r.steps++; r.steps&4095 == 0 && r.stopped() {
			return ErrStopped
		}
	}
	return nil
}

// state is which events the position makes the residue run on.
func (r *Run) state() byte {
	if r.emu.PositionSize() != 0 {
		return whenAny | whenOpen
	}
	return whenAny | whenFlat
}

// coast passes the bars from at to next, or to the first on which the broker may fill something.
func (r *Run) coast(at, next int, w backtest.Window) (reached int, ruined bool) {
	if r.emu.Idle() {
		r.rest(at-w.From, next-w.From)
		return next, false
	}
	if r.equity == nil {
		return r.emu.Coast(&r.columns.series, at, next, nil), false
	}
	reached = r.emu.Coast(&r.columns.series, at, next, r.curve())
	if r.emu.PositionSize() != 0 {
		r.exposed += reached - at
	}
	for i := at; i < reached; i++ {
		e := r.closes[i]
		r.equity[i-w.From] = e
		if !(e > 0) {
			r.exposed -= reached - 1 - i
			r.ruined = i - w.From + 1
			for k := r.ruined; k < len(r.equity); k++ {
				r.equity[k] = e
			}
			return i, true
		}
	}
	return reached, false
}

// curve is where the broker writes the equity while it coasts, by bar.
func (r *Run) curve() []float64 {
	if len(r.closes) < r.bars.Len() {
		r.closes = make([]float64, r.bars.Len())
	}
	return r.closes
}

// keepSide holds the script to the side that the request allows.
func (r *Run) keepSide() {
	if r.side != broker.Both {
		r.emu.AllowEntryIn(r.side)
	}
}

// rest writes the equity of the window's bars [from, to), on which nothing is open.
func (r *Run) rest(from, to int) {
	if r.equity == nil || from == to {
		return
	}
	e := r.emu.Equity()
	for i := from; i < to; i++ {
		r.equity[i] = e
	}
}

// follow writes the equity of the window's k-th bar. An account without equity is ruined: it trades no
// more, and the rest of the window has the equity of this bar.
func (r *Run) follow(k int) (ruined bool) {
	if r.equity == nil {
		return false
	}
	e := r.emu.Equity()
	r.equity[k] = e
	if r.emu.PositionSize() != 0 {
		r.exposed++
	}
	if e > 0 {
		return false
	}
	r.ruined = k + 1
	r.rest(k+1, len(r.equity))
	return true
}

// dayNumbers are the numbers of the bars' days in a zone.
func dayNumbers(bars *backtest.Bars, zone *time.Location) []int32 {
	days := make([]int32, bars.Len())
	for i, t := range bars.Time {
		t /= 1e6
		if zone != time.UTC {
			_, offset := time.Unix(t, 0).In(zone).Zone()
			t += int64(offset)
		}
		days[i] = int32(floorDiv(t, 86_400))
	}
	return days
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// Text is the text of a number the broker holds: an id or a comment.
func (r *Run) Text(id int32) string {
	if id == 0 {
		return ""
	}
	return r.text(float64(id - 1))
}

const (
	maxTexts     = 200_000
	maxTextBytes = 16 << 20
	maxText      = 4096
)

var errTexts = errors.New("the script makes more texts than a run may hold")

// resetTexts forgets the texts of the last run.
func (r *Run) resetTexts() {
	clear(r.known)
	r.strs = append(r.strs[:0], r.program.ir.Strings...)
	for i, s := range r.strs {
		r.known[s] = i
	}
	r.size = 0
	n, _ := r.intern("")
	r.empty = int(n)
	// The texts of the market have the same numbers in every run, as columns may hold them.
	m := r.market
	for _, s := range []string{m.Ticker, strings.TrimPrefix(m.Prefix+":"+m.Ticker, ":"), m.Prefix, m.Currency, m.Base, m.Type, "regular", m.Zone.String(), "base", r.frame.tf} {
		_, _ = r.intern(s) // a new run has room for these
	}
}

// intern is the number of a text.
func (r *Run) intern(s string) (float64, error) {
	if n, ok := r.known[s]; ok {
		return float64(n), nil
	}
	if len(s) > maxText {
		s = s[:maxText]
	}
	r.size += len(s)
	if len(r.strs) >= maxTexts || r.size > maxTextBytes {
		return math.NaN(), errTexts
	}
	n := len(r.strs)
	r.strs = append(r.strs, s)
	r.known[s] = n
	return float64(n), nil
}

// text is the text of a number; na is empty.
func (r *Run) text(v float64) string {
	if v != v || v < 0 || int(v) >= len(r.strs) {
		return ""
	}
	return r.strs[int(v)]
}
