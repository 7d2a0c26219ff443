package api_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/jobs/worker/ingestion/provider/providertest"
	"millrace/ops"
	"millrace/store/vector"
	"millrace/store/vector/qdranttest"
)

// inQdrant keeps the vectors in a Qdrant server.
func inQdrant(server *qdranttest.Server) func(*knowledge.Parts, *ops.Metrics) {
	return func(p *knowledge.Parts, m *ops.Metrics) {
		q, err := vector.NewQdrant(server.URL, "")
		if err != nil {
			panic(err)
		}
		p.Index = vector.NewGuarded(q, &m.Knowledge, vector.GuardOptions{SearchTimeout: 200 * time.Millisecond, Cooldown: 100 * time.Millisecond})
	}
}

// embeddedBy takes another embedder, over HTTP.
func embeddedBy(server *providertest.Server) func(*knowledge.Parts, *ops.Metrics) {
	return func(p *knowledge.Parts, m *ops.Metrics) {
		e, err := provider.NewOllamaEmbedder(provider.EmbedderOptions{Endpoint: provider.Endpoint{URL: server.URL, Model: "all-minilm"}})
		if err != nil {
			panic(err)
		}
		short := limits
		short.Cooldown = 100 * time.Millisecond
		p.Embedders = knowledge.Embedders{provider.NewEmbedder(e, &m.Knowledge, short)}
	}
}

const crossoverQuestion = `{"question":"When is a crossover whipsawed?","mode":"retrieve","top_k":2}`

// Whatever befalls Qdrant, the full text answers and says what it had to do without.
func TestQdrantFailsInEveryWay(t *testing.T) {
	unexpected := func(err error) func(context.Context, string) error {
		return func(context.Context, string) error { return err }
	}
	hang := func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return status.FromContextError(ctx.Err()).Err()
	}
	server := qdranttest.New(t)
	l := newLibrary(t, inQdrant(server))
	_, chunks := l.put(l.alpha, crossovers)
	for name, test := range map[string]struct {
		fail    func(context.Context, string) error
		lacking string
	}{
		"429":      {unexpected(status.Error(codes.ResourceExhausted, "slow down")), "vectors_rate_limit"},
		"500":      {unexpected(status.Error(codes.Internal, "Service internal error")), "vectors_error"},
		"away":     {unexpected(status.Error(codes.Unavailable, "shutting down")), "vectors_unreachable"},
		"bad key":  {unexpected(status.Error(codes.Unauthenticated, "Must provide an API key")), "vectors_refused"},
		"odd":      {unexpected(errors.New("odd")), "vectors_error"},
		"garbage":  {unexpected(qdranttest.ErrGarbage), "vectors_error"},
		"hang":     {hang, "vectors_timeout"},
		"not made": {unexpected(status.Error(codes.NotFound, "Collection doesn't exist")), "vectors_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			before := testutil.ToFloat64(l.metrics.Knowledge.QdrantErrors.WithLabelValues("search"))
			server.Fail(test.fail)
			defer server.Fail(nil)
			got := l.ask(crossoverQuestion)
			require.Equal(t, chunks[1], got.Results[0].ChunkID)
			require.True(t, got.Degraded)
			require.Equal(t, []string{test.lacking}, got.Search.Lacking)
			require.Nil(t, got.Covered, "not known without vectors")
			if test.lacking != "vectors_missing" {
				require.Equal(t, before+1, testutil.ToFloat64(l.metrics.Knowledge.QdrantErrors.WithLabelValues("search")))
			}
			server.Fail(nil)
			require.Eventually(t, func() bool { return !l.ask(crossoverQuestion).Degraded }, 5*time.Second, 20*time.Millisecond)
		})
	}
}

func TestTheEmbedderFailsInEveryWay(t *testing.T) {
	server := providertest.New(t)
	l := newLibrary(t, embeddedBy(server))
	_, chunks := l.put(l.alpha, crossovers)
	require.False(t, l.ask(crossoverQuestion).Degraded)
	for failure, lacking := range map[providertest.Failure]string{
		providertest.Hanging: "embedder_timeout", providertest.RateLimited: "embedder_rate_limit", providertest.Broken: "embedder_error",
		providertest.Garbage: "embedder_error", providertest.Senseless: "embedder_error", providertest.Cut: "embedder_unreachable",
		providertest.Denied: "embedder_refused",
	} {
		t.Run(string(failure), func(t *testing.T) {
			before := testutil.ToFloat64(l.metrics.Knowledge.EmbedErrors)
			server.Fail(failure)
			defer server.Fail(providertest.None)
			got := l.ask(crossoverQuestion)
			require.Equal(t, []string{lacking}, got.Search.Lacking)
			require.True(t, got.Degraded)
			require.Equal(t, chunks[1], got.Results[0].ChunkID)
			require.Nil(t, got.Results[0].Scores.Vector)
			require.Equal(t, before+1, testutil.ToFloat64(l.metrics.Knowledge.EmbedErrors))
			server.Fail(providertest.None)
			require.Eventually(t, func() bool { return !l.ask(crossoverQuestion).Degraded }, 5*time.Second, 20*time.Millisecond)
		})
	}
}

// A process that is not set up for the workspace's model answers from the full text.
func TestAModelThatIsNotSetUp(t *testing.T) {
	l := newLibrary(t)
	l.put(l.alpha, crossovers)
	_, err := l.db.OwnerPool(t).Exec(t.Context(), `update workspace_models set model = 'words-v2'`)
	require.NoError(t, err)
	got := l.ask(crossoverQuestion)
	require.Equal(t, []string{"embedder_unconfigured"}, got.Search.Lacking)
	require.NotEmpty(t, got.Results)
}
