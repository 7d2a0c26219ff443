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
	spa := j.check("spa", f.PValue, MaxPValue, f.PValue <= MaxPValue, "p-value %.3f of the stitched returns against buy-and-hold of the same exposure; at most %v", f.PValue, MaxPValue)
	dsr := j.check("dsr", f.DSR, MinDSR, f.DSR >= MinDSR, "probability %.3f that the true Sharpe ratio of the stitched excess is above 0; at least %v", f.DSR, MinDSR)
	weak := j.weakStitched(f)
	j.power(f.Findings)
	switch {
	case spa && dsr && len(weak) == 0:
		j.Verdict, j.Because = Robust, "what the folds chose beats buy-and-hold on bars that they did not choose by, and no check takes it away"
	case spa && dsr:
		j.Verdict, j.Because = Fragile, "what the folds chose beats buy-and-hold, but "+weak[0]
	case f.PValue >= 0.5 || (j.Power != nil && *j.Power >= decisivePower):
		j.Verdict, j.Because = Luck, "what the folds chose does no better than buy-and-hold of the same exposure"
	default:
		j.Verdict, j.Because = Undecided, "these test windows are too short together to separate what the folds chose from luck"
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
		"%.0f %% of the folds do not beat buy-and-hold of the same exposure; at most %.0f %%", 100*f.FoldLoss, 100*MaxFoldLoss) {
		return nil
	}
	return []string{"few of the folds made it"}
}
