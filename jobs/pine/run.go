package pine

import (
	"errors"
	"math"
	"regexp"
	"slices"
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
	patterns map[string]*regexp.Regexp
}

// NewRun makes a run of the program over the bars.
func (p *Program) NewRun(bars *backtest.Bars, market Market) (*Run, error) {
	if market.Tick == 0 {
		market.Tick = 0.01
	}
	if market.Zone == nil {
		market.Zone = time.UTC
	}
	r := &Run{
		program: p, market: market, settings: p.ir.Settings, bars: bars, frames: map[frameKey]*frame{}, zones: map[string]*time.Location{},
		known: map[string]int{}, inputs: make([]float64, len(p.ir.Inputs)),
	}
	r.frame = newFrame(bars, "")
	r.account = r.accountSettings()
	r.emu = broker.New(r.account)
	r.m = newMachine(r, p.main, r.frame)
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
	r.m.reset()
	b := r.bars
	for i := 0; i < w.To; i++ {
		r.silent = i < w.From
		if !r.silent {
			if err := r.emu.Bar(i, r.day(i), b.Open[i], b.High[i], b.Low[i], b.Close[i]); err != nil {
				return err
			}
		}
		if err := r.m.step(i); err != nil {
			return err
		}
		if !r.silent {
			r.emu.AfterScript()
		}
		if i&4095 == 4095 && r.stopped() {
			return ErrStopped
		}
		r.m.heap.collect(r.m, r.program.ir)
	}
	return nil
}

// day is the number of a bar's day in the exchange's zone.
func (r *Run) day(i int) int32 {
	t := r.bars.Time[i] / 1e6
	if r.market.Zone != time.UTC {
		_, offset := time.Unix(t, 0).In(r.market.Zone).Zone()
		t += int64(offset)
	}
	return int32(floorDiv(t, 86_400))
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
