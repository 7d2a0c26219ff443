package backtest

// Trader runs one strategy over one history again and again, keeping its memory. Runner is the one of
// strategies that give signals. Not safe for concurrent use: make one per goroutine.
type Trader interface {
	// Prepare sets the parameters of the runs that follow.
	Prepare(p Params)
	// Simulate trades the window, from flat and with the account's cash, and measures the result.
	// Bars before the window are seen and not traded; those from its end on are not seen.
	Simulate(w Window, m *Metrics)
	// KeepReturns sets whether later runs keep their returns for Returns, which otherwise runs the
	// window again.
	KeepReturns(keep bool)
	// Returns are the per-period returns behind the last Simulate, valid until the next one.
	Returns() []float64
	// Trace runs the window as Simulate does and returns every closed trade, and the equity at each
	// bar's close in quote currency. Both belong to the caller.
	Trace(w Window) ([]Trade, []float64)
	// Err is why the run cannot be used since the last Prepare: nil when it can. What a run with an
	// error returned is without meaning.
	Err() error
	// OnStop has long runs ask stop now and then whether to give up, which is an error.
	OnStop(stop func() bool)
}

// Signaler is a strategy that says at each close which side it wants.
type Signaler interface {
	// Signals adds to out, in order of bars, where the strategy wants to be long or short at the
	// close. A signal may depend on its own bar and earlier ones only.
	Signals(ind *Indicators, p Params, out *Signals)
}

// Resolver finds a strategy by its name.
type Resolver func(name string) (Strategy, error)

// Scripted is a strategy that brings the settings of its own account. The request's account
// overrides what it names.
type Scripted interface {
	Strategy
	// Account is what of the script's account can be said in the terms of Account.
	Account() Account
	// Notes are what compiling the script remarked, with their lines. Detailed are bars that have others
	// inside: what is remarked of an assumed path does not hold on these.
	Notes(detailed bool) []string
}

// warmer is a strategy that computes its own warm-up.
type warmer interface {
	Warmup(b *Bars, longest Params) int
}

var _ Trader = (*Runner)(nil)

// NewTrader makes a trader with a cache of its own. The config must be valid.
func NewTrader(b *Bars, s Strategy, cfg Config) Trader {
	return s.Trader(NewIndicatorCache(b), cfg)
}

// Err is nil: signals do not fail.
func (r *Runner) Err() error { return nil }

// OnStop does nothing: a run takes no time to speak of.
func (r *Runner) OnStop(func() bool) {}

// Bars is the history that the cache is about.
func (c *IndicatorCache) Bars() *Bars { return c.bars }
