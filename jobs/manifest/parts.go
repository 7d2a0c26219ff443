package manifest

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/ops/routine"
)

// Parts are the bytes of what was found, by name.
type Parts map[string][]byte

// Sums are the hashes of the parts.
func (p Parts) Sums() map[string]string {
	sums := make(map[string]string, len(p))
	for name, body := range p {
		sums[name] = Sum(body)
	}
	return sums
}

func (p Parts) put(name string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	p[name] = body
	return nil
}

// putAll puts pairs of a name and a value.
func putAll(pairs ...any) (Parts, error) {
	p := Parts{}
	for i := 0; i < len(pairs); i += 2 {
		if err := p.put(pairs[i].(string), pairs[i+1]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// trialsPart is the part that holds every trial of a tune, as sweep.Table keeps them.
const trialsPart = "trials"

// OfTune are the parts of a tune but for its trials; leaders is how many rows of the leaderboard are kept.
func OfTune(found *sweep.Outcome, leaders int) (Parts, error) {
	p, err := ofSummary(found)
	if err != nil {
		return nil, err
	}
	p["ranking"] = found.RankingBody()
	entries := found.Leaderboard[:min(leaders, len(found.Leaderboard))]
	return p, p.put("leaderboard", append([]sweep.Entry{}, entries...))
}

// ofSummary are the parts of a tune but for its trials, its ranking and its leaderboard.
func ofSummary(found *sweep.Outcome) (Parts, error) {
	summary := *found
	summary.Leaderboard, summary.Ranking, summary.Regime = nil, nil, nil
	return putAll("outcome", summary, "regime", found.Regime)
}

// StoredTune are the parts of a tune as they are read back: its outcome, regime, ranking and the entries of
// the leaderboard as they were encoded, and all of its trials.
func StoredTune(outcome json.RawMessage, regime *sweep.Regime, ranking []int32, entries []json.RawMessage, trials *sweep.Table) (Parts, error) {
	parts, err := putAll("outcome", outcome, "regime", regime, "ranking", ranking, "leaderboard", append([]json.RawMessage{}, entries...))
	if err == nil {
		parts[trialsPart] = trials.Bytes()
	}
	return parts, err
}

// StoredSummary are the parts of a tune whose trials were dropped.
func StoredSummary(outcome json.RawMessage, regime *sweep.Regime, entries []json.RawMessage) (Parts, error) {
	return putAll("outcome", outcome, "regime", regime, "leaderboard", append([]json.RawMessage{}, entries...))
}

// mayLack reports whether a result may be without the part: retention drops what there is of each trial.
func mayLack(part string) bool { return part == trialsPart || part == "ranking" }

// TuneSums are the hashes of a tune's parts, its trials included, with so many rows of the leaderboard.
func TuneSums(found *sweep.Outcome, leaders int) (map[string]string, error) {
	parts, err := ofSummary(found)
	if err != nil {
		return nil, err
	}
	leaderboard, err := found.LeadersSum(leaders)
	if err != nil {
		return nil, err
	}
	ranking, sums := found.RankingSum(), parts.Sums()
	sums["leaderboard"], sums["ranking"] = hex.EncodeToString(leaderboard[:]), hex.EncodeToString(ranking[:])
	sums[trialsPart] = hex.EncodeToString(found.TrialsSum[:])
	return sums, nil
}

// CandidatesKept is how many candidates of a walk-forward are kept, best first.
const CandidatesKept = 1000

// OfWalkForward are the parts of a walk-forward; warnings are those of its folds and of what was found.
func OfWalkForward(found *sweep.WFOOutcome, warnings []string) (Parts, error) {
	entries, err := Candidates(found)
	if err != nil {
		return nil, err
	}
	return WithCandidates(found, entries, warnings)
}

// Candidates are those of a walk-forward that are kept, each as it is stored.
func Candidates(found *sweep.WFOOutcome) ([]json.RawMessage, error) {
	kept := found.Ranked[:min(CandidatesKept, len(found.Ranked))]
	entries := make([]json.RawMessage, len(kept))
	for i, c := range kept {
		body, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("encode candidate: %w", err)
		}
		entries[i] = body
	}
	return entries, nil
}

// WithCandidates is OfWalkForward of one whose candidates were encoded. The curve has most of the bytes and is made beside the rest:
// the walk-forward has nothing else left to do.
func WithCandidates(found *sweep.WFOOutcome, entries []json.RawMessage, warnings []string) (Parts, error) {
	var beside routine.Group
	drawn := Parts{}
	beside.Run(func() error { return drawn.put("curve", curve(found.Curve)) })
	p, err := putAll("outcome", found, "warnings", append([]string{}, warnings...))
	if err = errors.Join(err, beside.Wait()); err != nil {
		return nil, err
	}
	p["candidates"], p["curve"] = listOf(entries), drawn["curve"]
	return p, nil
}

// listOf is the array of what was encoded.
func listOf[T ~[]byte](entries []T) []byte {
	all := []byte{'['}
	for i, entry := range entries {
		if i > 0 {
			all = append(all, ',')
		}
		all = append(all, entry...)
	}
	return append(all, ']')
}

// StoredWalkForward are the parts of a walk-forward as they are read back.
func StoredWalkForward(outcome json.RawMessage, candidates []json.RawMessage, found sweep.Curve, warnings []string) (Parts, error) {
	return putAll("outcome", outcome, "candidates", append([]json.RawMessage{}, candidates...),
		"curve", curve(found), "warnings", append([]string{}, warnings...))
}

func curve(c sweep.Curve) any {
	parts := map[string]any{"bars": append([]int32{}, c.Bars...), "equity": append([]float64{}, c.Equity...)}
	if len(c.Parts) > 0 { // of several datasets
		parts["parts"], parts["at"], parts["together"] = c.Parts, c.At, c.Together
	}
	return parts
}

// OfRun are the parts of a run.
func OfRun(metrics backtest.Metrics, trades []backtest.Trade, equity []float64) (Parts, error) {
	return putAll("metrics", metrics, "trades", append([]backtest.Trade{}, trades...), "equity", append([]float64{}, equity...))
}
