package sweep

import (
	"math"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep/evidence"
)

// Overfit is the evidence for and against the winner being luck.
type Overfit struct {
	// PSR is the probability that the winner's true Sharpe ratio is above zero, given the length,
	// skew and kurtosis of its returns on the part that selects (Bailey & López de Prado 2012).
	PSR *float64 `json:"psr"`
	// DSR is PSR against SR0 instead of zero: what the best of that many trials would show by luck
	// alone (Bailey & López de Prado 2014). It is of the trial's own returns, and every trial counts: not the
	// ratio of the verdict, MarketFigures.ExcessDSR.
	DSR *float64 `json:"dsr"`
	SR0 *float64 `json:"sr0"` // per period
	// PBO is the probability that the trial chosen in sample is below the median out of sample, by
	// combinatorially symmetric cross-validation (Bailey, Borwein, López de Prado & Zhu 2015).
	PBO      *float64 `json:"pbo"`
	Slope    *float64 `json:"slope"`      // of out-of-sample on in-sample Sharpe over the splits
	OOSLoss  *float64 `json:"p_oos_loss"` // share of splits whose choice loses out of sample
	NTrials  int      `json:"n_trials"`   // that traded: N of SR0
	PBOTried int      `json:"pbo_trials"` // that PBO was computed on
	// Stability is the mean score of the winner's neighbours over its own: near 1 on a plateau, near
	// or below 0 on a spike.
	Stability *float64          `json:"stability"`
	Undefined map[string]string `json:"undefined,omitempty"` // why a figure is null
}

// spread is the sample variance of the defined values and how many there are. Two passes in trial
// order, so that it does not depend on how trials were sharded.
func spread(values []float64) (variance float64, n int) {
	var sum float64
	for _, v := range values {
		if !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	if n < 2 {
		return 0, n
	}
	mean := sum / float64(n)
	var squares float64
	for _, v := range values {
		if !math.IsNaN(v) {
			squares += float64((v - mean) * (v - mean))
		}
	}
	return squares / float64(n-1), n
}

func (o *Overfit) explain(name, reason string) {
	if o.Undefined == nil {
		o.Undefined = map[string]string{}
	}
	o.Undefined[name] = reason
}

// judgeWinner sets PSR and DSR from the winner's metrics on the part that selects, and the variance
// of the trials' ratios there.
func (o *Overfit) judgeWinner(winner *backtest.Metrics, variance float64) {
	sr0 := evidence.ExpectedMaxSharpe(variance, o.NTrials)
	o.SR0 = defined(sr0)
	o.PSR = defined(evidence.ProbabilisticSharpe(winner.SR, 0, winner.Periods, winner.Skew, winner.Kurt))
	o.DSR = defined(evidence.ProbabilisticSharpe(winner.SR, sr0, winner.Periods, winner.Skew, winner.Kurt))
	if o.PSR == nil {
		o.explain("psr", "the winner's Sharpe ratio is undefined")
		o.explain("dsr", "the winner's Sharpe ratio is undefined")
	}
}
