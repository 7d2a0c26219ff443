package sweep

import (
	"fmt"
	"math"

	"millrace/jobs/backtest"
)

// Status is how a trial ended.
type Status string

// The statuses of a trial that has ended.
const (
	StatusCompleted Status = "completed"
	StatusSkipped   Status = "skipped" // a gate or an undefined objective keeps it off the leaderboard
	StatusFailed    Status = "failed"
)

// verdict is why a trial is not on the leaderboard, in the order of precedence.
type verdict uint8

const (
	passed verdict = iota
	undefinedScore
	tooDeep
	tooFewTrades
)

func (v verdict) status() Status {
	if v == passed {
		return StatusCompleted
	}
	return StatusSkipped
}

// reason explains a verdict by the limits of the spec.
func (s Spec) reason(v verdict) string {
	switch v {
	case undefinedScore:
		return fmt.Sprintf("objective %s is undefined for this trial", s.ObjectiveType)
	case tooDeep:
		return fmt.Sprintf("max drawdown above the gate of %v %%", *s.Gates.MaxDrawdownPct)
	case tooFewTrades:
		return fmt.Sprintf("fewer trades than the gate of %d", *s.Gates.MinTrades)
	}
	return ""
}

// score is the objective's figure, NaN when undefined. Higher is better.
func (s Spec) score(m *backtest.Metrics) float64 {
	lambda := *s.ObjectiveParams.Lambda
	switch s.ObjectiveType {
	case ObjectiveSharpe:
		return m.Sharpe
	case ObjectiveSharpeDDPenalty:
		return m.Sharpe - lambda*m.MaxDrawdownPct
	case ObjectiveReturn:
		return m.ReturnPct
	case ObjectiveReturnDDPenalty:
		return m.ReturnPct - lambda*m.MaxDrawdownPct
	case ObjectiveCalmar:
		return m.Calmar
	case ObjectiveSortino:
		return m.Sortino
	case ObjectiveProfitFactor:
		return m.ProfitFactor
	}
	return math.NaN()
}

// judge holds a trial against the gates, which look at judged: the out-of-sample part of a split,
// else all bars.
func (s Spec) judge(score float64, judged *backtest.Metrics) verdict {
	switch {
	case math.IsNaN(score) || math.IsInf(score, 0):
		return undefinedScore
	case judged.MaxDrawdownPct > *s.Gates.MaxDrawdownPct:
		return tooDeep
	case judged.Trades < *s.Gates.MinTrades:
		return tooFewTrades
	}
	return passed
}
