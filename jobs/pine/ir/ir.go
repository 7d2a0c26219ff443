package ir

import (
	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// Slot is the number of a register.
type Slot int32

// SlotKind says where a slot's value comes from.
type SlotKind uint8

// The kinds of slots.
const (
	SlotVar   SlotKind = iota // written by instructions
	SlotConst                 // Value
	SlotInput                 // the value of input Index
	SlotBar                   // the bar series Index
)

// Series numbers of SlotBar.
const (
	SeriesOpen = iota
	SeriesHigh
	SeriesLow
	SeriesClose
	SeriesVolume
	SeriesHL2
	SeriesHLC3
	SeriesOHLC4
	SeriesHLCC4
	SeriesTime
	SeriesTimeClose
	SeriesIndex
	SeriesCount
)

// SeriesNames are the names of the bar series by number.
var SeriesNames = [SeriesCount]string{"open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4", "hlcc4", "time", "time_close", "bar_index"}

// SlotInfo describes a slot.
type SlotInfo struct {
	Kind  SlotKind
	Type  *types.Type
	Value float64 // of SlotConst
	Index int     // of SlotInput and SlotBar
	Name  string  // of a variable
	Sets  int     // instructions that write it
}

// Op is what an instruction does.
type Op uint8

// The operations. Unless said otherwise they write Dst[0] from Args.
const (
	OpSet Op = iota
	OpAdd
	OpSub
	OpMul
	OpDiv
	OpMod
	OpNeg
	OpLt
	OpLe
	OpGt
	OpGe
	OpEq
	OpNe
	OpAnd
	OpOr
	OpNot
	OpSelect // Args[0] ? Args[1] : Args[2]
	OpMin
	OpMax
	OpAbs
	OpFloor
	OpCeil
	OpTrunc
	OpSqrt
	OpIsNa
	OpNz     // Args[0], or Args[1] when that is na
	OpToBool // of a number, before version 6
	OpFunc   // the pure function Name

	OpSource  // the bar series whose number in Sources is Args[0]
	OpBarHist // bar series N, Args[0] bars back
	OpHist    // slot Args[0], Args[1] runs back
	OpPush    // records Args[0] for OpHist

	OpKernel   // one run of the law Name; writes all of Dst
	OpRead     // strategy state Name
	OpOrder    // order call Name
	OpObject   // the function Name of collections
	OpNew      // an object with the fields Args
	OpField    // field N of Args[0]
	OpSetField // field N of Args[0] becomes Args[1]
	OpSecurity // writes Dst from sub-program N at timeframe Args[0]
	OpFail     // run-time error with text Args[0]
	OpRefuse   // Name says why this may not reach an order

	OpIf       // Blocks[0] when Args[0] is true, Blocks[1] otherwise
	OpOnce     // Blocks[0] on its first run; N is the number of the flag
	OpLoop     // Blocks[0] computes Args[0], Blocks[1] is the body, Blocks[2] the step
	OpBreak    // leaves the innermost loop
	OpContinue // goes to the innermost loop's step
)

// Block is instructions in order.
type Block []*Inst

// Inst is one instruction.
type Inst struct {
	Op     Op
	Dst    []Slot
	Args   []Slot
	N      int
	Name   string
	Blocks []Block
	Class  string // of an object operation: the type of the object it reads or changes
	Advice string // of OpRefuse
	Pos    syntax.Pos
}

// Sources are the bar series an input of kind source can choose, in order.
var Sources = []int{SeriesOpen, SeriesHigh, SeriesLow, SeriesClose, SeriesHL2, SeriesHLC3, SeriesOHLC4, SeriesHLCC4, SeriesVolume}

// InputKind is the kind of an input.
type InputKind string

// The kinds of inputs.
const (
	InputInt       InputKind = "int"
	InputFloat     InputKind = "float"
	InputBool      InputKind = "bool"
	InputEnum      InputKind = "enum" // text or enum with options: the value is the option's number
	InputSource    InputKind = "source"
	InputTimeframe InputKind = "timeframe"
	InputSession   InputKind = "session"
	InputString    InputKind = "string"
	InputTime      InputKind = "time"
	InputColor     InputKind = "color"
)

// Input is one declared input.
type Input struct {
	Name     string // title, or the variable's name; unique
	Variable string
	Kind     InputKind
	Default  float64 // a number, 0 or 1, an option's or a text's number
	Min, Max float64 // NaN when not given
	Step     float64 // 0 when not given
	Options  []float64
	Labels   []string // what the options are called
	Group    string   // heading under which the chart shows it
	Tooltip  string
	Values   []float64 // of InputEnum: what each option is in the program
	Pos      syntax.Pos
	Used     bool // reaches an order
}

// Ring is a slot whose history is read, and how far back at most.
type Ring struct {
	Slot  Slot
	Depth int
}

// Body is instructions that run once a bar.
type Body struct {
	Code  Block
	Rings []Ring // OpPush and OpHist name them by N
}

// Sub is a program that request.security runs over the bars of another timeframe.
type Sub struct {
	Body
	Results    []Slot
	Gaps       bool
	LookAhead  bool
	HeikinAshi bool
	Pos        syntax.Pos
}

// Program is a lowered script.
type Program struct {
	Version int
	Slots   []SlotInfo
	Body
	Inputs   []Input
	Subs     []*Sub
	Strings  []string // constant texts by number
	Flags    int      // of OpOnce
	Settings Settings
	// Enums' titles by type, for str.tostring.
	EnumTitles map[string][]string
	Kernels    int
	// Of a program that is lowered with its plots.
	Plots        []Plot
	PlotsLeftOut int // beyond MaxPlots
}

// Settings are the arguments of strategy().
type Settings struct {
	Title          string
	Overlay        bool            // what it plots is on the price's scale
	Given          map[string]bool // which arguments the script names
	Capital        float64
	QtyType        string // fixed, cash, percent_of_equity
	Qty            float64
	Pyramiding     int
	CommissionType string // percent, cash_per_order, cash_per_contract
	Commission     float64
	Slippage       int
	LimitTicks     int
	MarginLong     float64
	MarginShort    float64
	ProcessOnClose bool
	CloseAny       bool
	EveryTick      bool
	OnOrderFills   bool
	Magnifier      bool
	StandardOHLC   bool
	Currency       string
}
