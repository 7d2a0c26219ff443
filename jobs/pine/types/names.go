package types

import (
	_ "embed" // the tables of names
	"strings"
	"sync"
)

//go:embed signatures.txt
var signatureText string

//go:embed variables.txt
var variableText string

// Param is a parameter of a built-in function.
type Param struct {
	Name     string
	Type     string // as in signatures.txt
	Optional bool
	Repeated bool
}

// Signature says how a built-in function is called.
type Signature struct {
	Name    string
	Params  []Param
	Results []string // one, or several for a tuple
}

var signatures = sync.OnceValue(func() map[string]*Signature {
	all := map[string]*Signature{}
	for line := range strings.SplitSeq(signatureText, "\n") {
		parts := strings.Split(line, "|")
		if len(parts) != 3 || strings.HasPrefix(line, "#") {
			continue
		}
		s := &Signature{Name: strings.TrimSpace(parts[0]), Results: strings.Fields(parts[2])}
		for field := range strings.SplitSeq(parts[1], ",") {
			name, kind, found := strings.Cut(strings.TrimSpace(field), ":")
			if !found {
				continue
			}
			p := Param{Name: name, Type: kind}
			if p.Type, p.Repeated = strings.CutSuffix(p.Type, "..."); !p.Repeated {
				p.Type, p.Optional = strings.CutSuffix(p.Type, "?")
			}
			s.Params = append(s.Params, p)
		}
		all[s.Name] = s
	}
	return all
})

var variables = sync.OnceValue(func() map[string]*Type {
	all := map[string]*Type{}
	for line := range strings.SplitSeq(variableText, "\n") {
		name, kind, found := strings.Cut(line, "|")
		if found && !strings.HasPrefix(line, "#") {
			all[strings.TrimSpace(name)] = scalars[strings.TrimSpace(kind)]
		}
	}
	return all
})

var scalars = map[string]*Type{
	"int": IntType, "float": FloatType, "bool": BoolType, "string": StringType, "color": ColorType, "void": VoidType,
}

// Scalar is the type of that name, or nil.
func Scalar(name string) *Type { return scalars[name] }

// Function finds the signature of a built-in function by its name in version 6, or nil.
func Function(name string) *Signature { return signatures()[name] }

// Functions are the names of all functions with a signature.
func Functions() []string {
	var names []string
	for name := range signatures() {
		names = append(names, name)
	}
	return names
}

// Variable is the type of a built-in variable, or nil.
func Variable(name string) *Type { return variables()[name] }

// drawings are the types whose values are inert handles.
var drawings = []string{"line", "label", "box", "table", "linefill", "polyline", "chart.point", "plot", "hline", "footprint"}

// IsDrawing reports whether name is the type of a drawing.
func IsDrawing(name string) bool {
	for _, d := range drawings {
		if d == name {
			return true
		}
	}
	return false
}

// ignored are calls that only draw, alert or log. A name that ends in a dot stands for all below it.
var ignored = []string{
	"plot", "plotshape", "plotchar", "plotarrow", "plotbar", "plotcandle", "hline", "fill", "bgcolor", "barcolor",
	"alert", "alertcondition", "max_bars_back", "strategy.risk.", "log.", "line.", "label.", "box.", "table.", "linefill.", "polyline.", "chart.point.",
	"color.",
}

// Ignored reports whether a call of that name is parsed and dropped.
func Ignored(name string) bool {
	if Function(name) != nil || strings.Contains(name, ".get_") {
		return false
	}
	for _, i := range ignored {
		if name == i || strings.HasSuffix(i, ".") && strings.HasPrefix(name, i) {
			return true
		}
	}
	return false
}

// Refusal says why a name is not supported and what to do instead.
type Refusal struct{ Message, Advice string }

// refusals by name; one that ends in a dot stands for all below it.
var refusals = []struct {
	name string
	Refusal
}{
	{"request.security_lower_tf", Refusal{"data of a lower timeframe is not available", "use the chart's own bars"}},
	{"request.", Refusal{"only request.security of the chart's own symbol is available", "drop the call, or replace its value by an input"}},
	{"ticker.", Refusal{"only ticker.heikinashi, ticker.standard, ticker.new and ticker.modify of the chart's own symbol are available", "use syminfo.tickerid"}},
	{"strategy.margin_liquidation_price", Refusal{"the price of a margin call is not computed beforehand", "use the account's equity and the position's size"}},
	{"strategy.opentrades.capital_held", Refusal{"the capital that a margin holds is not followed", "use the position's size times its average price"}},
	{"ta.pivot_point_levels", Refusal{"pivot point levels are not computed", "compute them of the high, low and close of the last period"}},
	{"timenow", Refusal{"the clock is not part of a backtest", "use time or time_close"}},
	{"last_bar_index", Refusal{"which bar is the last is not known before it comes", "use bar_index"}},
	{"last_bar_time", Refusal{"which bar is the last is not known before it comes", "use time"}},
	{"chart.left_visible_bar_time", Refusal{"a backtest has no visible range", "use an input of type time"}},
	{"chart.right_visible_bar_time", Refusal{"a backtest has no visible range", "use an input of type time"}},
	{"bid", Refusal{"bars hold neither bid nor ask", "use close"}},
	{"ask", Refusal{"bars hold neither bid nor ask", "use close"}},
	{"math.random", Refusal{"the generator behind it is not public: no run would be TradingView's", "use a series of your own"}},
	{"line.get_", Refusal{"drawings hold no values here", "keep the value in a variable of your own"}},
	{"label.get_", Refusal{"drawings hold no values here", "keep the value in a variable of your own"}},
	{"box.get_", Refusal{"drawings hold no values here", "keep the value in a variable of your own"}},
	{"linefill.get_", Refusal{"drawings hold no values here", "keep the value in a variable of your own"}},
}

// Refused finds why a name is refused.
func Refused(name string) (Refusal, bool) {
	for _, r := range refusals {
		if name == r.name || (strings.HasSuffix(r.name, ".") || strings.HasSuffix(r.name, "_")) && strings.HasPrefix(name, r.name) {
			return r.Refusal, true
		}
	}
	return Refusal{}, false
}
