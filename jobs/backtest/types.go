package backtest

// Bars is one instrument's OHLCV history in columns of equal length. Build it with NewBars,
// which enforces the invariants every other function here relies on. A Bars is immutable once
// built and safe to share between goroutines.
type Bars struct {
	Time   []int64   // Unix microseconds, UTC, strictly increasing
	Open   []float64 // prices: finite and positive, low ≤ open, close ≤ high
	High   []float64
	Low    []float64
	Close  []float64
	Volume []float64 // finite and non-negative; zero where the source has none

	interval int64   // typical distance between bars, microseconds
	dayEnds  []int32 // index of each day's last bar; nil when bars are days or longer
	days     []int32 // number of each bar's day, when days do not end at midnight in UTC
	detail   *detail // nil: what is inside a bar is assumed

	instrument Instrument
}

// Len is the number of bars.
func (b *Bars) Len() int { return len(b.Time) }

// Window is a half-open range [From, To) of bar indexes in which a run may trade. Indicators may
// look at bars before From; nothing may look at bars from To on.
type Window struct{ From, To int }

// Len is the number of bars in the window.
func (w Window) Len() int { return w.To - w.From }

// Side restricts the direction of entries.
type Side string

// The sides a strategy may trade.
const (
	SideLong  Side = "long"
	SideShort Side = "short"
	SideBoth  Side = "both"
)

// Account holds the cash, cost and sizing rules of a run.
type Account struct {
	Cash       float64    `json:"cash"`        // starting equity, in quote currency
	Commission Commission `json:"commission"`  // fraction of traded value, paid on entry and on exit
	Slippage   float64    `json:"slippage"`    // fraction of price, against the trader on every market fill
	Size       float64    `json:"size"`        // (0,1]: fraction of equity; above 1: a number of units
	WholeUnits bool       `json:"whole_units"` // round fractional sizes down to whole units
	Exclusive  bool       `json:"exclusive"`   // an opposite entry closes the open position first
}

// IntrabarPolicy decides which of stop and target fills first when one bar touches both.
type IntrabarPolicy string

// The intrabar policies. PolicyWorst is the default.
const (
	PolicyWorst    IntrabarPolicy = "worst"
	PolicyBest     IntrabarPolicy = "best"
	PolicyOHLCPath IntrabarPolicy = "ohlc_path"
	PolicyRandom   IntrabarPolicy = "random"
)

// Calendar is the number of trading days a year, used to annualise: 252 or 365.
type Calendar int

// The calendars a dataset can have.
const (
	CalendarExchange   Calendar = 252
	CalendarContinuous Calendar = 365
)

// ParamKind is the type of a strategy parameter.
type ParamKind string

// The kinds of strategy parameters.
const (
	KindInt   ParamKind = "int"
	KindFloat ParamKind = "float"
	KindBool  ParamKind = "bool" // 0 or 1
	KindEnum  ParamKind = "enum" // the number of a label
)

// ParamSpec describes one strategy parameter: its bounds are inclusive.
type ParamSpec struct {
	Name    string    `json:"name"`
	Kind    ParamKind `json:"kind"`
	Default float64   `json:"default"`
	Min     float64   `json:"min"`
	Max     float64   `json:"max"`
	Step    float64   `json:"step"` // natural step of the parameter; 0 when continuous
	Doc     string    `json:"doc"`
	Labels  []string  `json:"labels,omitempty"` // of KindEnum: what its values are called, from 0 on
	// Of a script's input: the heading under which it is shown, and what it says of itself.
	Group   string `json:"group,omitempty"`
	Tooltip string `json:"tooltip,omitempty"`
}

// Params holds one value for each of a strategy's parameters, in the order of Strategy.Params.
type Params []float64

// Trade is one closed position. Size is in units and positive; Side gives the direction.
type Trade struct {
	Side       Side    `json:"side"` // SideLong or SideShort
	Size       float64 `json:"size"`
	EntryBar   int     `json:"entry_bar"`  // index into the dataset's bars
	EntryTime  int64   `json:"entry_time"` // Unix microseconds; the API renders RFC 3339
	EntryPrice float64 `json:"entry_price"`
	ExitBar    int     `json:"exit_bar"`
	ExitTime   int64   `json:"exit_time"`
	ExitPrice  float64 `json:"exit_price"`
	PnL        float64 `json:"pnl"`        // after both commissions, in quote currency
	ReturnPct  float64 `json:"return_pct"` // PnL over entry value, in percent
	ExitReason string  `json:"exit_reason"`
	// What a script calls the order that opened the position, and the one that closed it.
	EntrySignal string `json:"entry_signal,omitempty"`
	ExitSignal  string `json:"exit_signal,omitempty"`
	// Of a script's trade: its best and its worst open profit, as positive money.
	Runup    float64 `json:"runup,omitempty"`
	Drawdown float64 `json:"drawdown,omitempty"`
}

// Metrics summarises one run over one window. An undefined figure is NaN here and null in JSON,
// with its reason in the "undefined" member; it is never zero by default. One that is too large is infinite
// here, and its reason says overflow.
type Metrics struct {
	Bars            int     // bars in the window
	Trades          int     // closed trades
	FinalEquity     float64 // quote currency
	ReturnPct       float64 // percent of starting equity
	CAGRPct         float64 // percent a year
	MaxDrawdownPct  float64 // percent below the running peak, as a positive number
	MaxDrawdownBars int     // most bars in a row below an earlier peak, see BarsBelow
	Sharpe          float64 // annualised, see doc.go
	Sortino         float64 // annualised
	Calmar          float64 // CAGRPct / MaxDrawdownPct
	WinRatePct      float64
	ProfitFactor    float64 // gross profit / gross loss
	ExpectancyPct   float64 // mean trade return
	SQN             float64 // √trades · mean(pnl) / std(pnl)
	ExposurePct     float64 // share of bars with an open position
	BuyHoldPct      float64 // return of holding from the window's first to its last close
	// ReturnPct / MaxDrawdownPct, whatever the time.
	ReturnOverDrawdown float64
	// Entries that equity could not pay for, or that rounding to whole units left without a unit.
	UnpaidOrders int

	Periods int     // number of resampled (daily, or one a bar) returns behind the next three
	SR      float64 // per-period Sharpe ratio, not annualised
	Skew    float64 // skewness of the per-period returns
	Kurt    float64 // full kurtosis (normal = 3) of the per-period returns
}
