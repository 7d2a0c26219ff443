package broker

import "fmt"

// Bounds of one run. An order or a lot beyond them fails the run, not the process.
const (
	MaxOrders = 1000
	MaxLots   = 1000
)

// LimitError reports a bound that a run exceeded.
type LimitError struct {
	What  string // "live orders" or "open lots"
	Limit int
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("more than %d %s: cancel or close before placing more", e.Limit, e.What)
}

// The bounds' errors, values of their own so that reporting one allocates nothing.
var (
	ErrOrders error = &LimitError{What: "live orders", Limit: MaxOrders}
	ErrLots   error = &LimitError{What: "open lots", Limit: MaxLots}
)

// Dir is the direction of an order or a position.
type Dir int8

// The directions. Both is for settings that name neither.
const (
	Both  Dir = 0
	Long  Dir = 1
	Short Dir = -1
)

// QtyType says what a default quantity is a number of.
type QtyType uint8

// The kinds of default quantities.
const (
	Fixed           QtyType = iota // units
	Cash                           // quote currency
	PercentOfEquity                // percent of the equity at the signal
)

// FeeType says what a commission is a number of.
type FeeType uint8

// The kinds of commissions; each is paid on entry and on exit.
const (
	FeePercent         FeeType = iota // percent of the traded value
	FeeCashPerOrder                   // quote currency an order
	FeeCashPerContract                // quote currency a unit
)

// OCAType says what the fill of one order of a group does to the others of the same name.
type OCAType uint8

// The kinds of one-cancels-all groups.
const (
	OCANone OCAType = iota
	OCACancel
	OCAReduce
)

// Settings are the account, instrument and cost rules of a run.
type Settings struct {
	Tick       float64 // smallest price step; must be positive
	LotStep    float64 // smallest step of a quantity; 0: no rounding
	PointValue float64 // money a price move of one makes for one unit; 0 means 1
	Capital    float64 // starting equity, in quote currency

	QtyType    QtyType // of entries that name no quantity
	Qty        float64
	Pyramiding int // entries of one direction; 0 means 1

	FeeType       FeeType
	Fee           float64
	SlippageTicks int // against the trader on market and stop fills
	LimitTicks    int // how far beyond a limit the price must go

	MarginLong, MarginShort float64 // percent of the value that equity must cover; 0: off

	ProcessOnClose bool // fill market orders at the close that placed them
	CloseAny       bool // Close takes lots of the named entry, not the oldest ones
	Nearer         bool // an exit with absolute and relative levels uses the nearer; false: the absolute
}

// Entry is an order that opens or adds to a position. Absent numbers are NaN, absent ids zero.
type Entry struct {
	ID, Comment int32 // numbers that the caller gives to names
	OCA         int32 // the group's name
	OCAType     OCAType
	Dir         Dir
	Qty         float64 // units; NaN: the default of the settings
	Limit, Stop float64 // prices; both NaN: a market order
}

// Exit is a bracket around the lots of an entry. Absent numbers are NaN, absent ids zero.
type Exit struct {
	ID, From                                          int32 // From zero: all entries
	Comment, CommentProfit, CommentLoss, CommentTrail int32
	OCA                                               int32
	OCAType                                           OCAType
	Qty                                               float64 // units
	QtyPercent                                        float64 // percent of the entries' size
	Profit, Loss                                      float64 // ticks from the entry price
	Limit, Stop                                       float64 // prices
	TrailPrice, TrailPoints                           float64 // activation: a price, or ticks from the entry price
	TrailOffset                                       float64 // ticks behind the best price
}

// Lot is one open entry.
type Lot struct {
	ID, Comment int32
	Size        float64 // units still open, negative when short
	Price       float64 // entry price
	Bar         int     // of the entry
	Fee         float64 // paid on entry for the size still open
	AtClose     bool    // filled at its bar's close

	original  float64 // size at the entry, positive
	high, low float64 // extremes of the price since the entry
}

// Trade is one closed lot, or the closed part of one.
type Trade struct {
	EntryID, ExitID, EntryComment, ExitComment int32
	Size                                       float64 // units, negative when short
	EntryPrice, ExitPrice                      float64
	EntryBar, ExitBar                          int
	EntryAtClose, ExitAtClose                  bool    // filled at the bar's close, not at its open or inside it
	Profit                                     float64 // after both fees, in quote currency
	Fee                                        float64 // both sides
	MaxRunup, MaxDrawdown                      float64 // best and worst open profit, as positive money
	Reason                                     Reason
}

// Reason says what closed a lot.
type Reason uint8

// The reasons of a closed lot.
const (
	ByOrder  Reason = iota // an entry, order or close of the strategy
	ByLimit                // an exit's limit or profit
	ByStop                 // an exit's stop or loss
	ByTrail                // an exit's trailing stop
	ByMargin               // a margin call
	ByRisk                 // a risk rule
)

// Inner holds the bars of a lower timeframe inside one bar, oldest first.
type Inner struct{ Open, High, Low, Close []float64 }
