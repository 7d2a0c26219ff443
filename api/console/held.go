package console

import (
	"context"
	"math"
	"sort"

	"github.com/google/uuid"

	"millrace/api/console/chart"
	"millrace/jobs/backtest"
)

// held is what buying at the start of the first test window and holding through all of them comes to, at the times of
// the stitched equity. Between windows nothing is held. nil where the bars cannot be read any more.
func (p *Pages) held(ctx context.Context, workspace uuid.UUID, w *walkForward) (chart.Values, error) {
	if len(w.Equity) == 0 || len(w.Folds) == 0 || w.Folds[0].TuneID == nil {
		return nil, nil
	}
	id, err := uuid.Parse(*w.Folds[0].TuneID)
	if err != nil {
		return nil, nil
	}
	stored, err := p.opts.Reads.StoredTune(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	series, err := p.opts.Reads.Series(ctx, stored)
	if err != nil {
		return nil, err
	}
	var all chart.Values
	for _, s := range series {
		if s.Bars.Len() == 0 {
			return nil, nil
		}
		of := w.heldOn(s.Bars)
		if all == nil {
			all = make(chart.Values, len(of))
		}
		for i, v := range of {
			all[i] += v / float64(len(series)) // of several, an equal part of each from the first day on
		}
	}
	return all, nil
}

// heldOn goes over the windows in order: each is held from its first bar's close to the bar before the next one's.
func (w *walkForward) heldOn(bars *backtest.Bars) chart.Values {
	at := func(micros int64) int {
		return sort.Search(bars.Len(), func(i int) bool { return bars.Time[i] >= micros })
	}
	last := func(micros int64) int { // the last bar until then
		return sort.Search(bars.Len(), func(i int) bool { return bars.Time[i] > micros }) - 1
	}
	values := make(chart.Values, len(w.Equity))
	growth, fold := w.Equity[0].Equity, 0
	from := func(fold int) int { return at(w.Folds[fold].TestStart.UnixMicro()) }
	to := func(fold int) int {
		end := at(w.Folds[fold].TestEnd.UnixMicro()) - 1
		if fold+1 < len(w.Folds) {
			end = min(end, max(from(fold+1)-1, 0))
		}
		return end
	}
	grown := func(fold, until int) float64 {
		first := max(from(fold)-1, 0) // held since the close before, as the equity begins with what was there
		if fold == 0 || to(fold-1) < first {
			first = min(from(fold), bars.Len()-1)
		}
		if until = min(until, to(fold)); until <= first {
			return 1
		}
		return bars.Close[until] / bars.Close[first]
	}
	for i, e := range w.Equity {
		bar := last(e.Time.UnixMicro())
		for fold+1 < len(w.Folds) && from(fold+1) <= bar {
			growth *= grown(fold, bars.Len())
			fold++
		}
		if values[i] = growth * grown(fold, bar); bar < 0 {
			values[i] = math.NaN()
		}
	}
	return values
}
