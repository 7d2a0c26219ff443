package sweep

import (
	"fmt"
	"math"
	"slices"

	"millrace/jobs/backtest"
)

// Status is how a trial ended.
type Status string

// The statuses of a trial; all but the last are final.
const (
	StatusCompleted Status = "completed"
	StatusSkipped   Status = "skipped" // a gate or an undefined objective keeps it off the leaderboard
	StatusFailed    Status = "failed"  // the strategy panicked
	StatusRunning   Status = "running" // of a pruned tune, until it is known which trials continue
)

// verdict is why a trial is not on the leaderboard. The numbers are stored.
type verdict uint8

const (
	passed         verdict = 0
	undefinedScore verdict = 1
	tooDeep        verdict = 2
	tooFewTrades   verdict = 3
	neverTraded    verdict = 4
	panicked       verdict = 5
	screened       verdict = 6  // ran on a rung's bars; the next rung is not decided
	prunedFirst    verdict = 16 // in rung 0; the next numbers are the next rungs
)

// pruned is the rung that ended a trial.
func (v verdict) pruned() (rung int, ok bool) {
	return int(v) - int(prunedFirst), v >= prunedFirst && v < prunedFirst+maxRungs
}

func (v verdict) status() Status {
	switch v {
	case passed:
		return StatusCompleted
	case panicked:
		return StatusFailed
	case screened:
		return StatusRunning
	}
	return StatusSkipped
}

// reason explains a verdict by the limits of the spec.
func (s Spec) reason(v verdict) string {
	selects, judged := "on all bars", "on all bars"
	if s.split() {
		selects, judged = "in sample", "in sample"
		if s.gatesOOS() {
			judged = "out of sample"
		}
		if s.selectsOOS() {
			selects = judged
		}
	}
	if len(s.Datasets) > 0 {
		selects += " on some dataset"
	}
	switch v {
	case passed:
		return ""
	case undefinedScore:
		return fmt.Sprintf("objective %s is undefined %s: %s", s.ObjectiveType, selects, s.undefinedBecause())
	case neverTraded:
		return fmt.Sprintf("objective %s is undefined %s: no trade was made", s.ObjectiveType, selects)
	case tooDeep:
		return fmt.Sprintf("max drawdown %s is above the gate of %v %%", judged, *s.Gates.MaxDrawdownPct)
	case tooFewTrades:
		return fmt.Sprintf("fewer trades %s than the gate of %d", judged, *s.Gates.MinTrades)
	case panicked:
		return "the strategy failed on these parameters"
	case screened:
		return ""
	}
	if rung, ok := v.pruned(); ok {
		return fmt.Sprintf("pruned after rung %d: others scored higher on its bars", rung+1)
	}
	return fmt.Sprintf("verdict %d of another version", v)
}

// undefinedBecause says when the objective of a trial that did trade has no value.
func (s Spec) undefinedBecause() string {
	switch s.ObjectiveType {
	case ObjectiveSortino:
		return "no period lost money"
	case ObjectiveCalmar:
		return "equity never fell below a peak, or the window is too short to annualise"
	case ObjectiveReturnOverDrawdown:
		return "equity never fell below a peak"
	case ObjectiveProfitFactor:
		return "no trade lost money"
	case ObjectiveSharpe, ObjectiveSharpeDDPenalty:
		return "returns never vary"
	default:
		return "it is not a finite number"
	}
}

// score is the objective's figure, NaN when undefined. Higher is better.
func (s Spec) score(m *backtest.Metrics) float64 {
	lambda := *s.ObjectiveParams.Lambda
	switch s.ObjectiveType {
	case ObjectiveSharpe:
		return m.Sharpe
	case ObjectiveSharpeDDPenalty:
		return m.Sharpe - float64(lambda*m.MaxDrawdownPct)
	case ObjectiveReturn:
		return m.ReturnPct
	case ObjectiveReturnDDPenalty:
		return m.ReturnPct - float64(lambda*m.MaxDrawdownPct)
	case ObjectiveCalmar:
		return m.Calmar
	case ObjectiveReturnOverDrawdown:
		return m.ReturnOverDrawdown
	case ObjectiveSortino:
		return m.Sortino
	case ObjectiveProfitFactor:
		return m.ProfitFactor
	}
	return math.NaN()
}

// selectsOOS reports whether trials are ranked by the out-of-sample part.
func (s Spec) selectsOOS() bool { return s.OOSRatio != nil && s.SelectOn == SelectOutOfSample }

// selection is the figure of the part that trials are ranked by.
func (s Spec) selection(is, oos float64) float64 {
	if s.selectsOOS() {
		return oos
	}
	return is
}

// judge holds a trial's score, and selects, the parts that it is from, against its being defined; and
// judged, the out-of-sample part of a split or else all bars, against the gates.
func (s Spec) judge(score float64, selects []backtest.Metrics, judged *backtest.Metrics) verdict {
	idle := slices.ContainsFunc(selects, func(m backtest.Metrics) bool { return m.Trades == 0 })
	switch {
	case !isFinite(score) && idle:
		return neverTraded
	case !isFinite(score):
		return undefinedScore
	case judged.MaxDrawdownPct > *s.Gates.MaxDrawdownPct:
		return tooDeep
	case judged.Trades < *s.Gates.MinTrades:
		return tooFewTrades
	}
	return passed
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
