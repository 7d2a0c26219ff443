package api

import (
	"math"
	"strings"

	"millrace/jobs/knowledge"
)

func viewAdvice(want knowledge.Wanted, a *knowledge.Advice) recommendView {
	view := recommendView{
		Status: a.Status, Confidence: a.Confidence, StrategyName: want.Strategy,
		Regime: regimeView{want.Regime.Schema, want.Regime.Vector, want.Regime.Tags, want.Regime.Fingerprint},
		Ranges: map[string]rangeView{}, Candidates: []candidateView{}, Relaxed: append([]knowledge.Axis{}, a.Relaxed...),
		Counts:      recommendCounts{a.Considered, len(a.Candidates), a.RejectedBy},
		Suggestions: make([]relaxationView, len(a.Relax)), ReasonCodes: adviceCodes(a),
		Evidence: viewMatches(a.Evidence.Matches), Lacking: append([]string{}, a.Evidence.Lacking...),
	}
	if a.BasedOn != nil {
		based := viewCandidate(*a.BasedOn)
		view.BasedOn, view.Params = &based, &a.Params
	}
	for _, r := range a.Ranges {
		view.Ranges[r.Name] = rangeView{r.Low, r.Median, r.High}
	}
	for _, c := range a.Candidates[:min(len(a.Candidates), shownCandidates)] {
		view.Candidates = append(view.Candidates, viewCandidate(c))
	}
	for i, r := range a.Relax {
		view.Suggestions[i] = relaxationView{Axis: r.Axis, Admits: r.Admits}
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

func viewCandidate(c knowledge.Candidate) candidateView {
	return candidateView{
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
	return "a market that is " + strings.ReplaceAll(strings.Join(tags, ", "), "_", " ")
}
