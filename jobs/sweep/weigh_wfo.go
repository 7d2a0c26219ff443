package sweep

import (
	"errors"
	"math"

	"millrace/jobs/sweep/evidence"
)

// weigh makes the verdict on a walk-forward from its stitched returns.
func (out *WFOOutcome) weigh(seed uint64, all stitchedReturns) {
	perYear := all.perYear
	nan := math.NaN()
	w := &weighing{
		held: all.held, year: math.Sqrt(perYear), panel: &evidence.Panel{Trials: []int{0}, Returns: [][]float64{all.own}},
		out:   &Evidence{Starts: []StartFigures{}, Regimes: []RegimeFigures{}},
		found: evidence.Findings{PValue: nan, DSR: nan, PeriodsPerYear: perYear},
	}
	l := &w.out.Luck
	l.Trials, l.Sampled, l.Groups, l.Effective, l.Survivors = 1, 1, 1, 1, []int{}
	f := evidence.Stitched{FoldLoss: nan}
	if err := w.stitched(seed); errors.Is(err, evidence.ErrTooFew) {
		w.out.explain("verdict", "the stitched returns are fewer than 20 or do not vary")
	} else {
		w.startsAt(all.startsAt)
		w.regimes()
		f.FoldLoss = out.foldLoss(w.excess.Returns[0], all.ends)
	}
	f.Findings = w.found
	w.out.Judgement = evidence.JudgeStitched(f)
	out.Evidence = w.out
}

// stitched compares the stitched returns with buy-and-hold and with luck.
func (w *weighing) stitched(seed uint64) error {
	if len(w.held) < 20 {
		return evidence.ErrTooFew
	}
	w.excess = w.panel.Excess(w.held)
	c, err := w.resample(seed, evidence.MaxPValue)
	if err != nil {
		return err
	}
	w.compare()
	w.found.PValue, w.found.DSR = c.SPA, evidence.Describe(w.excess.Returns[0]).PSR(0)
	w.found.Statistic, w.found.Critical = c.Statistic, c.Critical
	w.out.Luck.PValue, w.out.Market.ExcessDSR = defined(c.SPA), w.out.Market.ExcessPSR
	return nil
}

// foldLoss is the share of the folds that chose parameters whose excess is not above 0; NaN without any.
func (out *WFOOutcome) foldLoss(excess []float64, ends []int) float64 {
	chose, lost, from := 0, 0, 0
	for i, end := range ends {
		if out.Folds[i].Params != nil && end > from {
			chose++
			if !(evidence.Describe(excess[from:end]).Mean > 0) {
				lost++
			}
		}
		from = end
	}
	return float64(lost) / float64(chose)
}
