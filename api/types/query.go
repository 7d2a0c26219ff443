package types

import (
	"time"
)

// TuneExplanation is the explanation of a tune.
type TuneExplanation struct {
	TuneID string `json:"tune_id"`
	Explanation
	CreatedAt time.Time `json:"created_at"`
}

// ExplainMatchRequest is the body of POST /admin/coverage/explain.
type ExplainMatchRequest struct {
	RunID string `json:"run_id"`
}

// MatchExplanation is the explanation of a recommendation or query.
type MatchExplanation struct {
	RunID string `json:"run_id"`
	Explanation
}

// QueryRequest is the body of POST /query.
type QueryRequest struct {
	Question string       `json:"question"`
	Mode     string       `json:"mode"`  // "answer", or "retrieve" for passages alone
	TopK     *int         `json:"top_k"` // passages, 1 to 50; default 8
	Filters  QueryFilters `json:"filters"`
	Rerank   bool         `json:"rerank"`
}

// QueryFilters narrow what is searched.
type QueryFilters struct {
	SourceTypes []SourceType `json:"source_types"`
	DocumentIDs []string     `json:"document_ids"`
}

// Explanation is an answer in words, of a question, a tune or a match.
type Explanation struct {
	Text       string     `json:"text"`
	Citations  []Citation `json:"citations"`
	Model      string     `json:"model"`    // "fallback" when no language model gave it
	Provider   string     `json:"provider"` // "fallback" when no language model gave it
	LatencyMS  float64    `json:"latency_ms"`
	Degraded   bool       `json:"degraded"`
	ReasonCode *Reason    `json:"reason_code"`
	Error      *string    `json:"error"` // the reason in words for a user
	// Truncated: the language model's reply ended before it was complete; the text ends in "…".
	Truncated bool `json:"truncated"`
	// Claims are the statements of a language model's answer that cite passages; empty without one.
	Claims []Claim `json:"claims"`
}

// Claim is a statement of an answer with how far the words of the passages it cites bear it out. It is
// a bound by words, not a proof: a passage may have the words and say something else.
type Claim struct {
	Text      string  `json:"text"`
	Marks     []int   `json:"marks"`
	Support   float64 `json:"support"`   // share of its words and figures that the passages have, 0 to 1
	Supported bool    `json:"supported"` // half of its words at least, and every figure
}

// Citation is the passage that a mark such as [1] stands for.
type Citation struct {
	Mark       int        `json:"mark"`
	ChunkID    string     `json:"chunk_id"`
	DocumentID string     `json:"document_id"`
	SourceType SourceType `json:"source_type"`
	Title      string     `json:"title"`
	URL        string     `json:"url"`
	Position   string     `json:"position"` // page, line or time, as people write it
}

// Match is a passage that was found.
type Match struct {
	Rank       int        `json:"rank"`
	ChunkID    string     `json:"chunk_id"`
	DocumentID string     `json:"document_id"`
	SourceType SourceType `json:"source_type"`
	Title      string     `json:"title"`
	URL        string     `json:"url"`
	Position   string     `json:"position"`
	Text       string     `json:"text"`
	Score      float64    `json:"score"` // what the passages are ordered by
	Fit        float64    `json:"fit"`   // how well it fits the question, 0 to 1
	Scores     Scores     `json:"scores"`
}

// Scores are what each part of the search thinks of a passage; null where it did not find it.
type Scores struct {
	Vector *float64 `json:"vector"` // cosine similarity of the passage or, where it has parts, of its best part and of their mean
	Text   *float64 `json:"text"`
	Rerank *float64 `json:"rerank"`
}

// Search says how the search went.
type Search struct {
	Model     string   `json:"model"` // of the vectors
	Lexical   bool     `json:"lexical"`
	Degraded  bool     `json:"degraded"`
	Lacking   []string `json:"lacking"` // what it did without, as in "embedder_timeout"
	BestFit   float64  `json:"best_fit"`
	TimingsMS Timings  `json:"timings_ms"`
}

// Timings are milliseconds.
type Timings struct {
	Embed  float64 `json:"embed"`
	Vector float64 `json:"vector"`
	Text   float64 `json:"text"`
	Rerank float64 `json:"rerank"`
	Total  float64 `json:"total"`
}

// Query is the answer to POST /query.
type Query struct {
	Question   string       `json:"question"`
	Mode       string       `json:"mode"`
	Answer     *Explanation `json:"answer"` // null in mode retrieve
	Degraded   bool         `json:"degraded"`
	ReasonCode *Reason      `json:"reason_code"`
	Covered    *bool        `json:"covered"` // whether a passage is about the question: else the results are only the nearest; null where the search had to do without vectors
	Results    []Match      `json:"results"`
	Search     Search       `json:"search"`
}
