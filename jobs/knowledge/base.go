package knowledge

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// Texts is what the knowledge base reads of Postgres.
type Texts interface {
	// Placement is where the workspace's vectors are; one that has none yet is placed with first.
	Placement(ctx context.Context, workspace uuid.UUID, first Model) (Placement, error)
	// MatchText searches the full text by BM25: hits best first.
	MatchText(ctx context.Context, workspace uuid.UUID, question string, filter Filter, limit int) ([]WordHit, error)
	// ChunkParts reads the vectors of the parts of chunks in a collection. Chunks that have none, or are another
	// workspace's, are left out.
	ChunkParts(ctx context.Context, workspace uuid.UUID, collection Collection, chunks []uuid.UUID) (map[uuid.UUID]PartVectors, error)
	// HasChunks reports whether the workspace has a chunk that passes the filter.
	HasChunks(ctx context.Context, workspace uuid.UUID, filter Filter) (bool, error)
	// Passages reads chunks. Those that are not there, or are another workspace's, are left out.
	Passages(ctx context.Context, workspace uuid.UUID, chunks []uuid.UUID) ([]Passage, error)
}

// Base is the knowledge base: what questions are put to. It is safe for concurrent use.
type Base struct {
	texts     Texts
	trials    Trials
	embedders Embedders
	index     VectorIndex
	llm       LLM
	reranker  Reranker
	lexicon   Lexicon
}

// Models are those that the base can embed with. The first is for workspaces that have none yet.
func (b *Base) Models() []Model {
	models := make([]Model, len(b.embedders))
	for i, e := range b.embedders {
		models[i] = e.Model()
	}
	return models
}

// Parts are what a Base leans on. The Reranker and the Lexicon may be nil.
type Parts struct {
	Texts     Texts
	Trials    Trials
	Embedders Embedders // the first is for workspaces that have none yet
	Index     VectorIndex
	LLM       LLM
	Reranker  Reranker
	Lexicon   Lexicon // by which words that mean the like are known: in answers without an LLM, and in the order beside lexical vectors
}

// NewBase makes a knowledge base.
func NewBase(parts Parts) (*Base, error) {
	if parts.Texts == nil || parts.Trials == nil || len(parts.Embedders) == 0 || parts.Index == nil || parts.LLM == nil {
		return nil, errors.New("knowledge: Texts, Trials, Embedders, Index and LLM are required")
	}
	return &Base{parts.Texts, parts.Trials, parts.Embedders, parts.Index, parts.LLM, parts.Reranker, parts.Lexicon}, nil
}
