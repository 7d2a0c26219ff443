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

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/recommend"
)

// The modes of a query.
const (
	modeRetrieve = "retrieve"
	modeAnswer   = "answer"
)

// mostFilterDocuments bounds a filter.
const mostFilterDocuments = 100

// emptyBase is the answer to every question while there is no document.
const emptyBase = "The knowledge base is empty; ingest a document first."

// query handles POST /query.
func (s *Server) query(c echo.Context) error {
	if s.opts.Knowledge == nil {
		return noKnowledge()
	}
	var req types.QueryRequest
	if err := bind(c, &req); err != nil {
		return err
	}
	question, faults := checkQuery(&req)
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
	view := types.Query{
		Question: req.Question, Mode: req.Mode, Degraded: found.Degraded(), Search: viewSearch(found), Results: viewMatches(found.Matches),
	}
	if found.Judged() {
		covered := found.Covered()
		view.Covered = &covered
	}
	if req.Mode == modeAnswer {
		answer, err := s.opts.Knowledge.Answer(ctx, req.Question, found)
		if err != nil {
			return err
		}
		explained := s.explained(answer)
		if len(found.Matches) == 0 {
			held, err := s.store.Library.Documents(ctx, workspaceOf(c), library.DocumentFilter{}, store.Page{}, 1)
			if err != nil {
				return err
			}
			if len(held) == 0 {
				explained.Text = emptyBase
			}
		}
		view.Answer, view.ReasonCode, view.Degraded = &explained, explained.ReasonCode, view.Degraded || explained.Degraded
	}
	return ok(c, view)
}

func noKnowledge() error {
	return problem(http.StatusServiceUnavailable, "This server has no knowledge base.")
}

// noteQuery keeps the question, and opens or closes a gap in coverage. A search that had to do
// without its vectors says nothing of what the workspace knows.
func (s *Server) noteQuery(ctx context.Context, workspace uuid.UUID, req types.QueryRequest, q knowledge.Question, found *knowledge.Found) error {
	if !found.Judged() {
		return nil
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

// checkQuery fills in the defaults and holds the request against its bounds.
func checkQuery(r *types.QueryRequest) (knowledge.Question, []invalid.FieldError) {
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
		fault("mode", fmt.Sprintf("%q is not a mode", r.Mode), []string{modeRetrieve, modeAnswer})
	}
	if r.TopK != nil {
		q.TopK = *r.TopK
	}
	if q.TopK < 1 || q.TopK > knowledge.MaxTopK {
		fault("top_k", fmt.Sprintf("must be from 1 to %d", knowledge.MaxTopK), []int{1, knowledge.MaxTopK})
	}
	for i, source := range r.Filters.SourceTypes {
		known := knowledge.SourceType(source)
		if !slices.Contains(knowledge.SourceTypes(), known) {
			fault(fmt.Sprintf("filters.source_types.%d", i), fmt.Sprintf("%q is not a source type", source), knowledge.SourceTypes())
			break
		}
		q.Filter.SourceTypes = append(q.Filter.SourceTypes, known)
	}
	if len(r.Filters.DocumentIDs) > mostFilterDocuments {
		fault("filters.document_ids", fmt.Sprintf("%d documents are too many", len(r.Filters.DocumentIDs)), mostFilterDocuments)
		return q, faults
	}
	for i, text := range r.Filters.DocumentIDs {
		id, err := uuid.Parse(text)
		if err != nil {
			fault(fmt.Sprintf("filters.document_ids.%d", i), "is not an id", nil)
			break
		}
		q.Filter.Documents = append(q.Filter.Documents, id)
	}
	return q, faults
}

// cleanText is a text, composed as documents are, with spaces for control characters: they mean nothing, and Postgres takes no
// NUL.
func cleanText(text string) string {
	return strings.TrimSpace(knowledge.Composed(strings.Map(func(char rune) rune {
		if unicode.IsControl(char) && char != '\n' {
			return ' '
		}
		return char
	}, text)))
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
func (s *Server) explained(e knowledge.Explanation) types.Explanation {
	view := types.Explanation{
		Text: e.Text, Citations: make([]types.Citation, len(e.Citations)), Model: e.Model, Provider: e.Provider,
		LatencyMS: milliseconds(e.Latency), Degraded: e.Degraded(), Truncated: e.Truncated, Claims: make([]types.Claim, len(e.Claims)),
	}
	for i, c := range e.Claims {
		view.Claims[i] = types.Claim{Text: c.Text, Marks: c.Marks, Support: c.Support, Supported: c.Supported()}
	}
	for i, c := range e.Citations {
		p := c.Passage
		view.Citations[i] = types.Citation{
			Mark: c.Mark, ChunkID: p.ID.String(), DocumentID: p.DocumentID.String(), SourceType: types.SourceType(p.SourceType),
			Title: p.Title, URL: p.URL, Position: p.Position.String(),
		}
	}
	if e.Degraded() {
		sentence := e.Reason.Sentence()
		code := types.Reason(e.Reason)
		view.ReasonCode, view.Error = &code, &sentence
		s.opts.Metrics.Knowledge.LLMDegraded.WithLabelValues(string(e.Reason)).Inc()
	}
	return view
}

func viewMatches(matches []knowledge.Match) []types.Match {
	views := make([]types.Match, len(matches))
	for i, m := range matches {
		views[i] = types.Match{
			Rank: i + 1, ChunkID: m.ID.String(), DocumentID: m.DocumentID.String(), SourceType: types.SourceType(m.SourceType),
			Title: m.Title, URL: m.URL, Position: m.Position.String(), Text: m.Text, Score: m.Score, Fit: m.Fit,
			Scores: types.Scores{Vector: m.VectorScore, Text: m.TextScore, Rerank: m.RerankScore},
		}
	}
	return views
}

func viewSearch(f *knowledge.Found) types.Search {
	t := f.Timings
	return types.Search{
		Model: f.Model.String(), Lexical: f.Model.Lexical(), Degraded: f.Degraded(),
		Lacking: append([]string{}, f.Lacking...), BestFit: f.Best,
		TimingsMS: types.Timings{
			Embed: milliseconds(t.Embed), Vector: milliseconds(t.Vector), Text: milliseconds(t.Text), Rerank: milliseconds(t.Rerank), Total: milliseconds(t.Total),
		},
	}
}

// milliseconds of a duration, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
