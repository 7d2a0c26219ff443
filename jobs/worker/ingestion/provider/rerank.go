package provider

import (
	"context"
	"math"

	"millrace/jobs/knowledge"
)

type httpReranker struct {
	*caller
	model string
}

// NewReranker speaks the POST /rerank of Cohere and Jina, which vLLM, llama.cpp and LocalAI answer
// too.
func NewReranker(e Endpoint) (knowledge.Reranker, error) {
	caller, err := newCaller("reranker", e, mostAnswer)
	if err != nil {
		return nil, err
	}
	return &httpReranker{caller, e.Model}, nil
}

// Rerank implements knowledge.Reranker.
func (r *httpReranker) Rerank(ctx context.Context, query string, texts []string) ([]float64, error) {
	request := map[string]any{"query": query, "documents": texts, "top_n": len(texts)}
	if r.model != "" {
		request["model"] = r.model
	}
	var answer struct {
		Results []struct {
			Index int      `json:"index"`
			Score *float64 `json:"relevance_score"`
		} `json:"results"`
	}
	if err := r.post(ctx, "/rerank", request, &answer); err != nil {
		return nil, err
	}
	scores := make([]float64, len(texts))
	for i := range scores {
		scores[i] = math.NaN()
	}
	for _, result := range answer.Results {
		if result.Index < 0 || result.Index >= len(texts) || !math.IsNaN(scores[result.Index]) || result.Score == nil {
			return nil, r.garbage("result %d is not one of the %d texts, comes twice or has no score", result.Index, len(texts))
		}
		scores[result.Index] = *result.Score
	}
	if len(answer.Results) != len(texts) {
		return nil, r.garbage("%d scores for %d texts", len(answer.Results), len(texts))
	}
	return scores, nil
}
