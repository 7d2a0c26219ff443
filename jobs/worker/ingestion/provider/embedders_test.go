package provider_test

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/jobs/worker/ingestion/provider/providertest"
	"millrace/ops"
)

// embedders are what the suite runs on: the real ones where they are named.
func embedders(t *testing.T) map[string]func(t *testing.T) knowledge.Embedder {
	server := providertest.New(t)
	real := func(urlName, modelName string, open func(provider.EmbedderOptions) (knowledge.Embedder, error)) func(t *testing.T) knowledge.Embedder {
		return func(t *testing.T) knowledge.Embedder {
			if os.Getenv(urlName) == "" {
				t.Skipf("%s is not set: the suite has run on a local server of the same protocol", urlName)
			}
			return must(open(provider.EmbedderOptions{Endpoint: provider.Endpoint{
				URL: os.Getenv(urlName), Model: os.Getenv(modelName), APIKey: os.Getenv("OPENAI_TEST_API_KEY"),
			}}))
		}
	}
	return map[string]func(t *testing.T) knowledge.Embedder{
		"hash":        func(*testing.T) knowledge.Embedder { return knowledge.HashEmbedder{} },
		"openai":      func(*testing.T) knowledge.Embedder { return openAI(server) },
		"ollama":      func(*testing.T) knowledge.Embedder { return ollama(server) },
		"real openai": real("OPENAI_TEST_URL", "OPENAI_TEST_EMBEDDING_MODEL", provider.NewOpenAIEmbedder),
		"real ollama": real("OLLAMA_TEST_URL", "OLLAMA_TEST_EMBEDDING_MODEL", provider.NewOllamaEmbedder),
		"guarded hash": func(*testing.T) knowledge.Embedder {
			return guardedEmbedder(knowledge.HashEmbedder{}, ops.NewMetrics())
		},
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func openAI(s *providertest.Server) knowledge.Embedder {
	return must(provider.NewOpenAIEmbedder(provider.EmbedderOptions{
		Endpoint: provider.Endpoint{URL: s.URL + "/v1/", APIKey: providertest.Key, Model: "test"}, Dimensions: 384,
	}))
}

func ollama(s *providertest.Server) knowledge.Embedder {
	return must(provider.NewOllamaEmbedder(provider.EmbedderOptions{
		Endpoint: provider.Endpoint{URL: s.URL, Model: "all-minilm:latest"},
	}))
}

func guardedEmbedder(e knowledge.Embedder, m *ops.Metrics) knowledge.Embedder {
	return provider.NewEmbedder(e, &m.Knowledge, provider.GuardOptions{
		EmbedTimeout: 200 * time.Millisecond, QueryTimeout: 100 * time.Millisecond, Cooldown: time.Hour,
	})
}

func TestEmbeddersAgreeOnWhatTheyOwe(t *testing.T) {
	for name, open := range embedders(t) {
		t.Run(name, func(t *testing.T) {
			e := open(t)
			texts := []string{"", " ", "momentum strategies buy what rose", "buy momentum: what rose keeps rising", "coffee harvest in Brazil", "\xff\xfe"}
			for range 300 {
				texts = append(texts, strings.Repeat("filler words ", 20))
			}
			vectors, err := e.Embed(t.Context(), knowledge.ForDocument, texts)
			require.NoError(t, err)
			require.Len(t, vectors, len(texts))
			for i, v := range vectors {
				require.Len(t, v, e.Model().Dimensions, "vector %d", i)
				require.InDelta(t, 1, length(v), 1e-4, "vector %d", i)
			}
			require.Greater(t, dot(vectors[2], vectors[3]), dot(vectors[2], vectors[4]), "the nearer text is nearer")
			again, err := e.Embed(t.Context(), knowledge.ForDocument, texts[2:4])
			require.NoError(t, err)
			require.InDelta(t, 1, dot(again[0], vectors[2]), 1e-3, "the order is kept")
			require.InDelta(t, 1, dot(again[1], vectors[3]), 1e-3)
			none, err := e.Embed(t.Context(), knowledge.ForQuery, nil)
			require.NoError(t, err)
			require.Empty(t, none)
			require.NotEmpty(t, e.Model().Provider)
		})
	}
}

func dot(a, b []float32) float64 {
	var sum float64
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func length(v []float32) float64 { return math.Sqrt(dot(v, v)) }

// failures says what each way of failing is to be called.
var failures = map[providertest.Failure]knowledge.FaultKind{
	providertest.RateLimited: knowledge.FaultRateLimit,
	providertest.Broken:      knowledge.FaultProvider,
	providertest.Denied:      knowledge.FaultRefused,
	providertest.Garbage:     knowledge.FaultProvider,
	providertest.Senseless:   knowledge.FaultProvider,
	providertest.Huge:        knowledge.FaultProvider,
	providertest.Hanging:     knowledge.FaultTimeout,
	providertest.Cut:         knowledge.FaultUnreachable,
	providertest.Redirecting: knowledge.FaultRefused,
}

func requireFault(t *testing.T, err error, kind knowledge.FaultKind) knowledge.Fault {
	t.Helper()
	var fault *knowledge.Fault
	require.ErrorAs(t, err, &fault)
	require.Equal(t, kind, fault.Kind, "%v", err)
	require.NotContains(t, err.Error(), providertest.Key, "a key in a log")
	require.NotContains(t, err.Error(), "127.0.0.1", "an address in a log")
	return *fault
}

func TestEmbedderFailuresHaveTheirNames(t *testing.T) {
	server := providertest.New(t)
	for protocol, bare := range map[string]knowledge.Embedder{"openai": openAI(server), "ollama": ollama(server)} {
		for failure, kind := range failures {
			if failure == providertest.Huge {
				continue // 64 MB a call; the LLM's bound is the same code
			}
			t.Run(protocol+"/"+string(failure), func(t *testing.T) {
				metrics := ops.NewMetrics()
				e := guardedEmbedder(bare, metrics)
				server.Fail(failure)
				defer server.Fail(providertest.None)
				_, err := e.Embed(t.Context(), knowledge.ForQuery, []string{"a question"})
				fault := requireFault(t, err, kind)
				require.EqualValues(t, 1, testutil.ToFloat64(metrics.Knowledge.EmbeddingRequests.WithLabelValues(protocol, string(kind))))
				if failure == providertest.RateLimited {
					require.Equal(t, time.Second, fault.RetryAfter)
				}
				server.Fail(providertest.None)
				_, err = e.Embed(t.Context(), knowledge.ForQuery, []string{"a question"})
				require.NoError(t, err, "one failure is not permanent")
			})
		}
	}
}

func TestAnEmbedderThatKeepsFailingIsLeftAloneUnderItsReason(t *testing.T) {
	server := providertest.New(t)
	metrics := ops.NewMetrics()
	e := guardedEmbedder(ollama(server), metrics)
	server.Fail(providertest.RateLimited)
	for range 5 {
		_, err := e.Embed(t.Context(), knowledge.ForQuery, []string{"q"})
		requireFault(t, err, knowledge.FaultRateLimit)
	}
	made := server.Calls.Load()
	_, err := e.Embed(t.Context(), knowledge.ForQuery, []string{"q"})
	requireFault(t, err, knowledge.FaultRateLimit)
	require.Equal(t, made, server.Calls.Load(), "no call is made")
	server.Fail(providertest.None)
	_, err = e.Embed(t.Context(), knowledge.ForDocument, []string{"a passage"})
	require.NoError(t, err, "a job has its own patience")
}

func TestAnEmbedderOfOtherDimensionsIsFoundOut(t *testing.T) {
	server := providertest.New(t)
	e := must(provider.NewOllamaEmbedder(provider.EmbedderOptions{
		Endpoint: provider.Endpoint{URL: server.URL, Model: "nomic-embed-text"},
	}))
	require.Equal(t, 768, e.Model().Dimensions)
	_, err := e.Embed(t.Context(), knowledge.ForDocument, []string{"a"})
	fault := requireFault(t, err, knowledge.FaultDimensions)
	require.False(t, fault.Temporary(), "no retry will change it")
}

func TestPassagesAreTriedAgainAndQuestionsNot(t *testing.T) {
	server := providertest.New(t)
	e := guardedEmbedder(openAI(server), ops.NewMetrics())
	server.Fail(providertest.Broken)
	_, err := e.Embed(t.Context(), knowledge.ForDocument, []string{"a"})
	requireFault(t, err, knowledge.FaultProvider)
	require.EqualValues(t, 3, server.Calls.Load())
	_, err = e.Embed(t.Context(), knowledge.ForQuery, []string{"a"})
	requireFault(t, err, knowledge.FaultProvider)
	require.EqualValues(t, 4, server.Calls.Load())
	server.Fail(providertest.Denied)
	_, err = e.Embed(t.Context(), knowledge.ForDocument, []string{"a"})
	requireFault(t, err, knowledge.FaultRefused)
	require.EqualValues(t, 5, server.Calls.Load(), "a wrong key stays wrong")
}

func TestEmbedderOptionsAreChecked(t *testing.T) {
	for _, opts := range []provider.EmbedderOptions{
		{Endpoint: provider.Endpoint{URL: "http://host/v1"}},
		{Endpoint: provider.Endpoint{URL: "http://host/v1", Model: "a model of my own"}},
		{Endpoint: provider.Endpoint{URL: "ftp://host", Model: "all-minilm"}},
		{Endpoint: provider.Endpoint{URL: "host:11434", Model: "all-minilm"}},
		{Endpoint: provider.Endpoint{URL: "http://user:secret@host", Model: "all-minilm"}},
		{Endpoint: provider.Endpoint{URL: "http://host", Model: "all-minilm"}, Dimensions: 20000},
	} {
		_, err := provider.NewOpenAIEmbedder(opts)
		require.Error(t, err, "%+v", opts)
		require.NotContains(t, err.Error(), "secret")
	}
}
