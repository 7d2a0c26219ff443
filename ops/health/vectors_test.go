package health_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	client "github.com/qdrant/go-client/qdrant"
	"github.com/stretchr/testify/require"

	"millrace/ops"
	"millrace/ops/health"
)

// component looks at one component.
func (w *world) component(name string) ops.Component {
	w.t.Helper()
	for _, c := range health.New(w.opts).Look(w.t.Context()).Components {
		if c.Name == name {
			return c
		}
	}
	w.t.Fatalf("no component %s", name)
	return ops.Component{}
}

func TestCollectionThatOptimisesIsNotDegraded(t *testing.T) {
	w := newWorld(t)
	w.useQdrant()
	w.qdrant.Report(collection.Name, client.CollectionStatus_Yellow, "")
	require.Eventually(t, func() bool { return w.component("qdrant").Status == ops.StatusOK }, 10*time.Second, 20*time.Millisecond)
}

// A collection that was lost and made again holds what came since; the report names the workspace, the
// counts and the command that repairs it, until the vectors are back.
func TestFewerVectorsThanChunksAreNamedUntilTheyAreBack(t *testing.T) {
	w := newWorld(t)
	w.useQdrant()
	w.exec(`update documents set chunks = 3`)
	missing := func(n string) func() bool {
		return func() bool {
			return testutil.CollectAndCompare(health.NewFleetMetrics(w.opts, health.Ready(w.opts), slog.New(slog.DiscardHandler)), strings.NewReader(`
# HELP qdrant_vectors_missing Chunks without a vector in a collection of the vector index, over the workspaces that use it.
# TYPE qdrant_vectors_missing gauge
qdrant_vectors_missing{collection="c"} `+n+"\n"), "qdrant_vectors_missing") == nil
		}
	}
	var seen ops.Component
	require.Eventually(t, func() bool { seen = w.component("qdrant"); return seen.Status == ops.StatusDegraded }, 10*time.Second, 20*time.Millisecond, "%+v", &seen)
	require.Contains(t, seen.Summary, w.space.ID.String()+" has 1 for 3 chunks of hash/m")
	require.Contains(t, seen.Advice, "millrace admin workspace reembed "+w.space.ID.String()+" --to hash")
	require.Eventually(t, missing("2"), 10*time.Second, 20*time.Millisecond)

	w.upsert(w.opts.Vectors.Index)
	w.upsert(w.opts.Vectors.Index)
	require.Eventually(t, func() bool { seen = w.component("qdrant"); return seen.Status == ops.StatusOK }, 10*time.Second, 20*time.Millisecond, "%+v", &seen)
	require.Eventually(t, missing("0"), 10*time.Second, 20*time.Millisecond)
}
