package evidence

import (
	"fmt"
	"math"
	"slices"
	"strings"

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
	Title     string   `json:"title"` // what it is called in full, as two figures may have one name
	Value     *float64 `json:"value"` // null: undefined
	Limit     float64  `json:"limit"`
	Passed    *bool    `json:"passed"` // null when the value is
	Statement string   `json:"statement"`
}

// titleOf is the full name of a check.
func titleOf(name string) string {
	switch name {
	case "spa":
		return "Superior predictive ability"
	case "dsr":
		return "Deflated Sharpe ratio of the excess"
	case "out_of_sample":
		return "Out of sample"
	case "permutation":
		return "Permutations"
	case "paths":
		return "Cross-validation paths"
	case "fold_loss":
		return "Folds that lose"
	}
	return strings.ToUpper(name[:1]) + name[1:]
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
	Excluded       int // trials that limits on the out-of-sample part exclude
	Outranking     int // of them, those that rank above the best trial
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
// It is called luck only where no test finds an edge: tests that disagree leave it undecided.
func Judge(f Findings) Judgement {
	j := Judgement{Next: []string{}}
	spa := j.check("spa", f.PValue, MaxPValue, f.PValue <= MaxPValue, "the best of all trials has an SPA p-value of %.3f against buy-and-hold at the same exposure; must be at most %v", f.PValue, MaxPValue)
	dsr := j.check("dsr", f.DSR, MinDSR, f.DSR >= MinDSR, "the excess over buy-and-hold has a deflated Sharpe ratio of %.3f; must be at least %v", f.DSR, MinDSR)
	weak := j.weaknesses(f)
	j.power(f)
	switch {
	case spa && dsr && len(weak) == 0:
		j.Verdict, j.Because = Robust, "the best trial does better than luck explains, and passes every other check"
	case spa && dsr:
		j.Verdict, j.Because = Fragile, "the best trial does better than luck explains, but "+weak[0].means
	case spa || dsr || f.Permuted <= MaxPValue:
		j.Verdict, j.Because = Undecided, "the tests disagree: "+j.disagreement()
	case math.IsNaN(f.PValue):
		j.Verdict, j.Because = Undecided, "the tests could not be run, for the reason given"
	case f.PValue >= 0.5:
		j.Verdict, j.Because = Luck, "without any skill, the best of so many trials would do at least as well more often than not"
	case j.decisive():
		j.Verdict, j.Because = Luck, j.missed()
	default:
		j.Verdict, j.Because = Undecided, "there are too few bars to separate skill from luck"
	}
	if f.Outranking > 0 && (spa && dsr) {
		j.Because += fmt.Sprintf("; the out-of-sample part was used to choose it, as limits on that part exclude %s", ranked(f.Outranking))
	}
	j.next(f, weak)
	return j
}

// ranked says how many trials rank above the best one.
func ranked(n int) string {
	if n == 1 {
		return "1 trial that ranks above it"
	}
	return fmt.Sprintf("%d trials that rank above it", n)
}

// decisive reports whether a useful edge would have been found.
func (j *Judgement) decisive() bool { return j.Power != nil && *j.Power >= decisivePower }

// missed says why an edge that was not found is held not to exist.
func (j *Judgement) missed() string {
	return fmt.Sprintf("no test finds an edge, and one with a Sharpe ratio of %v a year would have been found with a probability of %.2f", usefulSharpe, *j.Power)
}

// disagreement names the tests for luck that pass and those that fail.
func (j *Judgement) disagreement() string {
	var passed, failed []string
	for _, c := range j.Checks {
		switch {
		case c.Name != "spa" && c.Name != "dsr" && c.Name != "permutation":
		case c.Passed == nil:
			failed = append(failed, "the "+strings.ToLower(c.Title[:1])+c.Title[1:]+" is undefined")
		case *c.Passed:
			passed = append(passed, c.Statement[:strings.Index(c.Statement, ";")])
		default:
			failed = append(failed, c.Statement)
		}
	}
	text := strings.Join(passed, " and ")
	if len(failed) > 0 {
		text += ", but " + strings.Join(failed, ", and ")
	}
	return text
}

// check adds a test and reports whether it is passed. An undefined one is not.
func (j *Judgement) check(name string, value, limit float64, passed bool, format string, args ...any) bool {
	c := Check{Name: name, Title: titleOf(name), Limit: limit}
	if math.IsNaN(value) || math.IsInf(value, 0) {
		c.Statement = "undefined"
		passed = false
	} else {
		c.Value, c.Passed, c.Statement = &value, &passed, fmt.Sprintf(format, args...)
	}
	j.Checks = append(j.Checks, c)
	return passed
}

// weakness is a failed check: what that means, and what to do about it.
type weakness struct{ name, means, advice string }

// weaknesses are the checks that a finding better than luck must pass too, and what those that it
// fails mean. One that is undefined is not held against it.
func (j *Judgement) weaknesses(f Findings) (weak []weakness) {
	look := func(name string, value, limit float64, passed bool, means, advice, format string, args ...any) {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return
		}
		if !j.check(name, value, limit, passed, format, args...) {
			weak = append(weak, weakness{name, means, advice})
		}
	}
	const heldOut = "another strategy or parameter space: the held-out bars already speak against this one"
	year := math.Sqrt(f.PeriodsPerYear)
	if f.OutPeriods > 1 {
		wider := max(1, f.Error)
		outError := wider * math.Sqrt(ratioVariance(f.OutOfSample, f.OutPeriods))
		decay := (f.SR - f.OutOfSample) / portable.Hypot(wider*math.Sqrt(ratioVariance(f.SR, f.Periods)), outError)
		look("out_of_sample", f.OutOfSample*year, 0, f.OutOfSample > 0, "it underperforms buy-and-hold out of sample", heldOut,
			"the excess has a Sharpe ratio of %.2f a year out of sample; must be above 0%s", f.OutOfSample*year, f.selectedOut())
		// A fall does no harm while what is left is significant by itself.
		look("decay", decay, MaxDecay, decay <= MaxDecay || f.OutOfSample > NormalQuantile(1-MaxPValue)*outError,
			"its Sharpe ratio falls out of sample by more than chance explains", heldOut,
			"the Sharpe ratio of the excess falls by %.1f standard errors out of sample, to %+.1f standard errors from 0; must fall by at most %v, or stay at least %.2f above 0",
			decay, f.OutOfSample/outError, MaxDecay, NormalQuantile(1-MaxPValue))
	}
	look("permutation", f.Permuted, MaxPValue, f.Permuted <= MaxPValue, "the same search does as well on the same bars in random order",
		"another strategy: this one does not depend on the order of the bars",
		"the best score has a p-value of %.3f against the same search on permuted bars; must be at most %v", f.Permuted, MaxPValue)
	look("paths", f.PathLoss, MaxPathLoss, f.PathLoss <= MaxPathLoss, "what is chosen on one part of the bars too often loses on the rest",
		"a walk-forward, which shows when the choice stops working",
		"%.0f %% of the cross-validation paths lose; must be at most %.0f %%", 100*f.PathLoss, 100*MaxPathLoss)
	look("stability", f.Stability, MinStability, f.Stability >= MinStability, "the neighbouring trials do far worse",
		"parameters from the middle of a plateau of good trials, not this peak",
		"the neighbouring trials score %.2f of the best one on average; must be at least %v", f.Stability, MinStability)
	look("costs", f.BreakEven, MinBreakEven, f.BreakEven >= MinBreakEven, "slightly higher costs erase its excess",
		"fewer trades or lower costs, and a measurement of the costs you pay",
		"the excess is gone at %.1f times the costs charged; must be at least %v", f.BreakEven, MinBreakEven)
	return weak
}

// selectedOut says when the out-of-sample part was read before: limits on it exclude trials.
func (f *Findings) selectedOut() string {
	if f.Excluded == 0 {
		return ""
	}
	text := fmt.Sprintf("; limits on this part exclude %d trials, ", f.Excluded)
	if f.Excluded == 1 {
		text = "; limits on this part exclude 1 trial, "
	}
	if f.Outranking == 0 {
		return text + "none of which ranks above this one, so they do not change the choice"
	}
	return text + fmt.Sprintf("%d of which would rank above this one, so this part helped to choose it", f.Outranking)
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

// next says what would decide an open case, or make a fragile one hold. Where bars that were held out
// speak against the best trial, more of them are not what it needs.
func (j *Judgement) next(f Findings, weak []weakness) {
	add := func(format string, args ...any) { j.Next = append(j.Next, fmt.Sprintf(format, args...)) }
	heldOut := slices.IndexFunc(weak, func(w weakness) bool { return w.name == "out_of_sample" || w.name == "decay" })
	if j.Verdict == Robust || j.Verdict == Fragile {
		for i, w := range weak {
			if !slices.ContainsFunc(weak[:i], func(before weakness) bool { return before.advice == w.advice }) {
				add("%s", w.advice)
			}
		}
		if f.Outranking > 0 && heldOut < 0 {
			add("a walk-forward, or bars that neither ranking nor limits have read")
		}
		return
	}
	if heldOut >= 0 {
		add("%s", weak[heldOut].advice)
		return
	}
	j.needed(f)
	if f.Statistic > NormalQuantile(1-MaxPValue) && f.PValue > MaxPValue {
		add("fewer trials: this parameter set would pass had it been chosen in advance; test it alone on bars that no trial has seen")
	}
	if f.Statistic <= 0.5 {
		add("another strategy or parameter space: no trial clearly beats buy-and-hold at the same exposure")
	}
}

// needed says how many more periods would decide.
func (j *Judgement) needed(f Findings) {
	if f.Statistic > 0.5 && f.Critical > 0 {
		factor := (f.Critical + NormalQuantile(decisivePower)) / f.Statistic
		if more := float64(f.Periods) * (float64(factor*factor) - 1); more > 0 && more < 1e7 {
			j.Next = append(j.Next, fmt.Sprintf("about %.0f more periods of data, if the measured edge is the true one", math.Ceil(more)))
		}
	}
}
