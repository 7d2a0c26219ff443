package sweep

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"millrace/jobs/backtest"
)

// Weights of the selection score.
const (
	spreadPenalty = 0.5
	worstPenalty  = 0.3
)

// FoldResult is what the tune of one fold found, and how all candidates did on its test window.
type FoldResult struct {
	Fold    Fold
	Top     []backtest.Params // of its leaderboard, best first
	Winner  *Entry            // nil when no trial was left to select
	Scores  []float64         // by candidate, out of sample; NaN where undefined
	Stretch Stretch
}

// Candidate is a parameter set that was in some fold's top, judged over every successful fold. An
// undefined score counts as 0: what made no trade earned nothing.
type Candidate struct {
	Rank           int                `json:"rank"`
	Params         map[string]float64 `json:"params"`
	Eligible       bool               `json:"eligible"` // coverage of 0.6 and more
	Coverage       float64            `json:"coverage"` // share of the successful folds whose top it is in
	SelectionScore float64            `json:"selection_score"`
	MeanOOS        float64            `json:"mean_oos"`
	MedianOOS      float64            `json:"median_oos"`
	WorstOOS       float64            `json:"worst_fold_oos"`
	StdDevOOS      float64            `json:"stddev_oos"`  // of a sample
	FoldScores     []*float64         `json:"fold_scores"` // in order of WFOOutcome.Folds
}

// FoldOutcome is one successful fold.
type FoldOutcome struct {
	Fold       int                `json:"fold"`
	Params     map[string]float64 `json:"params"` // chosen in training; null when no trial was left
	ScoreIS    *float64           `json:"score_is"`
	ScoreOOS   *float64           `json:"score_oos"`
	MetricsIS  *backtest.Metrics  `json:"metrics_is"`
	MetricsOOS *backtest.Metrics  `json:"metrics_oos"`
	Datasets   []DatasetEntry     `json:"datasets,omitempty"` // of several: what was chosen, on each
}

// Stitched measures the out-of-sample stretches of all folds put together, each chosen by nothing
// but what was before it.
type Stitched struct {
	Bars           int      `json:"bars"`
	Trades         int      `json:"trades"`
	ReturnPct      float64  `json:"return_pct"`
	MaxDrawdownPct float64  `json:"max_drawdown_pct"`
	Sharpe         *float64 `json:"sharpe"` // annualised
}

// WFOOutcome is what a walk-forward found.
type WFOOutcome struct {
	Folds      []FoldOutcome      `json:"folds"`
	Candidates int                `json:"n_candidates"`
	Eligible   int                `json:"n_eligible"`
	BestParams map[string]float64 `json:"best_params"` // of the best eligible candidate; null without one
	BestScore  *float64           `json:"best_score"`  // its selection score
	OOS        Stitched           `json:"oos"`
	// Efficiency is the yearly return out of sample over that in training, of the folds' winners
	// (Pardo, "The Evaluation and Optimization of Trading Strategies", 2008); null when training
	// earned nothing.
	Efficiency *float64          `json:"walk_forward_efficiency"`
	Undefined  map[string]string `json:"undefined,omitempty"`
	Warnings   []string          `json:"warnings"`
	// Of a walk-forward over several datasets, the stretches of each by themselves; OOS is of all together.
	ByDataset []DatasetWalk `json:"by_dataset,omitempty"`

	Evidence *Evidence `json:"-"` // the verdict on what the folds chose, from the stitched returns

	Ranked []Candidate `json:"-"` // eligible ones first, each part best first
	Curve  Curve       `json:"-"`
}

// Curve is an equity curve: the account's value at the close of bars of the dataset. The curves of several
// datasets, each of an account of its own, are one after the other.
type Curve struct {
	Bars   []int32
	Equity []float64

	Parts    []int32   `json:",omitempty"` // of several datasets: how long the curve of each is
	At       []int64   `json:",omitempty"` // of several: microseconds, the last bar of each day on which any of them traded
	Together []float64 `json:",omitempty"` // at these times, the account that has an equal part in each dataset
}

// Of is the curve of one dataset, by its place among several.
func (c Curve) Of(dataset int) Curve {
	from := 0
	for i, length := range c.Parts {
		if to := from + int(length); i == dataset {
			return Curve{Bars: c.Bars[from:to], Equity: c.Equity[from:to]}
		} else {
			from = to
		}
	}
	return Curve{Bars: c.Bars, Equity: c.Equity}
}

// CombineFolds judges the candidates over the successful folds, at least one, in order of index. It
// depends on nothing but its arguments.
func CombineFolds(spec Spec, cfg WFOConfig, data []Series, candidates []backtest.Params, folds []FoldResult) *WFOOutcome {
	spec = spec.normalized()
	spec.OOSRatio = nil // each fold has a window of its own
	out := &WFOOutcome{Candidates: len(candidates), Warnings: []string{}, Folds: []FoldOutcome{}}
	names := spec.ParamNames()
	for i, params := range candidates {
		out.Ranked = append(out.Ranked, judgeCandidate(named(names, params), params, i, folds))
	}
	out.rank(names)
	for _, fold := range folds {
		out.Folds = append(out.Folds, outcomeOf(fold))
	}
	account, _ := spec.account()
	stitched := out.stitchAll(account.Cash, data, folds)
	out.measureEfficiency(folds)
	out.weigh(*spec.Seed, stitched)
	out.caution()
	return out
}

func judgeCandidate(params map[string]float64, vector backtest.Params, place int, folds []FoldResult) Candidate {
	c := Candidate{Params: params}
	scores, hits := make([]float64, len(folds)), 0
	for i, fold := range folds {
		c.FoldScores = append(c.FoldScores, defined(fold.Scores[place]))
		if isFinite(fold.Scores[place]) {
			scores[i] = fold.Scores[place]
		}
		if slices.ContainsFunc(fold.Top, func(top backtest.Params) bool { return slices.Equal(top, vector) }) {
			hits++
		}
	}
	n := float64(len(folds))
	c.Coverage = float64(hits) / n
	c.Eligible = 5*hits >= 3*len(folds)
	for _, s := range scores {
		c.MeanOOS += s / n
	}
	variance, _ := spread(scores)
	c.StdDevOOS = math.Sqrt(variance)
	slices.Sort(scores)
	c.WorstOOS = scores[0]
	c.MedianOOS = (scores[(len(scores)-1)/2] + scores[len(scores)/2]) / 2
	c.SelectionScore = float64((c.MeanOOS - float64(spreadPenalty*c.StdDevOOS) - float64(worstPenalty*max(0, -c.WorstOOS))) * c.Coverage)
	return c
}

// rank orders the candidates: eligible ones first, by selection score, ties by parameters, in which
// order they are.
func (out *WFOOutcome) rank(names []string) {
	slices.SortStableFunc(out.Ranked, func(a, b Candidate) int {
		if a.Eligible != b.Eligible {
			if a.Eligible {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.SelectionScore, a.SelectionScore)
	})
	for i := range out.Ranked {
		out.Ranked[i].Rank = i + 1
		if out.Ranked[i].Eligible {
			out.Eligible++
		}
	}
	if out.Eligible > 0 {
		out.BestParams, out.BestScore = out.Ranked[0].Params, &out.Ranked[0].SelectionScore
	}
}

func outcomeOf(fold FoldResult) FoldOutcome {
	o := FoldOutcome{Fold: fold.Fold.Index}
	if w := fold.Winner; w != nil {
		o.Params, o.ScoreIS, o.ScoreOOS = w.Params, w.ScoreIS, w.ScoreOOS
		o.MetricsIS, o.MetricsOOS, o.Datasets = &w.MetricsIS, w.MetricsOOS, w.Datasets
	}
	return o
}

// measureEfficiency compares yearly returns, in simple interest: short test windows compound absurdly.
func (out *WFOOutcome) measureEfficiency(folds []FoldResult) {
	const year = 365.25 * 24
	var gainIS, yearsIS, gainOOS, yearsOOS float64
	for _, fold := range folds {
		if fold.Winner == nil {
			continue
		}
		gainIS += fold.Winner.MetricsIS.ReturnPct
		gainOOS += fold.Winner.MetricsOOS.ReturnPct
		yearsIS += fold.Fold.TrainEnd.Sub(fold.Fold.TrainStart).Hours() / year
		yearsOOS += fold.Fold.TestEnd.Sub(fold.Fold.TrainEnd).Hours() / year
	}
	switch {
	case yearsIS == 0:
		out.explain("walk_forward_efficiency", "no fold selected any parameters")
	case gainIS <= 0:
		out.explain("walk_forward_efficiency", "the selected parameters earned nothing in training")
	default:
		out.Efficiency = defined(gainOOS / yearsOOS / (gainIS / yearsIS))
	}
}

func (out *WFOOutcome) explain(name, reason string) {
	if out.Undefined == nil {
		out.Undefined = map[string]string{}
	}
	out.Undefined[name] = reason
}

// Where a walk-forward becomes a warning: below half, Pardo calls a model not robust.
const lowEfficiency = 0.5

func (out *WFOOutcome) caution() {
	warn := func(format string, args ...any) { out.Warnings = append(out.Warnings, fmt.Sprintf(format, args...)) }
	empty := 0
	for _, fold := range out.Folds {
		if fold.Params == nil {
			empty++
		}
	}
	if empty > 0 {
		warn("in %d of %d folds no trial passed its gates with a defined objective: they stay in cash", empty, len(out.Folds))
	}
	if out.Eligible == 0 {
		warn("no candidate is in the top of at least 60 %% of the folds: what was best in one was not in the next")
	}
	if e := out.Efficiency; e != nil && *e < lowEfficiency {
		warn("the walk-forward efficiency %.2f is below %v: most of what training promised did not come", *e, lowEfficiency)
	}
}
