package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/lexicon"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/ops"
	"millrace/ops/health"
	"millrace/store/stores"
	"millrace/store/vector"
)

// knowledgeFlags are the settings of the knowledge base. Without any of them it works on its own:
// lexical vectors, kept in Postgres, and answers that quote.
type knowledgeFlags struct {
	Embedder           string `env:"EMBEDDER" default:"hash" enum:"hash,local,ollama,openai" help:"What embeds texts: hash (lexical, built in), local (a small model from EMBEDDER_FILE, in this process), ollama, openai (any compatible endpoint). A workspace keeps its model until it is re-embedded."`
	EmbedderFile       string `env:"EMBEDDER_FILE" help:"Folder, zip or wheel of the local model: see ops/docs/models.md."`
	EmbedderURL        string `env:"EMBEDDER_URL" help:"Its address, as in http://localhost:11434 or https://api.openai.com/v1."`
	EmbedderModel      string `env:"EMBEDDER_MODEL" help:"Its model."`
	EmbedderDimensions int    `env:"EMBEDDER_DIMENSIONS" help:"Dimensions of a model that is not well known."`
	EmbedderKey        string `env:"EMBEDDER_API_KEY" help:"Its API key."`

	LLM      string        `name:"llm" env:"LLM_PROVIDER" default:"none" enum:"none,openai,anthropic,ollama" help:"What words answers: none, openai (any compatible endpoint), anthropic, ollama."`
	LLMURL   string        `name:"llm-url" env:"LLM_URL" help:"Its address."`
	LLMModel string        `name:"llm-model" env:"LLM_MODEL" help:"Its model."`
	LLMKey   string        `name:"llm-key" env:"LLM_API_KEY" help:"Its API key."`
	LLMTime  time.Duration `name:"llm-timeout" env:"LLM_TIMEOUT" default:"15s" help:"How long it may take."`

	RerankerURL   string `env:"RERANKER_URL" help:"Address of a reranker that answers POST /rerank; unset, there is none."`
	RerankerModel string `env:"RERANKER_MODEL" help:"Its model."`
	RerankerKey   string `env:"RERANKER_API_KEY" help:"Its API key."`

	QdrantURL    string `env:"QDRANT_URL" help:"Qdrant's gRPC address, as in http://localhost:6334; unset, vectors are kept in Postgres."`
	QdrantKey    string `env:"QDRANT_API_KEY" help:"Qdrant's API key."`
	VectorMemory int64  `env:"MILLRACE_VECTOR_MEMORY_MB" default:"1024" help:"Megabytes for copies of the vectors that are kept in Postgres."`
	TextMemory   int64  `env:"MILLRACE_TEXT_MEMORY_MB" default:"512" help:"Megabytes for copies of the words that searches rank by."`
}

// knowledgeParts are what the knowledge base leans on, ready to be called.
type knowledgeParts struct {
	embedders knowledge.Embedders
	index     knowledge.VectorIndex
	llm       knowledge.LLM
	reranker  knowledge.Reranker // nil: none
}

// openKnowledge makes the parts. It calls none of them, so that a process starts without them.
func (f knowledgeFlags) openKnowledge(life *lifecycle, st *stores.Set, metrics *ops.Metrics, logger *slog.Logger) (*knowledgeParts, error) {
	m := &metrics.Knowledge
	limits := provider.GuardOptions{LLMTimeout: f.LLMTime}
	parts := &knowledgeParts{}
	st.Library.KeepWords(f.TextMemory << 20)
	embedder, embedderErr := f.embedder()
	llm, llmErr := f.llm()
	reranker, rerankerErr := f.reranker()
	index, indexErr := f.index(life, st)
	if err := errors.Join(embedderErr, llmErr, rerankerErr, indexErr); err != nil {
		return nil, configError{err}
	}
	if embedder != nil {
		parts.embedders = append(parts.embedders, provider.NewEmbedder(embedder, m, limits))
	}
	parts.embedders = append(parts.embedders, provider.NewEmbedder(knowledge.HashEmbedder{}, m, limits))
	parts.index = vector.NewGuarded(index, m, vector.GuardOptions{})
	parts.llm = provider.NewLLM(llm, m, limits, func(ctx context.Context, name, model string, reason knowledge.Reason) {
		if err := st.Recommend.RecordLLMCall(ctx, name, model, reason); err != nil {
			logger.WarnContext(ctx, "a call to the language model was not recorded", "error", err)
		}
	})
	if reranker != nil {
		parts.reranker = provider.NewGuardedReranker(reranker, limits)
	}
	return parts, nil
}

// base makes the knowledge base of an API process.
func (p *knowledgeParts) base(st *stores.Set) (*knowledge.Base, error) {
	words, err := lexicon.Open()
	if err != nil {
		return nil, err
	}
	return knowledge.NewBase(knowledge.Parts{
		Texts: st.Library, Trials: st.Recommend, Embedders: p.embedders, Index: p.index, LLM: p.llm, Reranker: p.reranker, Lexicon: words,
	})
}

// look has the health checks look at the parts.
func (f knowledgeFlags) look(p *knowledgeParts, at *health.Options) {
	kind := "embedded"
	if f.QdrantURL != "" {
		kind = "qdrant"
	}
	at.Vectors = &health.Vectors{Kind: kind, Index: p.index}
	if f.LLM != "none" {
		at.LLM = health.LLM{Provider: f.LLM, Model: f.LLMModel}
	}
	at.Embed = health.Remembered(time.Minute, func(ctx context.Context) error {
		_, err := p.embedders[0].Embed(ctx, knowledge.ForQuery, []string{"ready"})
		return err
	})
}

// embedder is nil for the one that is built in.
func (f knowledgeFlags) embedder() (knowledge.Embedder, error) {
	if f.Embedder == "local" {
		e, err := openLocal(f.EmbedderFile)
		if err != nil {
			return nil, fmt.Errorf("EMBEDDER_FILE: %w", err)
		}
		return e, nil
	}
	open := map[string]func(provider.EmbedderOptions) (knowledge.Embedder, error){
		"ollama": provider.NewOllamaEmbedder, "openai": provider.NewOpenAIEmbedder,
	}[f.Embedder]
	if open == nil {
		return nil, nil
	}
	e, err := open(provider.EmbedderOptions{
		Endpoint:   provider.Endpoint{URL: f.EmbedderURL, APIKey: f.EmbedderKey, Model: f.EmbedderModel},
		Dimensions: f.EmbedderDimensions,
	})
	if err != nil {
		return nil, fmt.Errorf("EMBEDDER_URL, EMBEDDER_MODEL, EMBEDDER_DIMENSIONS: %w", err)
	}
	return e, nil
}

// llm is nil for none.
func (f knowledgeFlags) llm() (knowledge.LLM, error) {
	open := map[string]func(provider.Endpoint) (knowledge.LLM, error){
		"openai": provider.NewOpenAILLM, "anthropic": provider.NewAnthropicLLM, "ollama": provider.NewOllamaLLM,
	}[f.LLM]
	if open == nil {
		return nil, nil
	}
	llm, err := open(provider.Endpoint{URL: f.LLMURL, APIKey: f.LLMKey, Model: f.LLMModel})
	if err != nil {
		return nil, fmt.Errorf("LLM_URL, LLM_MODEL: %w", err)
	}
	return llm, nil
}

// reranker is nil for none.
func (f knowledgeFlags) reranker() (knowledge.Reranker, error) {
	if f.RerankerURL == "" {
		return nil, nil
	}
	r, err := provider.NewReranker(provider.Endpoint{URL: f.RerankerURL, APIKey: f.RerankerKey, Model: f.RerankerModel})
	if err != nil {
		return nil, fmt.Errorf("RERANKER_URL: %w", err)
	}
	return r, nil
}

func (f knowledgeFlags) index(life *lifecycle, st *stores.Set) (knowledge.VectorIndex, error) {
	if f.QdrantURL == "" {
		return vector.NewEmbedded(st.Pool(), st.Workspaces(), f.VectorMemory<<20), nil
	}
	q, err := vector.NewQdrant(f.QdrantURL, f.QdrantKey)
	if err != nil {
		return nil, fmt.Errorf("QDRANT_URL: %w", err)
	}
	life.onStop(func(context.Context) error { return q.Close() })
	return q, nil
}
