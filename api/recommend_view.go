package api

import (
	"math"
	"strings"

	"millrace/api/types"
	"millrace/jobs/knowledge"
)

func viewAdvice(want knowledge.Wanted, a *knowledge.Advice) types.Recommend {
	view := types.Recommend{
		Status: types.RecommendStatus(a.Status), Confidence: a.Confidence, StrategyName: want.Strategy,
		Regime: types.RecommendRegime{
			Schema: want.Regime.Schema, Vector: types.RegimeVector(want.Regime.Vector), Tags: want.Regime.Tags, Fingerprint: want.Regime.Fingerprint,
			Character: (*types.Character)(want.Regime.Character),
		},
		Ranges: map[string]types.Range{}, Candidates: []types.RecommendCandidate{}, Relaxed: []types.Axis{},
		Counts:      types.RecommendCounts{Considered: a.Considered, Admitted: len(a.Candidates), RejectedBy: map[types.Axis]int{}},
		Suggestions: make([]types.Relaxation, len(a.Relax)), ReasonCodes: adviceCodes(a),
		Evidence: viewMatches(a.Evidence.Matches), Lacking: append([]string{}, a.Evidence.Lacking...),
	}
	for _, axis := range a.Relaxed {
		view.Relaxed = append(view.Relaxed, types.Axis(axis))
	}
	for axis, n := range a.RejectedBy {
		view.Counts.RejectedBy[types.Axis(axis)] = n
	}
	if a.BasedOn != nil {
		based := viewCandidate(*a.BasedOn)
		view.BasedOn, view.Params = &based, &a.Params
	}
	for _, r := range a.Ranges {
		view.Ranges[r.Name] = types.Range{Low: r.Low, Median: r.Median, High: r.High}
	}
	for _, c := range a.Candidates[:min(len(a.Candidates), shownCandidates)] {
		view.Candidates = append(view.Candidates, viewCandidate(c))
	}
	for i, r := range a.Relax {
		view.Suggestions[i] = types.Relaxation{Axis: types.Axis(r.Axis), Admits: r.Admits}
		if r.Axis != knowledge.AxisTimeframe {
			view.Suggestions[i].From, view.Suggestions[i].To = &a.Relax[i].From, &a.Relax[i].To
		}
	}
	return view
}

// adviceCodes are those of the gap that the recommendation shows, if any.
func adviceCodes(a *knowledge.Advice) []string {
	if a.Status == knowledge.RecommendNone {
		return knowledge.Cover(0, 0).Codes
	}
	return knowledge.Cover(len(a.Candidates), a.BestScore).Codes
}

func viewCandidate(c knowledge.Candidate) types.RecommendCandidate {
	return types.RecommendCandidate{
		TuneID: c.TuneID.String(), TrialIndex: c.TrialIndex, Rank: c.Rank, Dataset: c.Dataset, Symbol: c.Symbol, Timeframe: c.Timeframe,
		ObjectiveType: c.Objective, Params: c.Params, RegimeTags: append([]string{}, c.Tags...), Similarity: c.Similarity,
		OOSSharpe: finite(c.Sharpe), ReturnPct: finite(c.ReturnPct), Calmar: finite(c.Calmar),
		MaxDrawdownPct: finite(c.MaxDrawdownPct), Trades: c.Trades, OverfitGap: finite(c.OverfitGap),
	}
}

// finite is v, or nil when it is not a finite number.
func finite(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// marketText names a regime by its tags.
func marketText(tags []string) string {
	if len(tags) == 0 {
		return "a market of no particular kind"
	}
	said := make([]string, len(tags))
	for i, tag := range tags {
		switch tag {
		case "uptrend", "downtrend":
			said[i] = "in " + map[string]string{"uptrend": "an ", "downtrend": "a "}[tag] + tag
		case "low_volatility", "high_volatility":
			said[i] = "of " + strings.ReplaceAll(tag, "_", " ")
		default:
			said[i] = tag
		}
	}
	return "a market that is " + strings.Join(said, ", ")
}
