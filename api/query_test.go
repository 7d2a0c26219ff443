package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/jobs/worker/ingestion/provider/providertest"
	"millrace/ops"
	"millrace/store/pgtest"
	"millrace/store/tenants"
	"millrace/store/vector"
	"millrace/store/vector/qdranttest"
)

// library is a fixture with a knowledge base and what that leans on.
type library struct {
	*fixture
	parts knowledge.Parts
	place knowledge.Placement
}

// newLibrary starts a server with a knowledge base; with changes what the base leans on.
func newLibrary(t *testing.T, with ...func(*knowledge.Parts, *ops.Metrics)) *library {
	t.Helper()
	l := &library{place: knowledge.PlacementOf(knowledge.HashEmbedder{}.Model())}
	l.fixture = newFixture(t, func(o *api.Options) {
		m := &o.Metrics.Knowledge
		l.parts = knowledge.Parts{
			Texts:     o.Store.Library,
			Trials:    o.Store.Recommend,
			Embedders: knowledge.Embedders{provider.NewEmbedder(knowledge.HashEmbedder{}, m, limits)},
			Index:     vector.NewGuarded(vector.NewEmbedded(o.Store.Pool(), o.Store.Workspaces(), 64<<20), m, vector.GuardOptions{}),
			LLM:       provider.NewLLM(nil, m, limits, nil),
		}
		for _, change := range with {
			change(&l.parts, o.Metrics)
		}
		var err error
		o.Knowledge, err = knowledge.NewBase(l.parts)
		require.NoError(t, err)
		o.River = http.NotFoundHandler() // so that its routes are there
	})
	return l
}

// limits are short, so that a test of what hangs is.
var limits = provider.GuardOptions{
	QueryTimeout: 300 * time.Millisecond, LLMTimeout: 300 * time.Millisecond, RerankTimeout: 300 * time.Millisecond,
}

// put adds a document with its vectors, and returns its id and its chunks'.
func (l *library) put(w tenants.Workspace, d pgtest.Document) (document uuid.UUID, chunks []uuid.UUID) {
	l.t.Helper()
	document, chunks = d.Insert(l.t, l.db.OwnerPool(l.t), w.ID)
	first := l.parts.Embedders[0]
	place, err := l.store.Library.Placement(l.t.Context(), w.ID, first.Model())
	require.NoError(l.t, err)
	vectors, err := first.Embed(l.t.Context(), knowledge.ForDocument, d.Texts)
	require.NoError(l.t, err)
	points := make([]knowledge.Point, len(chunks))
	for i, id := range chunks {
		points[i] = knowledge.Point{Chunk: id, Document: document, Revision: 1, SourceType: "text", Vector: vectors[i]}
		if d.SourceType != "" {
			points[i].SourceType = knowledge.SourceType(d.SourceType)
		}
	}
	require.NoError(l.t, l.parts.Index.Ensure(l.t.Context(), place.Collection))
	require.NoError(l.t, l.parts.Index.Upsert(l.t.Context(), knowledge.Scope{Workspace: w.ID, Collection: place.Collection}, points))
	return document, chunks
}

var crossovers = pgtest.Document{Title: "Notes", Texts: []string{
	"A moving average crossover buys when the fast average rises above the slow one. It earns in long trends.",
	"In a market without trend the crossover fails: it is whipsawed, buying every top and selling every bottom.",
	"Commission matters. A strategy that trades daily at 0.2 % a side needs a large edge before it earns anything.",
}}

type queryAnswer struct {
	Degraded   bool
	Covered    *bool
	ReasonCode *string `json:"reason_code"`
	Answer     *struct {
		Text, Model, Provider string
		Degraded              bool
		ReasonCode            *string `json:"reason_code"`
		Error                 *string
		LatencyMS             float64 `json:"latency_ms"`
		Citations             []struct {
			Mark    int
			ChunkID uuid.UUID `json:"chunk_id"`
		}
	}
	Results []struct {
		Rank    int
		ChunkID uuid.UUID `json:"chunk_id"`
		Text    string
		Fit     float64
		Scores  struct{ Vector, Text, Rerank *float64 }
	}
	Search struct {
		Degraded bool
		Lacking  []string
		BestFit  float64 `json:"best_fit"`
	}
}

func (l *library) ask(body string) queryAnswer {
	l.t.Helper()
	a := l.do(http.MethodPost, "/query", body)
	require.Equal(l.t, http.StatusOK, a.status, string(a.body))
	return into[queryAnswer](l.t, a)
}

func TestAQuestionIsAnsweredFromTheDocuments(t *testing.T) {
	l := newLibrary(t)
	document, chunks := l.put(l.alpha, crossovers)
	_, noise := l.put(l.alpha, pgtest.Document{SourceType: "pdf", Title: "Coffee", Texts: []string{"The coffee harvest in Brazil was late."}})

	found := l.ask(`{"question":"When does a moving average crossover fail?","mode":"retrieve","top_k":2}`)
	require.Nil(t, found.Answer)
	require.False(t, found.Degraded)
	require.Empty(t, found.Search.Lacking)
	require.True(t, *found.Covered)
	require.Len(t, found.Results, 2)
	require.ElementsMatch(t, chunks[:2], []uuid.UUID{found.Results[0].ChunkID, found.Results[1].ChunkID})
	for _, r := range found.Results {
		require.NotNil(t, r.Scores.Vector)
		require.NotNil(t, r.Scores.Text)
		require.Positive(t, r.Fit)
		require.NotEqual(t, noise[0], r.ChunkID)
	}

	answered := l.ask(`{"question":"When does a moving average crossover fail?"}`)
	require.True(t, answered.Degraded)
	require.Equal(t, "llm_unconfigured", *answered.ReasonCode)
	require.Equal(t, "fallback", answered.Answer.Model)
	require.Equal(t, "fallback", answered.Answer.Provider)
	require.Contains(t, answered.Answer.Text, "the crossover fails: it is whipsawed")
	require.NotEmpty(t, answered.Answer.Error)
	require.NotEmpty(t, answered.Answer.Citations)
	require.Equal(t, chunks[1], answered.Answer.Citations[len(answered.Answer.Citations)-1].ChunkID)

	only := l.ask(fmt.Sprintf(`{"question":"crossover coffee","mode":"retrieve","filters":{"source_types":["text"],"document_ids":[%q]}}`, document))
	require.Len(t, only.Results, 2)
	only = l.ask(`{"question":"crossover coffee","mode":"retrieve","filters":{"source_types":["pdf"]}}`)
	require.Equal(t, noise[0], only.Results[0].ChunkID)
	require.Len(t, only.Results, 1)

	strange := l.ask(`{"question":"Which long river flows through the market of Cologne?"}`)
	require.NotEmpty(t, strange.Results)
	require.False(t, *strange.Covered, "fit %v", strange.Search.BestFit)
	require.Contains(t, strange.Answer.Text, "Nothing in the knowledge base is clearly about this question.")

	nothing := l.ask(`{"question":"Xylophone zeppelin?"}`)
	require.False(t, *nothing.Covered)
	require.Empty(t, nothing.Results)
	require.Contains(t, nothing.Answer.Text, "Nothing")
	require.Empty(t, nothing.Answer.Citations)
	require.Empty(t, l.ask(`{"question":"the of and it?"}`).Results, "no word of it carries meaning")
}

// Everything is in both workspaces' collection, and filters name the other's document.
func TestAWorkspaceIsAnsweredFromItsOwnDocuments(t *testing.T) {
	for name, change := range map[string]func(*knowledge.Parts, *ops.Metrics){
		"embedded": func(*knowledge.Parts, *ops.Metrics) {}, "qdrant": inQdrant(qdranttest.New(t)),
	} {
		t.Run(name, func(t *testing.T) {
			l := newLibrary(t, change)
			mine, _ := l.put(l.alpha, crossovers)
			theirs, _ := l.put(l.beta, pgtest.Document{Title: "Secret crossover", Texts: []string{"The crossover that never fails is secret: buy at noon."}})
			require.NotEmpty(t, l.ask(`{"question":"secret crossover fails","mode":"retrieve"}`).Results)
			for _, body := range []string{
				`{"question":"The crossover that never fails is secret","top_k":50}`,
				fmt.Sprintf(`{"question":"The crossover that never fails is secret","filters":{"document_ids":[%q,%q]}}`, theirs, mine),
			} {
				require.NotContains(t, string(l.do(http.MethodPost, "/query", body).body), "noon")
			}
			require.Empty(t, l.ask(fmt.Sprintf(`{"question":"secret crossover","filters":{"document_ids":[%q]}}`, theirs)).Results)
			a := l.do(http.MethodPost, "/query", `{"question":"secret crossover","mode":"retrieve"}`, "Authorization", "Bearer "+l.other)
			require.Len(t, into[queryAnswer](t, a).Results, 1)
		})
	}
}

func TestAnEmptyKnowledgeBaseSaysSo(t *testing.T) {
	l := newLibrary(t)
	require.Equal(t, "The knowledge base is empty; ingest a document first.", l.ask(`{"question":"crossover"}`).Answer.Text)
	l.put(l.alpha, crossovers)
	require.NotContains(t, l.ask(`{"question":"xylophone"}`).Answer.Text, "is empty")
}

// A vector without a row is of a revision that is not there yet, or not any more.
func TestAVectorWithoutARowIsNotAResult(t *testing.T) {
	l := newLibrary(t)
	_, chunks := l.put(l.alpha, crossovers)
	_, err := l.db.OwnerPool(t).Exec(t.Context(), `delete from chunks where id = $1`, chunks[1])
	require.NoError(t, err)
	found := l.ask(`{"question":"crossover fails whipsawed","mode":"retrieve","top_k":3}`)
	require.Len(t, found.Results, 1)
	require.Equal(t, chunks[0], found.Results[0].ChunkID)
}

func TestALanguageModelAnswersWithCitations(t *testing.T) {
	server := providertest.New(t)
	l := newLibrary(t, withLLM(server))
	_, chunks := l.put(l.alpha, crossovers)
	server.Reply(func(messages []knowledge.Message) string {
		require.Contains(t, messages[len(messages)-1].Text, "whipsawed")
		return "It fails without a trend [2, 9], and [77]. It earns in trends [1][2]."
	})
	got := l.ask(`{"question":"crossover fail trend","top_k":2}`)
	require.False(t, got.Degraded)
	require.Nil(t, got.ReasonCode)
	require.Nil(t, got.Answer.Error)
	require.Equal(t, "openai", got.Answer.Provider)
	require.Equal(t, "test", got.Answer.Model)
	require.Equal(t, "It fails without a trend [1], and . It earns in trends [2][1].", got.Answer.Text)
	require.Len(t, got.Answer.Citations, 2)
	require.ElementsMatch(t, chunks[:2], []uuid.UUID{got.Answer.Citations[0].ChunkID, got.Answer.Citations[1].ChunkID})
	require.Equal(t, got.Results[1].ChunkID, got.Answer.Citations[0].ChunkID)

	server.Reply(func([]knowledge.Message) string { return "NOT_FOUND" })
	got = l.ask(`{"question":"crossover fail trend"}`)
	require.False(t, got.Degraded)
	require.Contains(t, got.Answer.Text, "Nothing in the knowledge base")

	server.Reply(func([]knowledge.Message) string { return "Trust me, I know." })
	got = l.ask(`{"question":"crossover fail trend"}`)
	require.Equal(t, "llm_error", *got.ReasonCode, "an answer that cites nothing rests on nothing")
	require.NotContains(t, got.Answer.Text, "Trust me")

	calls := server.Calls.Load()
	require.False(t, l.ask(`{"question":"xylophone"}`).Degraded)
	require.Equal(t, calls, server.Calls.Load(), "without passages nobody is asked")
}

func withLLM(server *providertest.Server) func(*knowledge.Parts, *ops.Metrics) {
	return func(p *knowledge.Parts, m *ops.Metrics) {
		llm, err := provider.NewOpenAILLM(provider.Endpoint{URL: server.URL + "/v1", APIKey: providertest.Key, Model: "test"})
		if err != nil {
			panic(err)
		}
		p.LLM = provider.NewLLM(llm, &m.Knowledge, limits, nil)
	}
}

func TestEachFailureOfTheLanguageModelHasItsReason(t *testing.T) {
	for failure, reason := range map[providertest.Failure]string{
		providertest.Hanging: "llm_timeout", providertest.RateLimited: "llm_rate_limit", providertest.Broken: "llm_error",
		providertest.Garbage: "llm_error", providertest.Cut: "llm_error", providertest.Denied: "llm_error",
	} {
		t.Run(string(failure), func(t *testing.T) {
			server := providertest.New(t)
			l := newLibrary(t, withLLM(server))
			_, chunks := l.put(l.alpha, crossovers)
			server.Fail(failure)
			// The sixth meets the open circuit, and has the same reason.
			for range 6 {
				got := l.ask(`{"question":"When is a crossover whipsawed?"}`)
				require.True(t, got.Degraded)
				require.Equal(t, reason, *got.ReasonCode)
				require.Equal(t, "fallback", got.Answer.Model)
				require.Contains(t, got.Answer.Text, "whipsawed")
				require.Equal(t, chunks[1], got.Answer.Citations[0].ChunkID)
				require.NotContains(t, *got.Answer.Error, "127.0.0.1")
				require.NotContains(t, *got.Answer.Error, providertest.Key)
				require.Less(t, got.Answer.LatencyMS, 2000.0)
			}
			m := l.metrics.Knowledge
			require.EqualValues(t, 6, testutil.ToFloat64(m.LLMDegraded.WithLabelValues(reason)))
			require.EqualValues(t, 6, testutil.ToFloat64(m.LLMRequests.WithLabelValues("openai", "error", reason)))
			require.Equal(t, reason == "llm_timeout", testutil.ToFloat64(m.LLMTimeouts) == 6)
			require.Equal(t, reason != "llm_timeout", testutil.ToFloat64(m.LLMErrors) == 6)
		})
	}
}

func TestARerankerReordersOrIsDoneWithout(t *testing.T) {
	server := providertest.New(t)
	l := newLibrary(t, func(p *knowledge.Parts, _ *ops.Metrics) {
		r, err := provider.NewReranker(provider.Endpoint{URL: server.URL + "/v1", APIKey: providertest.Key})
		require.NoError(t, err)
		p.Reranker = provider.NewGuardedReranker(r, limits)
	})
	_, chunks := l.put(l.alpha, crossovers)
	server.Score(func(_, text string) float64 { return float64(strings.Count(text, "Commission")) })
	const body = `{"question":"crossover strategy earns","mode":"retrieve","rerank":true}`
	got := l.ask(body)
	require.Equal(t, chunks[2], got.Results[0].ChunkID)
	require.EqualValues(t, 1, *got.Results[0].Scores.Rerank)
	require.False(t, got.Degraded)
	plain := l.ask(`{"question":"crossover strategy earns","mode":"retrieve"}`)
	require.Nil(t, plain.Results[0].Scores.Rerank)
	for failure, kind := range map[providertest.Failure]string{
		providertest.Hanging: "reranker_timeout", providertest.Broken: "reranker_error",
	} {
		server.Fail(failure)
		got = l.ask(body)
		require.Equal(t, []string{kind}, got.Search.Lacking)
		require.True(t, got.Degraded)
		require.Equal(t, plain.Results[0].ChunkID, got.Results[0].ChunkID, "the fused order")
	}
	require.Equal(t, []string{"reranker_unconfigured"}, newLibrary(t).ask(body).Search.Lacking)
}

func TestBadQuestionsAreNamed(t *testing.T) {
	l := newLibrary(t)
	long, err := json.Marshal(strings.Repeat("w ", knowledge.MaxQuestion))
	require.NoError(t, err)
	for _, test := range []struct {
		body, field string
		status      int
	}{
		{`{}`, "question", 422},
		{`{"question":""}`, "question", 422},
		{`{"question":"  ?! …"}`, "question", 422},
		{`{"question":` + string(long) + `}`, "question", 422},
		{`{"question":"a","top_k":0}`, "top_k", 422},
		{`{"question":"a","top_k":51}`, "top_k", 422},
		{`{"question":"a","top_k":2.5}`, "top_k", 400},
		{`{"question":"a","mode":"guess"}`, "mode", 422},
		{`{"question":"a","filters":{"author":"x"}}`, "filters.author", 400},
		{`{"question":"a","filters":{"source_types":["radio"]}}`, "filters.source_types", 422},
		{`{"question":"a","filters":{"document_ids":["x"]}}`, "filters.document_ids", 422},
		{"{\"question\":\"\xff\"}", "question", 400},
		{`{"question":"a`, "question", 400},
	} {
		a := l.do(http.MethodPost, "/query", test.body)
		require.Equal(t, test.status, a.status, "%s: %s", test.body, a.body)
		problem := into[struct{ Errors []struct{ Field string } }](t, a)
		require.NotEmpty(t, problem.Errors, string(a.body))
		require.True(t, strings.HasPrefix(problem.Errors[0].Field, test.field), string(a.body))
	}
	viewer := l.newKey(l.alpha, tenants.RoleViewer)
	require.Equal(t, http.StatusBadRequest, l.do(http.MethodPost, "/query", `{"question":"a \u0000 word"}`, "Authorization", "Bearer "+viewer).status)
	require.Equal(t, http.StatusOK, l.do(http.MethodPost, "/query", `{"question":"a word"}`, "Authorization", "Bearer "+viewer).status)
	require.Equal(t, http.StatusUnauthorized, l.do(http.MethodPost, "/query", `{"question":"a"}`, "Authorization", "").status)
}
