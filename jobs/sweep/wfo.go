package sweep

import (
	"fmt"
	"math"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
)

// Limits on a walk-forward.
const (
	MaxFolds      = 500        // of one walk-forward
	MaxFoldTrials = 10_000_000 // of all folds together
	maxTopK       = 100
	maxCandidates = 20_000 // folds times leaderboard_top_k
	maxDays       = 36_500
)

// Defaults that WFOConfig.Normalize fills in.
const (
	defaultMinFolds = 3
	defaultTopK     = 10
)

// WFOConfig says how a walk-forward cuts the bars into folds, and what of them has to succeed. A
// pointer is nil where the request is silent; Normalize fills in the defaults.
type WFOConfig struct {
	TrainDays       *int       `json:"train_days"`        // required
	TestDays        *int       `json:"test_days"`         // required
	StepDays        *int       `json:"step_days"`         // from one fold to the next; default test_days
	MinFolds        *int       `json:"min_folds"`         // that have to succeed
	LeaderboardTopK *int       `json:"leaderboard_top_k"` // candidates of each fold
	AllowPartial    *bool      `json:"allow_partial"`     // failed folds are left out instead of failing all
	Anchored        *bool      `json:"anchored"`          // training windows all begin at the start
	StartTS         *time.Time `json:"start_ts,omitzero"` // nil: the first bar's day
	EndTS           *time.Time `json:"end_ts,omitzero"`   // nil: the end of the last bar's day
}

// Normalize fills in every default. Doing it again changes nothing.
func (c *WFOConfig) Normalize() {
	if c.StepDays == nil && c.TestDays != nil {
		c.StepDays = new(*c.TestDays)
	}
	fill(&c.MinFolds, defaultMinFolds)
	fill(&c.LeaderboardTopK, defaultTopK)
	fill(&c.AllowPartial, false)
	fill(&c.Anchored, false)
}

// Check names everything wrong with the walk-forward of a spec that shows without bars.
func (c WFOConfig) Check(spec Spec) []invalid.FieldError {
	c.Normalize()
	f := faults(spec.Check())
	if spec.Window != nil {
		f.add("window", nil, "cannot be set: the folds of a walk-forward are its windows")
	}
	if spec.Permutations() > 0 {
		f.add("evidence.permutations", 0, "do not go with a walk-forward, whose folds are judged together")
	}
	if spec.SelectOn == SelectOutOfSample {
		f.add("select_on", SelectInSample, "must be %q: a fold selects on its training window and is judged on its test window", SelectInSample)
	}
	days := func(field string, value *int) {
		if value == nil {
			f.add("wfo_config."+field, []int{1, maxDays}, "is required: a number of days")
			return
		}
		within(&f, "wfo_config."+field, float64(*value), 1, maxDays)
	}
	days("train_days", c.TrainDays)
	days("test_days", c.TestDays)
	if c.StepDays != nil {
		days("step_days", c.StepDays)
	}
	within(&f, "wfo_config.min_folds", float64(*c.MinFolds), 2, MaxFolds)
	within(&f, "wfo_config.leaderboard_top_k", float64(*c.LeaderboardTopK), 1, maxTopK)
	if c.StartTS != nil && c.EndTS != nil && !c.EndTS.After(*c.StartTS) {
		f.add("wfo_config.end_ts", *c.StartTS, "is not after start_ts")
	}
	return f
}

// Fold is one step of a walk-forward. Its windows are half-open; days are of 24 hours, UTC.
type Fold struct {
	Index int `json:"fold"`
	TrainTest
	TrainBars int        `json:"train_bars"` // of several datasets: of the one with the fewest
	TestBars  int        `json:"test_bars"`
	Sets      []FoldBars `json:"-"` // of several datasets: the bars of each, in their order
	Problem   string     `json:"-"` // why it cannot be run; "" when it can
}

// FoldBars is how many bars a dataset has in the windows of a fold.
type FoldBars struct {
	TrainBars int `json:"train_bars"`
	TestBars  int `json:"test_bars"`
}

const oneDay = 24 * time.Hour

// Folds cuts the bars of a checked and normalized config into folds: fold i trains on [start + i·step,
// + train_days), with anchored from start on, and tests on the test_days after that; every fold
// whose test window ends by the end is one. A fold with too few bars in a window is an error, or
// with allow_partial one that fails.
func (c WFOConfig) Folds(bars *backtest.Bars) (folds []Fold, warnings []string, errs []invalid.FieldError) {
	return c.FoldsOver([]Series{{Bars: bars}})
}

// FoldsOver is Folds of several datasets: folds by time, within the time that all of them have in common.
// A fold needs enough bars of each.
func (c WFOConfig) FoldsOver(data []Series) (folds []Fold, warnings []string, errs []invalid.FieldError) {
	var f faults
	shared, notes := common(data, &f)
	if len(f) > 0 {
		return nil, nil, f
	}
	start, end, warnings := c.span(shared)
	warnings = append(warnings, notes...)
	train, test, step := days(*c.TrainDays), days(*c.TestDays), days(*c.StepDays)
	n := 0
	if whole := end.Sub(start) - train - test; whole >= 0 {
		n = int(whole/step) + 1
	}
	c.checkCount(n, start, end, shared, &f)
	if len(f) > 0 {
		return nil, nil, f
	}
	bad := 0
	for i := range n {
		shift := time.Duration(i) * step
		fold := Fold{Index: i, TrainTest: TrainTest{start.Add(shift), start.Add(shift + train), start.Add(shift + train + test)}}
		if *c.Anchored {
			fold.TrainStart = start
		}
		fold.count(data)
		if fold.Problem != "" {
			bad++
			warnings = append(warnings, fmt.Sprintf("fold %d cannot be run: %s", i, fold.Problem))
		}
		folds = append(folds, fold)
	}
	if bad > 0 && (!*c.AllowPartial || n-bad < *c.MinFolds) {
		for _, fold := range folds {
			if fold.Problem != "" {
				c.explainShort(fold, n, bad, &f)
				return nil, nil, f
			}
		}
	}
	return folds, warnings, nil
}

// span is the time that folds may cover: all that there is, unless the config says otherwise.
func (c WFOConfig) span(all shared) (start, end time.Time, warnings []string) {
	start, end = all.start, all.end
	first, last := "the first bar", "the last bar"
	if all.several() {
		first, last = "the first bar of "+all.begins, "the last bar of "+all.ends
	}
	if c.StartTS != nil {
		if start = c.StartTS.UTC(); start.Before(all.start) {
			start, warnings = all.start, append(warnings, "start_ts is before "+first+": folds begin at "+all.start.Format(time.RFC3339))
		}
	}
	if c.EndTS != nil {
		if end = c.EndTS.UTC(); end.After(all.end) {
			end, warnings = all.end, append(warnings, "end_ts is after "+last+": folds end by "+all.end.Format(time.RFC3339))
		}
	}
	return start, end, warnings
}

func days(n int) time.Duration { return time.Duration(n) * oneDay }

// checkCount says how many folds fit and what to change, when they are too few or too many.
func (c WFOConfig) checkCount(n int, start, end time.Time, all shared, f *faults) {
	whole := max(0, int(end.Sub(start)/oneDay))
	train, test, step, least := *c.TrainDays, *c.TestDays, *c.StepDays, *c.MinFolds
	has := fmt.Sprintf("train_days %d, test_days %d and step_days %d fit %d folds into the %d days from %s to %s",
		train, test, step, n, whole, start.Format(time.DateOnly), end.Format(time.DateOnly))
	if all.several() {
		has += fmt.Sprintf(" that all datasets have in common (%s begins last, %s ends first)", all.begins, all.ends)
	}
	switch {
	case n > MaxFolds:
		longest := (whole-train-test)/MaxFolds + 1
		f.add("wfo_config.step_days", MaxFolds, "%s, more than %d; with step_days %d or more they are few enough", has, MaxFolds, longest)
	case n*(*c.LeaderboardTopK) > maxCandidates:
		f.add("wfo_config.leaderboard_top_k", maxCandidates/n, "of %d in %d folds makes more than %d candidates", *c.LeaderboardTopK, n, maxCandidates)
	case n < least:
		f.add("wfo_config.train_days", least, "%s, fewer than min_folds %d; %s", has, least, shorter(whole, train, test, step, least))
	}
}

// shorter says which lengths make least folds fit into the days there are.
func shorter(whole, train, test, step, least int) string {
	if room := whole - test - (least-1)*step; room >= 1 {
		return fmt.Sprintf("%d fit with train_days %d or less, or with more bars", least, room)
	}
	if room := (whole - train) / least; room >= 1 {
		return fmt.Sprintf("%d fit with test_days and step_days %d or less, or with more bars", least, room)
	}
	return fmt.Sprintf("%d need at least %d days, or shorter train_days, test_days and step_days", least, train+test+(least-1)*step)
}

// count sets how many bars the fold's windows have, and why it cannot be run if so.
func (fold *Fold) count(data []Series) {
	for i, d := range data {
		from, to, last := fold.span(d.Bars)
		bars := FoldBars{to - from, last - to}
		if i == 0 {
			fold.TrainBars, fold.TestBars = bars.TrainBars, bars.TestBars
		}
		fold.TrainBars, fold.TestBars = min(fold.TrainBars, bars.TrainBars), min(fold.TestBars, bars.TestBars)
		if len(data) > 1 {
			fold.Sets = append(fold.Sets, bars)
		}
		if fold.Problem == "" {
			fold.Problem = fold.problem(d.Name, bars)
		}
	}
}

// problem is why a dataset has too little in the fold; the name of a dataset that is alone is not needed.
func (fold *Fold) problem(name string, bars FoldBars) string {
	if len(fold.Sets) > 0 {
		name = " of " + name
	} else {
		name = ""
	}
	switch {
	case bars.TrainBars < MinTrainBars:
		return fmt.Sprintf("its training window from %s to %s has %d bars%s; at least %d are needed",
			fold.TrainStart.Format(time.DateOnly), fold.TrainEnd.Format(time.DateOnly), bars.TrainBars, name, MinTrainBars)
	case bars.TestBars < MinTestBars:
		return fmt.Sprintf("its test window from %s to %s has %d bars%s; at least %d are needed",
			fold.TrainEnd.Format(time.DateOnly), fold.TestEnd.Format(time.DateOnly), bars.TestBars, name, MinTestBars)
	}
	return ""
}

// explainShort names the window that is too short and about how long it would have to be.
func (c WFOConfig) explainShort(fold Fold, folds, bad int, f *faults) {
	field, have, need, length := "wfo_config.train_days", fold.TrainBars, MinTrainBars, *c.TrainDays
	if fold.TrainBars >= MinTrainBars {
		field, have, need, length = "wfo_config.test_days", fold.TestBars, MinTestBars, *c.TestDays
	}
	advice := "the bars have a gap there: begin after it, or set allow_partial"
	if 2*have >= need || have > 0 && bad == folds {
		advice = fmt.Sprintf("about %d days would do", int(math.Ceil(float64(length)*float64(need)/float64(have))))
	}
	f.add(field, need, "%d of %d folds cannot be run: fold %d, %s; %s", bad, folds, fold.Index, fold.Problem, advice)
}

// OfFold is the spec of a fold's own tune.
func (s Spec) OfFold(fold Fold) Spec {
	s = s.normalized()
	window := fold.TrainTest
	s.OOSRatio, s.SelectOn, s.Window = nil, SelectInSample, &window
	return s
}
