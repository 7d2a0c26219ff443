package backtest

import (
	"math"
	"slices"
)

// Plot is a line that a strategy decides by, one value a bar; NaN where it has none.
type Plot struct {
	Name   string
	Values []float64
	Pane   bool // on a scale of its own, below the price
}

// Plotter is a strategy that shows what it decides by.
type Plotter interface {
	// Plots are its lines. Arrays of the indicators are copied by the caller.
	Plots(ind *Indicators, p Params) []Plot
}

// Drawer is a trader of a strategy that draws by itself, as a script does with plot.
type Drawer interface {
	// Lines are what the strategy draws over the windows, which follow each other, at the parameters of the last
	// Prepare: a value for each bar of the history, NaN from the last window's end on. leftOut counts the lines beyond
	// what is kept. The values belong to the caller.
	Lines(windows ...Window) (lines []Plot, leftOut int, err error)
}

// PlotsOf are the lines that a strategy decides by, for a chart of its trades; none of a strategy that
// does not show them. Their values belong to the caller.
func PlotsOf(b *Bars, s Strategy, p Params) []Plot {
	plotter, ok := s.(Plotter)
	if !ok {
		return nil
	}
	plots := plotter.Plots(NewIndicators(b), p)
	for i := range plots {
		plots[i].Values = slices.Clone(plots[i].Values)
	}
	return plots
}

// constant is a level as a line.
func constant(n int, v float64) []float64 { return slices.Repeat([]float64{v}, n) }

// delayed are the values of one bar before.
func delayed(values []float64) []float64 {
	return append(constant(min(1, len(values)), math.NaN()), values[:max(len(values)-1, 0)]...)
}

func (smaCross) Plots(ind *Indicators, p Params) []Plot {
	return []Plot{{Name: "fast mean", Values: ind.SMA(int(p[0]))}, {Name: "slow mean", Values: ind.SMA(int(p[1]))}}
}

func (emaCross) Plots(ind *Indicators, p Params) []Plot {
	return []Plot{{Name: "fast mean", Values: ind.EMA(int(p[0]))}, {Name: "slow mean", Values: ind.EMA(int(p[1]))}}
}

func (rsiReversal) Plots(ind *Indicators, p Params) []Plot {
	n := ind.Bars().Len()
	return []Plot{
		{Name: "RSI", Values: ind.RSI(int(p[0])), Pane: true},
		{Name: "oversold", Values: constant(n, p[1]), Pane: true}, {Name: "overbought", Values: constant(n, p[2]), Pane: true},
	}
}

func (bbReversal) Plots(ind *Indicators, p Params) []Plot {
	mean, dev := ind.SMA(int(p[0])), ind.Deviation(int(p[0]))
	lower, upper := make([]float64, len(mean)), make([]float64, len(mean))
	for i := range mean {
		lower[i], upper[i] = mean[i]-float64(p[1]*dev[i]), mean[i]+float64(p[1]*dev[i])
	}
	return []Plot{{Name: "upper band", Values: upper}, {Name: "mean", Values: mean}, {Name: "lower band", Values: lower}}
}

func (macdCross) Plots(ind *Indicators, p Params) []Plot {
	fast, slow, signal := int(p[0]), int(p[1]), int(p[2])
	return []Plot{
		{Name: "MACD", Values: ind.MACD(fast, slow), Pane: true}, {Name: "signal line", Values: ind.MACDSignal(fast, slow, signal), Pane: true},
	}
}

func (donchianBreakout) Plots(ind *Indicators, p Params) []Plot {
	return []Plot{
		{Name: "highest high", Values: delayed(ind.Highest(int(p[0])))}, {Name: "lowest low", Values: delayed(ind.Lowest(int(p[1])))},
	}
}

func (breakout52w) Plots(ind *Indicators, p Params) []Plot {
	return []Plot{
		{Name: "highest high", Values: delayed(ind.Highest(int(p[0])))}, {Name: "exit mean", Values: ind.SMA(int(p[1]))},
	}
}

// Plots are the opening range of each day, from the bar on that completes it.
func (openingRange) Plots(ind *Indicators, p Params) []Plot {
	b, opening := ind.Bars(), int(p[0])
	high, low := constant(b.Len(), math.NaN()), constant(b.Len(), math.NaN())
	from := 0
	for _, end := range b.dayEnds {
		to := int(end) + 1
		opened := min(from+opening, to)
		h, l := slices.Max(b.High[from:opened]), slices.Min(b.Low[from:opened])
		for i := opened; i < to; i++ {
			high[i], low[i] = h, l
		}
		from = to
	}
	return []Plot{{Name: "range high", Values: high}, {Name: "range low", Values: low}}
}
