package report

import (
	"math"
	"time"

	"millrace/jobs/backtest"
)

// Curve is the equity at each bar's close over a window.
type Curve struct {
	Bars     *backtest.Bars
	Window   backtest.Window
	Calendar backtest.Calendar
	Start    float64   // equity before the first bar
	Equity   []float64 // one a bar of the window
}

// Join continues a with b, which begins where a ends: b's growth is applied to what a ended with. Both
// are of the same bars. With an empty curve it is the other one.
func Join(a, b Curve) Curve {
	if len(a.Equity) == 0 {
		return b
	}
	joined := a
	joined.Equity = append([]float64(nil), a.Equity...)
	if len(b.Equity) == 0 {
		return joined
	}
	joined.Window.To = b.Window.To
	last := a.Equity[len(a.Equity)-1]
	for _, e := range b.Equity {
		joined.Equity = append(joined.Equity, last*(e/b.Start))
	}
	return joined
}

// BuyAndHold is the curve of an account of the same start that holds the instrument from the window's
// first close on, without costs.
func (c Curve) BuyAndHold() Curve {
	held := c
	held.Equity = make([]float64, c.Window.Len())
	if c.Window.Len() == 0 {
		return held
	}
	first := c.Bars.Close[c.Window.From]
	for i := range held.Equity {
		held.Equity[i] = c.Start * (c.Bars.Close[c.Window.From+i] / first)
	}
	return held
}

// Year is the returns of one calendar year, in percent.
type Year struct {
	Year   int
	Months [12]float64 // NaN for a month without a bar
	Total  float64
}

// Monthly are the returns by month. The first and the last month are from and to where the curve begins
// and ends. After ruin returns are 0.
func (c Curve) Monthly() []Year {
	var years []Year
	zone := c.Bars.Zone()
	monthStart, yearStart, equity := c.Start, c.Start, c.Start
	year, month := 0, time.Month(0)
	for i, e := range c.Equity {
		at := time.UnixMicro(c.Bars.Time[c.Window.From+i]).In(zone)
		if y := at.Year(); y != year || len(years) == 0 {
			year, month, yearStart, monthStart = y, at.Month(), equity, equity
			years = append(years, emptyYear(y))
		} else if at.Month() != month {
			month, monthStart = at.Month(), equity
		}
		line := &years[len(years)-1]
		line.Months[month-1], line.Total = change(monthStart, e), change(yearStart, e)
		equity = e
	}
	return years
}

func emptyYear(year int) Year {
	y := Year{Year: year, Total: math.NaN()}
	for i := range y.Months {
		y.Months[i] = math.NaN()
	}
	return y
}

// change is the return from one equity to another, in percent.
func change(from, to float64) float64 {
	if !(from > 0) {
		return 0
	}
	return 100 * (to/from - 1)
}

// Point is a value at a time.
type Point struct {
	Time  int64
	Value float64
}

// RollingPeriods is the length of the rolling window: half a year of returns, at least 20.
func (c Curve) RollingPeriods() int {
	return max(20, int(math.Round(c.Bars.PeriodsPerYear(c.Calendar)/2)))
}

// RollingSharpe is the annualised Sharpe ratio over the last periods returns, at the end of each from
// the one on that completes the window; NaN where returns do not vary.
func (c Curve) RollingSharpe(periods int) []Point {
	returns := c.Bars.AppendReturns(nil, c.Window, c.Start, c.Equity)
	ends := c.Bars.PeriodEnds(c.Window)
	if periods < 2 || len(returns) < periods {
		return nil
	}
	perYear := math.Sqrt(c.Bars.PeriodsPerYear(c.Calendar))
	points := make([]Point, 0, len(returns)-periods+1)
	for to := periods; to <= len(returns); to++ {
		points = append(points, Point{Time: c.Bars.Time[ends[to-1]], Value: perYear * sharpe(returns[to-periods:to])})
	}
	return points
}

// sharpe is the mean over the sample's standard deviation.
func sharpe(returns []float64) float64 {
	n := float64(len(returns))
	sum := 0.0
	for _, r := range returns {
		sum += r
	}
	mean, squares := sum/n, 0.0
	for _, r := range returns {
		d := r - mean
		squares += float64(d * d)
	}
	if squares/n <= 1e-24 { // what rounding leaves of values that do not differ
		return math.NaN()
	}
	return mean / math.Sqrt(squares/(n-1))
}
