package knowledge

import (
	"context"
	"io"
	"time"

	"github.com/google/uuid"
)

// Model names an embedding model. Vectors compare only within one.
type Model struct {
	Provider   string // hash, local, ollama, openai
	Name       string // as the provider calls it
	Dimensions int
}

// String is the provider's name and the model's, as in "ollama/nomic-embed-text".
func (m Model) String() string { return m.Provider + "/" + m.Name }

// Lexical reports whether the model's vectors stand for words and not for meaning.
func (m Model) Lexical() bool { return m.Provider == "hash" }

// Use is what a text is embedded for. Some models want a prefix for each use.
type Use int

// The uses of a text.
const (
	ForDocument Use = iota
	ForQuery
)

// Embedder computes the vectors of texts by one model. It is safe for concurrent use.
type Embedder interface {
	Model() Model
	// Embed returns one vector of Model().Dimensions and Euclidean length 1 for each text, in order.
	// It cuts the texts into calls as its provider wants them. An error is a *Fault.
	Embed(ctx context.Context, use Use, texts []string) ([][]float32, error)
}

// Collection is a set of vectors of one model, shared by the workspaces that use the model.
type Collection struct {
	Name       string
	Dimensions int
}

// Scope is the part of a collection that a call may touch. There is no call without a workspace,
// and uuid.Nil is refused.
type Scope struct {
	Workspace  uuid.UUID
	Collection Collection
}

// Point is the vector of one chunk.
type Point struct {
	Chunk      uuid.UUID
	Document   uuid.UUID
	Revision   int64 // of the document's content; each new content has a higher one
	SourceType SourceType
	Vector     []float32
}

// Filter narrows a search; an empty field does not.
type Filter struct {
	SourceTypes []SourceType
	Documents   []uuid.UUID
}

// Hit is a chunk that was found, with its cosine similarity from -1 to 1.
type Hit struct {
	Chunk    uuid.UUID
	Document uuid.UUID
	Score    float64
}

// WordHit is a chunk that shares words with a question, with a score from 0 to 1.
type WordHit struct {
	Hit
	// Covered is the share of the question's words that the chunk has, each weighted by its rarity in
	// the workspace, from 0 to 1.
	Covered float64
	// Familiar is how common the question's words are among the workspace's chunks, from 0 to 1, for all hits of a
	// question the same; nil of a question in a script without spaces, whose words cannot be counted.
	Familiar *float64
}

// CollectionInfo is a collection's state as its index reports it.
type CollectionInfo struct {
	Exists bool
	Status string // "green" when all is well, "yellow" while it optimises
	// Trouble says what makes the collection unfit for its vectors, as other dimensions or another
	// distance; empty when nothing does.
	Trouble  string
	Vectors  int64 // of all workspaces
	Segments int
}

// VectorIndex keeps vectors and finds those nearest to another. It knows nothing of what the rows
// in Postgres say, and no transaction spans both. A document's new revision is therefore upserted
// before the transaction that replaces its chunks, and DeleteRevisions comes after it: searches
// drop the hits whose chunk has no row, so that readers see the old document or the new one, whole.
//
// Every call can be repeated with no further effect. An error is a *Fault.
type VectorIndex interface {
	// Ensure makes the collection unless it is there. One of other dimensions is a FaultDimensions, one
	// that compares vectors in another way a FaultCollection.
	Ensure(ctx context.Context, collection Collection) error
	// Upsert writes points of the scope's workspace, replacing those of the same chunks, and makes
	// them visible to searches before it returns. Wrong dimensions are a FaultDimensions, and a point
	// that is not finite or a collection that was never made a FaultRefused; then nothing is written.
	Upsert(ctx context.Context, scope Scope, points []Point) error
	// DeleteRevisions deletes a document's points of revisions below the one given.
	DeleteRevisions(ctx context.Context, scope Scope, document uuid.UUID, below int64) error
	// DeleteWorkspace deletes all that the workspace has in the collection.
	DeleteWorkspace(ctx context.Context, scope Scope) error
	// Forget deletes all that a workspace which is deleted has beside the rows that name it, in every collection.
	Forget(ctx context.Context, workspace uuid.UUID) error
	// Search returns at most limit hits of the scope's workspace that pass the filter, best first,
	// ties by chunk. A collection that was never made has none.
	Search(ctx context.Context, scope Scope, vector []float32, filter Filter, limit int) ([]Hit, error)
	// Count returns how many points the scope's workspace has. A collection that was never made has none.
	Count(ctx context.Context, scope Scope) (int64, error)
	// Info reports on the whole collection.
	Info(ctx context.Context, collection Collection) (CollectionInfo, error)
}

// AllRevisions is above every revision.
const AllRevisions int64 = 1<<63 - 1

// Message is one message of a conversation with an LLM.
type Message struct {
	Role Role
	Text string
}

// Role is who speaks a message.
type Role string

// The roles.
const (
	RoleSystem    Role = "system"
	RoleUser      Role = "user"
	RoleAssistant Role = "assistant"
)

// Completion is an LLM's answer.
type Completion struct {
	Text         string
	Truncated    bool // it ended at the most tokens allowed
	InputTokens  int  // as the provider counts; 0 when it does not say
	OutputTokens int
}

// LLM completes conversations. It is safe for concurrent use. An error is a *Fault.
type LLM interface {
	Provider() string // openai, anthropic, ollama
	Model() string
	Complete(ctx context.Context, messages []Message, maxTokens int) (Completion, error)
}

// Reranker judges texts against a query. It returns one score for each text, in order, higher
// being better. An error is a *Fault.
type Reranker interface {
	Rerank(ctx context.Context, query string, texts []string) ([]float64, error)
}

// Recognizer adds text to PDF files that show text and have none, as scans. It is safe for concurrent use.
type Recognizer interface {
	// Recognize makes a PDF file with text of the one that source writes. A file of which none can be made is a
	// *Rejection. Close what it returns.
	Recognize(ctx context.Context, source func(io.Writer) error) (Recognized, error)
}

// Recognized is a PDF file that a Recognizer made.
type Recognized interface {
	Size() int64
	Copy(to io.Writer) error // writes the file, from its beginning each time
	Close() error
}

// Fault is the failure of something outside: a provider or an index.
type Fault struct {
	Kind       FaultKind
	Part       string        // who failed, as in "embedder openai"
	Status     int           // of HTTP; 0 when there was none
	RetryAfter time.Duration // what the provider asks to wait; 0 when it does not say
	Err        error
}

// FaultKind is what went wrong with a provider or an index.
type FaultKind string

// The kinds of Fault.
const (
	FaultTimeout      FaultKind = "timeout"
	FaultRateLimit    FaultKind = "rate_limit"
	FaultUnconfigured FaultKind = "unconfigured" // it is not set up, so no call was made
	FaultUnreachable  FaultKind = "unreachable"  // no connection, or the circuit is open after too many failures
	FaultDimensions   FaultKind = "dimensions"   // vectors of another length than the model's
	FaultCollection   FaultKind = "collection"   // the index's collection was made for other vectors
	FaultRefused      FaultKind = "refused"      // the request itself will never be accepted
	FaultProvider     FaultKind = "error"        // anything else: 5xx, or an answer that makes no sense
)
