package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/jobs/invalid"
	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/store/recommend"
)

// The modes of a query.
const (
	modeRetrieve = "retrieve"
	modeAnswer   = "answer"
)

// mostFilterDocuments bounds a filter.
const mostFilterDocuments = 100

// queryRequest is the body of POST /query.
type queryRequest struct {
	Question string       `json:"question"`
	Mode     string       `json:"mode"`  // "answer", or "retrieve" for passages alone
	TopK     *int         `json:"top_k"` // passages, 1 to 50; default 8
	Filters  queryFilters `json:"filters"`
	Rerank   bool         `json:"rerank"`
}

// queryFilters narrow what is searched.
type queryFilters struct {
	SourceTypes []knowledge.SourceType `json:"source_types"`
	DocumentIDs []string               `json:"document_ids"`
}

// explanationView is an answer in words, of a question, a tune or a match.
type explanationView struct {
	Text       string            `json:"text"`
	Citations  []citationView    `json:"citations"`
	Model      string            `json:"model"`    // "fallback" when no language model gave it
	Provider   string            `json:"provider"` // "fallback" when no language model gave it
	LatencyMS  float64           `json:"latency_ms"`
	Degraded   bool              `json:"degraded"`
	ReasonCode *knowledge.Reason `json:"reason_code"`
	Error      *string           `json:"error"` // what a user may be told of the reason
}

// citationView is the passage that a mark such as [1] stands for.
type citationView struct {
	Mark       int                  `json:"mark"`
	ChunkID    string               `json:"chunk_id"`
	DocumentID string               `json:"document_id"`
	SourceType knowledge.SourceType `json:"source_type"`
	Title      string               `json:"title"`
	URL        string               `json:"url"`
	Position   string               `json:"position"` // page, line or time, as people write it
}

// matchView is a passage that was found.
type matchView struct {
	Rank       int                  `json:"rank"`
	ChunkID    string               `json:"chunk_id"`
	DocumentID string               `json:"document_id"`
	SourceType knowledge.SourceType `json:"source_type"`
	Title      string               `json:"title"`
	URL        string               `json:"url"`
	Position   string               `json:"position"`
	Text       string               `json:"text"`
	Score      float64              `json:"score"` // what the passages are ordered by
	Fit        float64              `json:"fit"`   // how well it fits the question, 0 to 1
	Scores     scoresView           `json:"scores"`
}

// scoresView are what each part of the search thinks of a passage; null where it did not find it.
type scoresView struct {
	Vector *float64 `json:"vector"` // cosine similarity
	Text   *float64 `json:"text"`
	Rerank *float64 `json:"rerank"`
}

// searchView says how the search went.
type searchView struct {
	Model     string      `json:"model"` // of the vectors
	Lexical   bool        `json:"lexical"`
	Degraded  bool        `json:"degraded"`
	Lacking   []string    `json:"lacking"` // what it did without, as in "embedder_timeout"
	BestFit   float64     `json:"best_fit"`
	TimingsMS timingsView `json:"timings_ms"`
}

// timingsView are milliseconds.
type timingsView struct {
	Embed  float64 `json:"embed"`
	Vector float64 `json:"vector"`
	Text   float64 `json:"text"`
	Rerank float64 `json:"rerank"`
	Total  float64 `json:"total"`
}

// queryView is the answer to POST /query.
type queryView struct {
	Question   string            `json:"question"`
	Mode       string            `json:"mode"`
	Answer     *explanationView  `json:"answer"` // null in mode retrieve
	Degraded   bool              `json:"degraded"`
	ReasonCode *knowledge.Reason `json:"reason_code"`
	Results    []matchView       `json:"results"`
	Search     searchView        `json:"search"`
}

// query handles POST /query.
func (s *Server) query(c echo.Context) error {
	if s.opts.Knowledge == nil {
		return noKnowledge()
	}
	var req queryRequest
	if err := bind(c, &req); err != nil {
		return err
	}
	question, faults := req.check()
	if err := fieldProblems(faults); err != nil {
		return err
	}
	ctx := c.Request().Context()
	found, err := s.opts.Knowledge.Search(ctx, workspaceOf(c), question)
	if err != nil {
		return err
	}
	s.measureSearch(ctx, found, found.Timings.Total)
	ops.Tag(ctx, "kb_status", map[bool]string{false: "ok", true: "degraded"}[found.Degraded()])
	if err := s.noteQuery(ctx, workspaceOf(c), req, question, found); err != nil {
		return err
	}
	view := queryView{
		Question: req.Question, Mode: req.Mode, Degraded: found.Degraded(), Search: viewSearch(found), Results: viewMatches(found.Matches),
	}
	if req.Mode == modeAnswer {
		answer, err := s.opts.Knowledge.Answer(ctx, req.Question, found)
		if err != nil {
			return err
		}
		explained := s.explained(answer)
		view.Answer, view.ReasonCode, view.Degraded = &explained, explained.ReasonCode, view.Degraded || explained.Degraded
	}
	return ok(c, view)
}

func noKnowledge() error {
	return problem(http.StatusServiceUnavailable, "This server has no knowledge base.")
}

// noteQuery keeps the question, and opens or closes a gap in coverage. A search that had to do
// without its vectors says nothing of what the workspace knows.
func (s *Server) noteQuery(ctx context.Context, workspace uuid.UUID, req queryRequest, q knowledge.Question, found *knowledge.Found) error {
	for _, what := range found.Lacking {
		if !strings.HasPrefix(what, "reranker_") {
			return nil
		}
	}
	run := recommend.NewMatchRun{
		Text: q.Text, Intent: knowledge.QueryIntent(q), Request: req, Status: knowledge.RecommendOK, Matches: len(found.Matches), Best: found.Best,
	}
	if len(found.Matches) == 0 {
		run.Status = knowledge.RecommendNone
	} else {
		run.CandidateType, run.CandidateID = recommend.CandidateDocument, found.Matches[0].DocumentID
	}
	_, err := s.store.Recommend.RecordMatch(ctx, workspace, run)
	return err
}

// check fills in the defaults and holds the request against its bounds.
func (r *queryRequest) check() (knowledge.Question, []invalid.FieldError) {
	var faults []invalid.FieldError
	fault := func(field, message string, limit any) {
		faults = append(faults, invalid.FieldError{Field: field, Message: message, Limit: limit})
	}
	if message := checkQuestion(&r.Question); message != "" {
		fault("question", message, knowledge.MaxQuestion)
	}
	q := knowledge.Question{Text: r.Question, TopK: knowledge.DefaultTopK, Rerank: r.Rerank}
	if r.Mode == "" {
		r.Mode = modeAnswer
	}
	if r.Mode != modeAnswer && r.Mode != modeRetrieve {
		fault("mode", fmt.Sprintf("%q is no mode", r.Mode), []string{modeRetrieve, modeAnswer})
	}
	if r.TopK != nil {
		q.TopK = *r.TopK
	}
	if q.TopK < 1 || q.TopK > knowledge.MaxTopK {
		fault("top_k", fmt.Sprintf("must be from 1 to %d", knowledge.MaxTopK), []int{1, knowledge.MaxTopK})
	}
	for i, source := range r.Filters.SourceTypes {
		if !slices.Contains(knowledge.SourceTypes(), source) {
			fault(fmt.Sprintf("filters.source_types.%d", i), fmt.Sprintf("%q is no source type", source), knowledge.SourceTypes())
			break
		}
	}
	if len(r.Filters.DocumentIDs) > mostFilterDocuments {
		fault("filters.document_ids", fmt.Sprintf("%d documents are too many", len(r.Filters.DocumentIDs)), mostFilterDocuments)
		return q, faults
	}
	for i, text := range r.Filters.DocumentIDs {
		id, err := uuid.Parse(text)
		if err != nil {
			fault(fmt.Sprintf("filters.document_ids.%d", i), "is no id", nil)
			break
		}
		q.Filter.Documents = append(q.Filter.Documents, id)
	}
	q.Filter.SourceTypes = r.Filters.SourceTypes
	return q, faults
}

// cleanText is a text with spaces for control characters: they mean nothing, and Postgres takes no
// NUL.
func cleanText(text string) string {
	return strings.TrimSpace(strings.Map(func(char rune) rune {
		if unicode.IsControl(char) && char != '\n' {
			return ' '
		}
		return char
	}, text))
}

// checkQuestion says what is wrong with a question, which it cleans; "" when nothing is.
func checkQuestion(text *string) string {
	*text = cleanText(*text)
	switch n := utf8.RuneCountInString(*text); {
	case !strings.ContainsFunc(*text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		return "is empty: ask something"
	case n > knowledge.MaxQuestion:
		return fmt.Sprintf("has %d characters of %d", n, knowledge.MaxQuestion)
	}
	return ""
}

// measureSearch counts a search and what it did without.
func (s *Server) measureSearch(ctx context.Context, found *knowledge.Found, total time.Duration) {
	ops.Tag(ctx, "collection", knowledge.PlacementOf(found.Model).Collection.Name)
	ops.Tag(ctx, "embed_model", found.Model.String())
	ops.Measure(ctx, "kb.total_ms", total)
	ops.Measure(ctx, "kb.embed_ms", found.Timings.Embed)
	ops.Measure(ctx, "kb.qdrant_ms", found.Timings.Vector)
	ops.Measure(ctx, "kb.rerank_ms", found.Timings.Rerank)
	m := &s.opts.Metrics.Knowledge
	m.Total.Observe(total.Seconds())
	m.Embed.Observe(found.Timings.Embed.Seconds())
	m.Qdrant.Observe(found.Timings.Vector.Seconds())
	if found.Timings.Rerank > 0 {
		m.Rerank.Observe(found.Timings.Rerank.Seconds())
	}
	if slices.ContainsFunc(found.Lacking, func(what string) bool { return strings.HasPrefix(what, "embedder_") }) {
		m.EmbedErrors.Inc()
	}
}

// explained renders an answer and counts it when it is a lesser one.
func (s *Server) explained(e knowledge.Explanation) explanationView {
	view := explanationView{
		Text: e.Text, Citations: make([]citationView, len(e.Citations)), Model: e.Model, Provider: e.Provider,
		LatencyMS: milliseconds(e.Latency), Degraded: e.Degraded(),
	}
	for i, c := range e.Citations {
		p := c.Passage
		view.Citations[i] = citationView{
			c.Mark, p.ID.String(), p.DocumentID.String(), p.SourceType, p.Title, p.URL, p.Position.String(),
		}
	}
	if e.Degraded() {
		sentence := e.Reason.Sentence()
		view.ReasonCode, view.Error = &e.Reason, &sentence
		s.opts.Metrics.Knowledge.LLMDegraded.WithLabelValues(string(e.Reason)).Inc()
	}
	return view
}

func viewMatches(matches []knowledge.Match) []matchView {
	views := make([]matchView, len(matches))
	for i, m := range matches {
		views[i] = matchView{
			Rank: i + 1, ChunkID: m.ID.String(), DocumentID: m.DocumentID.String(), SourceType: m.SourceType,
			Title: m.Title, URL: m.URL, Position: m.Position.String(), Text: m.Text, Score: m.Score, Fit: m.Fit,
			Scores: scoresView{m.VectorScore, m.TextScore, m.RerankScore},
		}
	}
	return views
}

func viewSearch(f *knowledge.Found) searchView {
	t := f.Timings
	return searchView{
		Model: f.Model.String(), Lexical: f.Model.Lexical(), Degraded: f.Degraded(),
		Lacking: append([]string{}, f.Lacking...), BestFit: f.Best,
		TimingsMS: timingsView{milliseconds(t.Embed), milliseconds(t.Vector), milliseconds(t.Text), milliseconds(t.Rerank), milliseconds(t.Total)},
	}
}

// milliseconds of a duration, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
