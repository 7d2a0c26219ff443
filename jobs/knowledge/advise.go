package knowledge

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"millrace/jobs/sweep"
)

// Trials is what the knowledge base reads of past tunes.
type Trials interface {
	// Candidates are leading trials of the workspace's tunes of a strategy, those nearest in regime
	// first, under one objective or, when it is "", any.
	Candidates(ctx context.Context, workspace uuid.UUID, strategy, objective string, regime *sweep.Regime) ([]Candidate, error)
}

// evidenceTopK is how many passages support a recommendation.
const evidenceTopK = 5

// Wanted is what a recommendation is asked for.
type Wanted struct {
	Strategy  string
	Objective string // "": any
	Regime    *sweep.Regime
	Terms     Terms
	Question  string // what to look for in the documents; "": the strategy and the regime's tags
	Rerank    bool
}

// Advice is a recommendation with passages that support it.
type Advice struct {
	*Recommendation
	Evidence *Found
	// Aggregate is the time it took to read and weigh the candidates.
	Aggregate time.Duration
}

// Advise recommends parameters from the workspace's past trials, and looks for what its documents
// say of the strategy in such a market.
func (b *Base) Advise(ctx context.Context, workspace uuid.UUID, want Wanted) (*Advice, error) {
	start := time.Now()
	candidates, err := b.trials.Candidates(ctx, workspace, want.Strategy, want.Objective, want.Regime)
	if err != nil {
		return nil, err
	}
	advice := &Advice{Recommendation: Recommend(candidates, want.Terms)}
	advice.Aggregate = time.Since(start)
	advice.Evidence, err = b.Search(ctx, workspace, Question{Text: want.question(), TopK: evidenceTopK, Rerank: want.Rerank && b.reranker != nil})
	return advice, err
}

func (w Wanted) question() string {
	if w.Question != "" {
		return w.Question
	}
	words := append([]string{w.Strategy, "strategy parameters"}, w.Regime.Tags...)
	return strings.ReplaceAll(strings.Join(words, " "), "_", " ")
}
