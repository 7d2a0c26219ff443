package ingestion_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/provider"
	"millrace/jobs/worker/ingestion/provider/providertest"
	"millrace/store/library"
	"millrace/store/vector"
	"millrace/store/vector/qdranttest"
)

// remote has the fixture's vectors made by a provider and kept in a Qdrant server, which keeps them for
// the fixture's own embedder too.
func (r *fixture) remote() (*qdranttest.Server, *providertest.Server) {
	r.t.Helper()
	index, embeddings := qdranttest.New(r.t), providertest.New(r.t)
	q, err := vector.NewQdrant(index.URL, "")
	require.NoError(r.t, err)
	r.t.Cleanup(func() { _ = q.Close() })
	r.index = vector.NewGuarded(q, &r.metrics.Knowledge, vector.GuardOptions{WriteTimeout: 100 * time.Millisecond, Cooldown: 1})
	e, err := provider.NewOllamaEmbedder(provider.EmbedderOptions{Endpoint: provider.Endpoint{URL: embeddings.URL, Model: "all-minilm"}})
	require.NoError(r.t, err)
	guarded := provider.NewEmbedder(e, &r.metrics.Knowledge, provider.GuardOptions{EmbedTimeout: 100 * time.Millisecond, Cooldown: 1})
	r.opts.Index, r.opts.Embedders = r.index, knowledge.Embedders{guarded}
	return index, embeddings
}

// outage is a way in which a part is killed.
type outage struct {
	name       string
	begin, end func()
	reason     string
	counted    prometheus.Counter
}

func (r *fixture) outages(index *qdranttest.Server, embeddings *providertest.Server) []outage {
	const away, limited = "is away", "over its rate limit"
	qdrant := func(how, reason string, fail func(ctx context.Context) error) outage {
		return outage{
			"qdrant " + how, func() { index.Fail(func(ctx context.Context, _ string) error { return fail(ctx) }) },
			func() { index.Fail(nil) }, reason, r.metrics.Knowledge.QdrantErrors.WithLabelValues("upsert"),
		}
	}
	embedder := func(how providertest.Failure, reason string, kind knowledge.FaultKind) outage {
		return outage{
			"embedder " + string(how), func() { embeddings.Fail(how) }, func() { embeddings.Fail(providertest.None) },
			reason, r.metrics.Knowledge.EmbeddingRequests.WithLabelValues("ollama", string(kind)),
		}
	}
	killed := qdrant("killed", away, nil)
	killed.begin, killed.end = index.Stop, func() { index.Restart(r.t) }
	return []outage{
		embedder(providertest.RateLimited, limited, knowledge.FaultRateLimit),
		qdrant("429", limited, func(context.Context) error { return status.Error(codes.ResourceExhausted, "slow down") }),
		qdrant("500", away, func(context.Context) error { return status.Error(codes.Internal, "Service internal error") }),
		qdrant("garbage", away, func(context.Context) error { return qdranttest.ErrGarbage }),
		qdrant("hang", away, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
		embedder(providertest.Broken, away, knowledge.FaultProvider),
		embedder(providertest.Garbage, away, knowledge.FaultProvider),
		embedder(providertest.Hanging, away, knowledge.FaultTimeout),
		killed, // the last, as a client needs a while to connect again
	}
}

// Under load Qdrant and the embedder are killed in every way and come back: each ingestion says what
// it waits for, none is lost, no document is half there, and what was deleted meanwhile is deleted in
// Qdrant too.
func TestNoIngestionIsLostWhateverIsKilled(t *testing.T) {
	r := newFixture(t)
	index, embeddings := r.remote()
	r.work()
	gone := r.done(r.text("gone.txt", passage("value", 900)))
	var all []*library.Ingest
	submit := func() *library.Ingest {
		all = append(all, r.text(fmt.Sprint(len(all), ".txt"), passage(fmt.Sprint("subject ", len(all)), 1200)))
		return all[len(all)-1]
	}
	for _, o := range r.outages(index, embeddings) {
		before := testutil.ToFloat64(o.counted)
		o.begin()
		waiting := r.until(submit().ID, library.IngestRetrying)
		require.Contains(t, reason(waiting), o.reason, o.name)
		require.NotNil(t, waiting.NextAttemptAt, o.name)
		require.Greater(t, testutil.ToFloat64(o.counted), before, o.name)
		if o.name == "qdrant killed" {
			require.NoError(t, r.store.Library.DeleteDocument(t.Context(), r.space.ID, gone.DocumentID))
		}
		o.end()
	}
	chunks := 0
	for _, in := range all {
		chunks += r.done(in).Chunks
	}
	require.Equal(t, chunks, r.count(`select count(*) from chunks`))
	r.awaitVectors(chunks, "those of attempts that failed and of the deleted document go")
	require.Zero(t, r.count(`select count(*) from ingest_jobs where status in ('failed', 'canceled')`))
	require.Equal(t, 1, r.count(`select max(attempt) from river_job where kind = 'ingest.source'`), "to wait costs no attempt")
	require.EqualValues(t, len(all)+1, testutil.ToFloat64(r.metrics.IngestJobs.WithLabelValues("text", "completed")))
	require.Zero(t, testutil.ToFloat64(r.metrics.IngestFailures.WithLabelValues("text")))
	_, last := r.document(all[len(all)-1].DocumentID)
	require.NotNil(t, r.find(fmt.Sprint("subject ", len(all)-1), last))

	// One that comes back with an empty disk is set up again.
	index.Wipe()
	r.awaitVectors(r.done(submit()).Chunks, "of what came since")
}

// Another model behind the same name gives vectors that fit nowhere: the ingestion says so, and the
// document stays as it was.
func TestVectorsOfOtherDimensionsReplaceNothing(t *testing.T) {
	r := newFixture(t)
	stop := r.work()
	first := r.done(r.text("a.txt", passage("momentum", 300)))
	stop()
	r.embedder.fault.Store(&knowledge.Fault{Kind: knowledge.FaultDimensions, Part: "embedder test"})
	in := r.text("a.txt", passage("carry", 300))
	r.nearItsEnd(in)
	r.work()
	require.Contains(t, r.failed(in), "another length")
	doc, chunks := r.document(first.DocumentID)
	require.Equal(t, first.Revision, doc.Revision)
	require.Contains(t, chunks[0].Text, "momentum")
}
