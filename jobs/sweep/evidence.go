package sweep

import (
	"fmt"

	"millrace/jobs/backtest"
)

// Where evidence becomes a warning.
const (
	gapModerate = 0.3 // in-sample score less out-of-sample score, of objectives in Sharpe's scale
	gapHigh     = 0.5
	gapErrors   = 1.645 // standard errors that a gap must exceed too: 5 % one-sided
	dsrLow      = 0.95
	pboHigh     = 0.5
)

// splits is what cross-validation of the sampled trials found.
type splits struct {
	tried   int
	found   pboResult
	missing string // why there is nothing
}

func (p *Plan) splits(all *gathered) (s splits) {
	sample := cutSample(all.blocks, p.evidenceSample())
	s.tried = len(sample)
	s.found, s.missing = crossValidate(sample)
	return s
}

// setSplits fills in what cross-validation found.
func (o *Overfit) setSplits(s splits) {
	if o.PBOTried = s.tried; s.missing != "" {
		for _, name := range []string{"pbo", "slope", "p_oos_loss"} {
			o.explain(name, s.missing)
		}
		return
	}
	o.PBO, o.Slope, o.OOSLoss = defined(s.found.pbo), defined(s.found.slope), defined(s.found.loss)
	if o.Slope == nil {
		o.explain("slope", "the chosen trial's in-sample ratio is the same in every split")
	}
}

// evidence fills in the overfit statistics but for those of cross-validation.
func (p *Plan) evidence(out *Outcome, all *gathered) {
	o := &out.Overfit
	variance, traded := spread(all.ratios)
	if o.NTrials = traded; p.prunes() {
		// The ratios are those of a sample; the winner is the best of all.
		o.NTrials = out.Counts.Completed + out.Counts.Skipped
	}
	if len(out.Leaderboard) == 0 {
		for _, name := range []string{"psr", "dsr", "sr0", "stability"} {
			o.explain(name, "no trial is on the leaderboard")
		}
		return
	}
	o.judgeWinner(p.selects(&out.Leaderboard[0]), variance)
	p.stability(o, all)
}

// selects are an entry's metrics on the part that trials are ranked by.
func (p *Plan) selects(e *Entry) *backtest.Metrics {
	if p.spec.selectsOOS() {
		return e.MetricsOOS
	}
	return &e.MetricsIS
}

// cautions are the warnings that the evidence calls for.
func (out *Outcome) cautions(objective Objective) (warnings []string) {
	if len(out.Leaderboard) == 0 {
		return []string{"no trial passed its gates with a defined objective: see reasons"}
	}
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	switch objective {
	case ObjectiveSharpe, ObjectiveSharpeDDPenalty, ObjectiveSortino:
		gap := out.Leaderboard[0].OverfitGap
		if e := out.Evidence; gap != nil && e != nil && e.Market.GapError != nil && *gap < gapErrors**e.Market.GapError {
			break // chance alone makes such a gap
		}
		if gap != nil && *gap > gapHigh {
			warn("the best trial scores %.2f less out of sample than in sample, a high overfit gap (above %v)", *gap, gapHigh)
		} else if gap != nil && *gap > gapModerate {
			warn("the best trial scores %.2f less out of sample than in sample, a moderate overfit gap (above %v)", *gap, gapModerate)
		}
	}
	if dsr := out.Overfit.DSR; dsr != nil && *dsr < dsrLow {
		counted := fmt.Sprintf("with each of the %d trials counted as independent (the verdict looks at the excess over buy-and-hold and counts similar trials once)", out.Overfit.NTrials)
		if out.Overfit.NTrials == 1 {
			counted = "of one trial (the verdict looks at the excess over buy-and-hold)"
		}
		warn("the deflated Sharpe ratio of the best trial's own returns is %.3f, below %v, %s", *dsr, dsrLow, counted)
	}
	if pbo := out.Overfit.PBO; pbo != nil && *pbo > pboHigh {
		warn("the probability of backtest overfitting is %.2f, above %v", *pbo, pboHigh)
	}
	return warnings
}
