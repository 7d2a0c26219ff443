package ir

import (
	"fmt"
	"math"
	"strings"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// Limits of what a chart shows of a script.
const (
	MaxPlots     = 32
	maxPlotTitle = 60 // characters
)

// Plot is a line that a script draws with plot or hline.
type Plot struct {
	Title  string // unique in the program, of at most 60 characters
	Slot   Slot
	Offset int  // bars to the right
	Price  bool // on the price's scale
}

// LowerPlots makes a program of a script that trades as that of Lower and keeps its plots too. A plot that cannot be
// kept is left out: the script trades without it.
func LowerPlots(script *syntax.Script, diags *syntax.Diagnostics) *Program {
	return lowered(script, diags, true)
}

// plotOrder are the positional arguments of plot and hline that matter.
var plotOrder = []string{"series", "title"}

// plot keeps what a call of plot or hline draws. Both stand at the script's outermost level.
func (l *lowerer) plot(x *syntax.Call, name string) {
	if !l.plots || l.depth > 0 || len(l.inlining) > 0 || name != "plot" && name != "hline" {
		return
	}
	args := map[string]syntax.Arg{}
	for i, a := range x.Args {
		key := a.Name
		if key == "" && i < len(plotOrder) {
			key = plotOrder[i]
		}
		if key == "price" {
			key = "series"
		}
		args[key] = a
	}
	// The arguments are not part of what trades: a fault in them leaves the plot out, and an input that only they
	// declare is not a parameter.
	diags := l.diags
	l.diags, l.plotting = &syntax.Diagnostics{}, true
	found, ok := l.plotOf(x, args)
	ok = ok && !l.diags.HasErrors()
	l.diags, l.plotting = diags, false
	switch {
	case l.over:
		l.errorAt(x.Pos, "P403", fmt.Sprintf("the script has more than %d instructions with what it plots", MaxInstructions), "plot less")
	case !ok:
	case len(l.p.Plots) == MaxPlots:
		l.p.PlotsLeftOut++
	default:
		l.p.Plots = append(l.p.Plots, found)
	}
}

func (l *lowerer) plotOf(x *syntax.Call, args map[string]syntax.Arg) (Plot, bool) {
	series, ok := args["series"]
	if !ok {
		return Plot{}, false
	}
	fixed := func(key string) (Slot, bool) {
		a, ok := args[key]
		if !ok {
			return 0, false
		}
		return l.scalar(a.Value, key).slot(), true
	}
	if a, ok := args["display"]; ok {
		if where := l.dotted(a.Value); where == "display.none" || where == "display.data_window" || where == "display.status_line" || where == "display.price_scale" {
			return Plot{}, false
		}
	}
	p := Plot{Title: l.plotTitle(args, series.Value), Price: l.p.Settings.Overlay}
	if s, ok := fixed("force_overlay"); ok {
		v, known := l.constNumber(s)
		p.Price = p.Price || known && True(v)
	}
	if s, ok := fixed("offset"); ok {
		if v, known := l.constNumber(s); known && v == v {
			p.Offset = int(min(max(v, -MaxOffset), MaxOffset))
		}
	}
	v, ok := l.number(l.scalar(series.Value, "a plot"))
	if !ok {
		return Plot{}, false
	}
	if c, ok := l.constNumber(v.slot()); ok && math.IsNaN(c) {
		return Plot{}, false
	}
	// A slot of its own: what is plotted may change further down.
	p.Slot = l.newSlot(SlotInfo{Type: types.FloatType, Name: p.Title})
	l.set(x.Pos, p.Slot, v.slot())
	return p, true
}

// plotTitle is a plot's title, or what it is called in the script.
func (l *lowerer) plotTitle(args map[string]syntax.Arg, series syntax.Expr) string {
	title := ""
	if a, ok := args["title"]; ok {
		text, _ := l.constText(l.scalar(a.Value, "a title").slot())
		title = strings.Join(strings.Fields(text), " ")
	}
	if id, ok := series.(*syntax.Ident); ok && title == "" {
		title = id.Name
	}
	if title == "" {
		title = "plot"
	}
	if runes := []rune(title); len(runes) > maxPlotTitle {
		title = string(runes[:maxPlotTitle-1]) + "…"
	}
	base := title
	for n := 2; l.hasPlot(title); n++ {
		title = fmt.Sprintf("%s %d", base, n)
	}
	return title
}

func (l *lowerer) hasPlot(title string) bool {
	for _, p := range l.p.Plots {
		if p.Title == title {
			return true
		}
	}
	return false
}

// plotted are the slots of the plots; nil when there are none.
func (l *lowerer) plotted() []Slot {
	var slots []Slot
	for _, p := range l.p.Plots {
		slots = append(slots, p.Slot)
	}
	return slots
}
