package evidence

import "math"

// Stitched are the findings on the stitched returns of a walk-forward. What a fold chose is judged on bars
// that it did not choose by, so that there is one trial.
type Stitched struct {
	Findings           // PValue, DSR (with one trial), Statistic, Critical, Periods, PeriodsPerYear, SR
	FoldLoss   float64 // share of the folds whose excess over buy-and-hold is not above 0
	Efficiency float64 // yearly return out of sample over that in training
}

// JudgeStitched makes the verdict on a walk-forward.
func JudgeStitched(f Stitched) Judgement {
	j := Judgement{Next: []string{}}
	spa := j.check("spa", f.PValue, MaxPValue, f.PValue <= MaxPValue, "the stitched returns have a p-value of %.3f against buy-and-hold at the same exposure; must be at most %v", f.PValue, MaxPValue)
	dsr := j.check("dsr", f.DSR, MinDSR, f.DSR >= MinDSR, "the true Sharpe ratio of the stitched excess is above 0 with a probability of %.3f; must be at least %v", f.DSR, MinDSR)
	j.Checks[1].Title = "Probabilistic Sharpe ratio of the excess" // one trial is not deflated
	weak := j.weakStitched(f)
	j.power(f.Findings)
	switch {
	case spa && dsr && len(weak) == 0:
		j.Verdict, j.Because = Robust, "the parameters chosen by the folds beat buy-and-hold on bars that did not choose them, and pass every other check"
	case spa && dsr:
		j.Verdict, j.Because = Fragile, "the parameters chosen by the folds beat buy-and-hold, but "+weak[0]
	case spa || dsr:
		j.Verdict, j.Because = Undecided, "the tests disagree: "+j.disagreement()
	case math.IsNaN(f.PValue):
		j.Verdict, j.Because = Undecided, "the tests could not be run, for the reason given"
	case f.PValue >= 0.5:
		j.Verdict, j.Because = Luck, "the parameters chosen by the folds do no better than buy-and-hold at the same exposure"
	case j.decisive():
		j.Verdict, j.Because = Luck, j.missed()
	default:
		j.Verdict, j.Because = Undecided, "the test windows together are too short to separate skill from luck"
	}
	if !(spa && dsr) {
		j.needed(f.Findings)
	}
	return j
}

// weakStitched are the checks that a walk-forward better than luck must pass too. The walk-forward
// efficiency is none of them: training windows are chosen on and compound for longer, so that a true edge
// can have one below 0.5.
func (j *Judgement) weakStitched(f Stitched) (weak []string) {
	if math.IsNaN(f.FoldLoss) || j.check("fold_loss", f.FoldLoss, MaxFoldLoss, f.FoldLoss <= MaxFoldLoss,
		"%.0f %% of the folds do not beat buy-and-hold at the same exposure; must be at most %.0f %%", 100*f.FoldLoss, 100*MaxFoldLoss) {
		return nil
	}
	return []string{"only a minority of the folds earned it"}
}
