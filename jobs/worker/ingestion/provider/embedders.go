package provider

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"millrace/jobs/knowledge"
)

// Bounds of one call to an embedder: what every provider takes.
const (
	batchTexts = 96
	batchBytes = 256 << 10
	// mostVectors bounds an answer: a batch of the largest vectors, each number written out.
	mostVectors = 64 << 20
)

// EmbedderOptions make an embedder over HTTP.
type EmbedderOptions struct {
	Endpoint
	Dimensions     int    // 0: those of a model that is known
	QueryPrefix    string // put before questions, as some models want
	DocumentPrefix string // put before passages
}

// known are models whose dimensions and prefixes need not be said.
var known = map[string]struct {
	dimensions      int
	query, document string
}{
	"text-embedding-3-small": {1536, "", ""},
	"text-embedding-3-large": {3072, "", ""},
	"text-embedding-ada-002": {1536, "", ""},
	"nomic-embed-text":       {768, "search_query: ", "search_document: "},
	"mxbai-embed-large":      {1024, "Represent this sentence for searching relevant passages: ", ""},
	"all-minilm":             {384, "", ""},
	"bge-m3":                 {1024, "", ""},
	"snowflake-arctic-embed": {1024, "Represent this sentence for searching relevant passages: ", ""},
}

// httpEmbedder is what the protocols have in common.
type httpEmbedder struct {
	*caller
	model    knowledge.Model
	prefixes map[knowledge.Use]string
	call     func(ctx context.Context, texts []string) ([][]float64, error)
}

func newHTTPEmbedder(protocol string, opts EmbedderOptions) (*httpEmbedder, error) {
	if opts.Model == "" {
		return nil, errors.New("no model is named")
	}
	name, _, _ := strings.Cut(opts.Model, ":") // Ollama's tag
	facts, ok := known[name]
	if opts.Dimensions == 0 {
		opts.Dimensions = facts.dimensions
	}
	if opts.Dimensions < 1 || opts.Dimensions > 16384 {
		return nil, fmt.Errorf("the dimensions of model %q are not known: name them, from 1 to 16384", opts.Model)
	}
	if ok && opts.QueryPrefix == "" && opts.DocumentPrefix == "" {
		opts.QueryPrefix, opts.DocumentPrefix = facts.query, facts.document
	}
	caller, err := newCaller("embedder "+protocol, opts.Endpoint, mostVectors)
	if err != nil {
		return nil, err
	}
	return &httpEmbedder{
		caller:   caller,
		model:    knowledge.Model{Provider: protocol, Name: opts.Model, Dimensions: opts.Dimensions},
		prefixes: map[knowledge.Use]string{knowledge.ForQuery: opts.QueryPrefix, knowledge.ForDocument: opts.DocumentPrefix},
	}, nil
}

// NewOpenAIEmbedder speaks to any endpoint that is compatible with OpenAI's POST /embeddings; the
// URL ends in /v1 there.
func NewOpenAIEmbedder(opts EmbedderOptions) (knowledge.Embedder, error) {
	e, err := newHTTPEmbedder("openai", opts)
	if err != nil {
		return nil, err
	}
	e.call = func(ctx context.Context, texts []string) ([][]float64, error) {
		request := map[string]any{"model": opts.Model, "input": texts, "encoding_format": "float"}
		var answer struct {
			Data []struct {
				Index     int       `json:"index"`
				Embedding []float64 `json:"embedding"`
			} `json:"data"`
		}
		if err := e.post(ctx, "/embeddings", request, &answer); err != nil {
			return nil, err
		}
		vectors := make([][]float64, len(texts))
		for _, item := range answer.Data {
			if item.Index < 0 || item.Index >= len(texts) || vectors[item.Index] != nil {
				return nil, e.garbage("vector %d is not one of the %d asked for, or comes twice", item.Index, len(texts))
			}
			vectors[item.Index] = item.Embedding
		}
		return vectors, nil
	}
	return e, nil
}

// NewOllamaEmbedder speaks to Ollama's POST /api/embed.
func NewOllamaEmbedder(opts EmbedderOptions) (knowledge.Embedder, error) {
	e, err := newHTTPEmbedder("ollama", opts)
	if err != nil {
		return nil, err
	}
	e.call = func(ctx context.Context, texts []string) ([][]float64, error) {
		var answer struct {
			Embeddings [][]float64 `json:"embeddings"`
		}
		err := e.post(ctx, "/api/embed", map[string]any{"model": opts.Model, "input": texts, "truncate": true}, &answer)
		return answer.Embeddings, err
	}
	return e, nil
}

// Model implements knowledge.Embedder.
func (e *httpEmbedder) Model() knowledge.Model { return e.model }

// Embed implements knowledge.Embedder.
func (e *httpEmbedder) Embed(ctx context.Context, use knowledge.Use, texts []string) ([][]float32, error) {
	vectors := make([][]float32, 0, len(texts))
	for len(vectors) < len(texts) {
		batch := e.batch(use, texts[len(vectors):])
		found, err := e.call(ctx, batch)
		if err != nil {
			return nil, err
		}
		if len(found) != len(batch) {
			return nil, e.garbage("%d vectors for %d texts", len(found), len(batch))
		}
		for i, vector := range found {
			if err := e.check(i, vector); err != nil {
				return nil, err
			}
			vectors = append(vectors, knowledge.Normalized(vector))
		}
	}
	return vectors, nil
}

// batch is as many of the texts as one call takes, one at least. An empty text is refused by some
// providers, so it is sent as a space.
func (e *httpEmbedder) batch(use knowledge.Use, texts []string) []string {
	var batch []string
	size := 0
	for _, text := range texts {
		text = e.prefixes[use] + text
		if text == "" {
			text = " "
		}
		if size += len(text); len(batch) > 0 && (len(batch) == batchTexts || size > batchBytes) {
			break
		}
		batch = append(batch, text)
	}
	return batch
}

func (e *httpEmbedder) check(i int, vector []float64) error {
	if len(vector) == 0 {
		return e.garbage("no vector for text %d", i)
	}
	if len(vector) != e.model.Dimensions {
		return &knowledge.Fault{
			Kind: knowledge.FaultDimensions, Part: e.part,
			Err: fmt.Errorf("model %s gave %d dimensions, not the %d it is set up with", e.model.Name, len(vector), e.model.Dimensions),
		}
	}
	var square float64
	for _, x := range vector {
		square += x * x
	}
	if square == 0 || math.IsNaN(square) || math.IsInf(square, 0) {
		return e.garbage("vector %d has no direction", i)
	}
	return nil
}
