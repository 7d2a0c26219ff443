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
	lasting  int // texts that every run begins with
	// lastingSize is r.size with these alone.
	lastingSize int
	silent      bool // orders are dropped: the bar is before the window
	passes      int
	work        int // see machine.worked
	stop        func() bool
	when        [2][]uint64 // by bar, flat and with a position: see mask
	key         []byte
	plain       bool                      // every instruction on every bar: what the other ways must equal
	everyBar    bool                      // the residue on every bar
	plotted     func(m *machine, bar int) // is given each bar that ran; nil: nobody asks
	cols        [][]float64
	bits        [][]uint64
	fixed       []float64 // by slot: what is constant in the trial
	residue     *machine
	uniform     *machine
	held        []*entry // columns in use
	columns     *Columns
	faults      []columnFault
	side        broker.Dir // entries allowed by the request; Both: all
	equity      []float64  // where simulate writes the equity of each bar of the window; nil: nowhere
	ruined      int        // bars of the window that were traded before the account was ruined; 0: it was not
	exposed     int        // bars of the window that closed with an open position
	steps       int
	point       checkpoint // of a bar that is calculated more than once
	patterns    map[string]*regexp.Regexp
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
		cols: make([][]float64, len(p.plan.plan.Order)), bits: make([][]uint64, len(p.plan.plan.Order)), fixed: make([]float64, len(p.ir.Slots)),
	}
	for i := range r.when {
		r.when[i] = make([]uint64, words(c.bars.Len()))
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
			n := whole(math.Round(v))
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
	if pc := r.program.plan; pc.events.always {
		r.mask(pc.idle.guards, r.when[0], r.when[1])
	} else {
		r.mask(pc.events.guards, r.when[0], r.when[1])
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
