package api

import (
	"context"
	"fmt"
	"sort"

	"millrace/api/tearsheet"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/report"
	"millrace/jobs/sweep"
	"millrace/store/walkforward"
)

// addDatasets adds a column for each dataset of a walk-forward over several, beside that of all together.
func addDatasets(sheet *tearsheet.Sheet, found []sweep.DatasetWalk) {
	sheet.Columns = []string{"together"}
	for i := range found {
		d := &found[i]
		trades := float64(d.OOS.Trades)
		sheet.Columns = append(sheet.Columns, d.Dataset)
		for k, v := range []*float64{&d.OOS.ReturnPct, &d.OOS.MaxDrawdownPct, d.OOS.Sharpe, &trades, nil} {
			sheet.Figures[k].Values = append(sheet.Figures[k].Values, v)
		}
	}
}

// togetherCurve is the equity of the account that has an equal part in each dataset, beside holding an equal part of
// each from the first day on.
func (s *Server) togetherCurve(ctx context.Context, wfo *walkforward.Run, curve sweep.Curve, cash float64) (report.Curve, error) {
	held := make([]float64, len(curve.At))
	var calendar backtest.Calendar
	for k, id := range wfo.DatasetIDs() {
		bars, of, err := s.store.Market.Bars(ctx, wfo.WorkspaceID, id)
		if err != nil {
			return report.Curve{}, err
		}
		calendar = max(calendar, of)
		first := bars.Close[curve.Of(k).Bars[0]]
		for i, at := range curve.At {
			last := sort.Search(bars.Len(), func(n int) bool { return bars.Time[n] > at }) - 1
			held[i] += bars.Close[max(last, 0)] / first / float64(len(curve.Parts))
		}
	}
	bars, err := backtest.NewBars(curve.At, held, held, held, held, make([]float64, len(held)))
	if err != nil {
		return report.Curve{}, fmt.Errorf("join the datasets of walk-forward %s: %w", wfo.ID, err)
	}
	return report.Curve{Bars: bars, Window: backtest.Window{To: bars.Len()}, Calendar: calendar, Start: cash, Equity: curve.Together}, nil
}
