package evidence

import (
	"fmt"
	"math"

	"millrace/jobs/portable"
)

// Verdict is what all tests together say of the best trial.
type Verdict string

// The verdicts.
const (
	Robust    Verdict = "robust"    // better than luck, and nothing found that takes it away
	Fragile   Verdict = "fragile"   // better than luck on these bars, and at least one test takes it away
	Luck      Verdict = "luck"      // what the best of so many trials shows without skill
	Undecided Verdict = "undecided" // the bars are too few to separate luck from skill
)

// Verdicts lists the verdicts.
func Verdicts() []Verdict { return []Verdict{Robust, Fragile, Luck, Undecided} }

// The limits of the checks.
const (
	MaxPValue     = 0.05 // of the test for superior predictive ability
	MinDSR        = 0.95
	MaxPathLoss   = 0.25 // share of cross-validation paths that lose
	MinStability  = 0.3
	MinBreakEven  = 2.0  // times the costs charged
	MaxFoldLoss   = 0.5  // share of a walk-forward's folds
	MaxDecay      = 2.33 // standard errors by which the Sharpe ratio may fall out of sample: 1 % one-sided
	usefulSharpe  = 1.0  // a year: an edge of this size should have been found before luck is said
	decisivePower = 0.8
)

// Check is one test behind a verdict.
type Check struct {
	Name      string   `json:"name"`
	Value     *float64 `json:"value"` // null: undefined
	Limit     float64  `json:"limit"`
	Passed    *bool    `json:"passed"` // null when the value is
	Statement string   `json:"statement"`
}

// Findings are what a verdict is made of. A figure that is undefined is NaN.
type Findings struct {
	PValue         float64 // of superior predictive ability, for all trials
	DSR            float64 // on the excess, with the number of groups as that of trials
	Statistic      float64 // studentised mean excess of the best trial
	Critical       float64 // that the level asks of it
	Periods        int
	PeriodsPerYear float64
	SR             float64 // per period, of the best trial's excess on the part that selects
	Error          float64 // standard error of SR that the bootstrap finds, over that of independent normal returns
	OutOfSample    float64 // SR out of sample; NaN without a split
	OutPeriods     int
	PathLoss       float64
	Stability      float64
	Permuted       float64 // p-value of the best trial against searches on permuted bars; NaN without them
	BreakEven      float64 // multiple of the costs charged; NaN without costs
}

// Judgement is a verdict with its reasons.
type Judgement struct {
	Verdict Verdict `json:"verdict"`
	Because string  `json:"because"`
	Checks  []Check `json:"checks"`
	// Power is the probability that these tests find an edge with a true Sharpe ratio of 1 a year; and
	// DetectableSharpe the ratio a year that they find with a probability of 0.8.
	Power            *float64 `json:"power"`
	DetectableSharpe *float64 `json:"detectable_sharpe"`
	Next             []string `json:"next"` // what would decide it, or make it hold
}

// Judge makes the verdict. The best trial is better than luck when both the test for superior
// predictive ability and the deflated Sharpe ratio say so; every other check can only take that away.
func Judge(f Findings) Judgement {
	j := Judgement{Next: []string{}}
	spa := j.check("spa", f.PValue, MaxPValue, f.PValue <= MaxPValue, "p-value %.3f of the best of all trials against buy-and-hold of the same exposure; at most %v", f.PValue, MaxPValue)
	dsr := j.check("dsr", f.DSR, MinDSR, f.DSR >= MinDSR, "deflated Sharpe ratio %.3f of the excess over buy-and-hold; at least %v", f.DSR, MinDSR)
	weak := j.weaknesses(f)
	j.power(f)
	switch {
	case spa && dsr && len(weak) == 0:
		j.Verdict, j.Because = Robust, "the best trial beats what luck explains, and no check takes it away"
	case spa && dsr:
		j.Verdict, j.Because = Fragile, "the best trial beats what luck explains, but "+weak[0]
	case f.PValue >= 0.5 || (j.Power != nil && *j.Power >= decisivePower):
		j.Verdict, j.Because = Luck, "the best of so many trials shows as much without any skill"
	default:
		j.Verdict, j.Because = Undecided, "these bars are too few to separate the best trial from luck"
	}
	j.next(f, spa && dsr)
	return j
}

// check adds a test and reports whether it is passed. An undefined one is not.
func (j *Judgement) check(name string, value, limit float64, passed bool, format string, args ...any) bool {
	c := Check{Name: name, Limit: limit}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		c.Statement = "undefined"
		passed = false
	} else {
		c.Value, c.Passed, c.Statement = &value, &passed, fmt.Sprintf(format, args...)
	}
	j.Checks = append(j.Checks, c)
	return passed
}

// weaknesses are the checks that a finding better than luck must pass too, and what those that it
// fails mean. One that is undefined is not held against it.
func (j *Judgement) weaknesses(f Findings) (weak []string) {
	look := func(name string, value, limit float64, passed bool, means, format string, args ...any) {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return
		}
		if !j.check(name, value, limit, passed, format, args...) {
			weak = append(weak, means)
		}
	}
	year := math.Sqrt(f.PeriodsPerYear)
	if f.OutPeriods > 1 {
		wider := max(1, f.Error)
		outError := wider * math.Sqrt(ratioVariance(f.OutOfSample, f.OutPeriods))
		decay := (f.SR - f.OutOfSample) / portable.Hypot(wider*math.Sqrt(ratioVariance(f.SR, f.Periods)), outError)
		look("out_of_sample", f.OutOfSample*year, 0, f.OutOfSample > 0, "it loses to buy-and-hold out of sample",
			"Sharpe ratio %.2f a year of the excess out of sample; above 0", f.OutOfSample*year)
		// A fall does no harm while what is left is significant by itself.
		look("decay", decay, MaxDecay, decay <= MaxDecay || f.OutOfSample > NormalQuantile(1-MaxPValue)*outError,
			"it falls out of sample by more than chance explains",
			"the Sharpe ratio falls out of sample by %.1f standard errors, to %.1f above 0; at most %v, or to at least %.2f",
			decay, f.OutOfSample/outError, MaxDecay, NormalQuantile(1-MaxPValue))
	}
	look("permutation", f.Permuted, MaxPValue, f.Permuted <= MaxPValue, "the same search finds as much on the same bars in a random order",
		"p-value %.3f of the best score against that of the same search on permuted bars; at most %v", f.Permuted, MaxPValue)
	look("paths", f.PathLoss, MaxPathLoss, f.PathLoss <= MaxPathLoss, "what is chosen on one part loses on the rest too often",
		"%.0f %% of the cross-validation paths lose; at most %.0f %%", 100*f.PathLoss, 100*MaxPathLoss)
	look("stability", f.Stability, MinStability, f.Stability >= MinStability, "the trials around it are far worse",
		"the trials around the best one score %.2f of it; at least %v", f.Stability, MinStability)
	look("costs", f.BreakEven, MinBreakEven, f.BreakEven >= MinBreakEven, "slightly higher costs eat it",
		"the excess is gone at %.1f times the costs; at least %v", f.BreakEven, MinBreakEven)
	return weak
}

// ratioVariance is the sampling variance of a Sharpe ratio of normal returns (Lo, "The statistics of
// Sharpe ratios", Financial Analysts Journal 58, 2002).
func ratioVariance(sr float64, periods int) float64 {
	return (1 + float64(float64(sr*sr)/2)) / float64(periods-1)
}

func (j *Judgement) power(f Findings) {
	if !(f.Critical > 0) || f.Periods < 2 || !(f.PeriodsPerYear > 0) {
		return
	}
	root := math.Sqrt(float64(f.Periods) / f.PeriodsPerYear) // √years
	power := NormalCDF(float64(usefulSharpe*root) - f.Critical)
	detectable := (f.Critical + NormalQuantile(decisivePower)) / root
	j.Power, j.DetectableSharpe = &power, &detectable
}

// next says what would decide an open case.
func (j *Judgement) next(f Findings, found bool) {
	add := func(format string, args ...any) { j.Next = append(j.Next, fmt.Sprintf(format, args...)) }
	if found {
		if j.Verdict == Fragile {
			add("confirm it by a walk-forward, or on bars that no trial has seen")
		}
		return
	}
	j.needed(f)
	if f.Statistic > NormalQuantile(1-MaxPValue) {
		add("fewer trials: this parameter set alone, chosen before, would pass; test it on bars that no trial has seen")
	}
	if f.Statistic <= 0.5 {
		add("another strategy or space: no trial does better than buy-and-hold of the same exposure")
	}
}

// needed says how many more periods would decide.
func (j *Judgement) needed(f Findings) {
	if f.Statistic > 0.5 && f.Critical > 0 {
		factor := (f.Critical + NormalQuantile(decisivePower)) / f.Statistic
		if more := float64(f.Periods) * (float64(factor*factor) - 1); more > 0 && more < 1e7 {
			j.Next = append(j.Next, fmt.Sprintf("about %.0f more periods, if the measured edge is the true one", math.Ceil(more)))
		}
	}
}
