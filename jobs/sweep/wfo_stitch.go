package sweep

import (
	"math"

	"millrace/jobs/backtest"
)

// stitchedReturns are the stretches' returns by period and those of buy-and-hold; ends are where each
// fold's end.
type stitchedReturns struct {
	own, held []float64
	ends      []int
	perYear   float64
	startsAt  func(tenth int) int64 // when a tenth of them begins, in microseconds
}

// stitchAll puts the stretches of every dataset together, and then the datasets.
func (out *WFOOutcome) stitchAll(cash float64, data []Series, folds []FoldResult) stitchedReturns {
	if len(data) == 1 {
		var all stitchedReturns
		out.OOS, out.Curve, all = stitch(cash, data[0], folds, 0)
		out.measure(&out.OOS, all, "oos.sharpe")
		return all
	}
	for i, d := range data {
		walk := DatasetWalk{Dataset: d.Name}
		oos, curve, all := stitch(cash, d, folds, i)
		out.measure(&oos, all, "by_dataset."+d.Name+".oos.sharpe")
		walk.describe(d, folds, oos, curve)
		out.ByDataset = append(out.ByDataset, walk)
		out.Curve.Bars, out.Curve.Equity = append(out.Curve.Bars, curve.Bars...), append(out.Curve.Equity, curve.Equity...)
		out.Curve.Parts = append(out.Curve.Parts, int32(len(curve.Bars)))
	}
	all := out.together(cash, data, folds)
	out.measure(&out.OOS, all, "oos.sharpe")
	return all
}

// stitch puts the stretches on one dataset together, each beginning with what the one before it left.
func stitch(cash float64, data Series, folds []FoldResult, dataset int) (oos Stitched, curve Curve, all stitchedReturns) {
	equity, bars := cash, data.Bars
	for _, fold := range folds {
		s := fold.Stretch.of(dataset)
		oos.Trades += s.Trades
		first := len(curve.Equity)
		for i, growth := range s.Growth {
			curve.Bars = append(curve.Bars, int32(s.From+i))
			curve.Equity = append(curve.Equity, equity*growth)
		}
		part := backtest.Window{From: s.From, To: s.From + len(s.Growth)}
		all.own = bars.AppendReturns(all.own, part, equity, curve.Equity[first:])
		if part.Len() > 0 {
			closes := bars.Close[part.From:part.To]
			all.held = bars.AppendReturns(all.held, part, closes[0], closes)
		}
		all.ends = append(all.ends, len(all.own))
		if n := len(curve.Equity); n > first {
			equity = curve.Equity[n-1]
		}
	}
	all.perYear = bars.PeriodsPerYear(data.Calendar)
	all.startsAt = func(tenth int) int64 { return bars.Time[curve.Bars[len(curve.Bars)*tenth/10]] }
	oos.Bars = len(curve.Equity)
	oos.earned(cash, curve.Equity)
	return oos, curve, all
}

// earned sets the return and the drawdown of an equity curve.
func (s *Stitched) earned(cash float64, curve []float64) {
	equity, peak := cash, cash
	for _, equity = range curve {
		peak = max(peak, equity)
		s.MaxDrawdownPct = max(s.MaxDrawdownPct, 100*(1-equity/peak))
	}
	s.ReturnPct = 100 * (equity/cash - 1)
}

// measure sets the Sharpe ratio of returns, or says under a name why there is none.
func (out *WFOOutcome) measure(s *Stitched, all stitchedReturns, name string) {
	variance, n := spread(all.own)
	var mean float64
	for _, r := range all.own {
		mean += r / float64(n)
	}
	if variance > 1e-24 {
		s.Sharpe = defined(math.Sqrt(all.perYear) * mean / math.Sqrt(variance))
	} else {
		out.explain(name, "out-of-sample returns never vary")
	}
}
