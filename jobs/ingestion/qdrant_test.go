package ingestion_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/ops"
	"millrace/store"
	"millrace/store/vector"
	"millrace/store/vector/qdranttest"
)

// Qdrant is killed under load and comes back: no ingestion is lost, no document is half there, and
// what was deleted meanwhile is deleted there too.
func TestQdrantIsKilledUnderLoad(t *testing.T) {
	r := newRig(t)
	server := qdranttest.New(t)
	q, err := vector.NewQdrant(server.URL, "")
	require.NoError(t, err)
	t.Cleanup(func() { _ = q.Close() })
	r.index = vector.NewGuarded(q, &ops.NewMetrics().Knowledge, vector.GuardOptions{Cooldown: 1})
	r.opts.Index = r.index
	r.work()
	gone := r.done(r.text("gone.txt", passage("value", 900)))

	var all []*store.Ingest
	for i := range 6 {
		all = append(all, r.text(fmt.Sprint(i, ".txt"), passage(fmt.Sprint("subject ", i), 2000)))
		if i == 2 {
			server.Stop()
		}
	}
	waiting := r.until(all[5].ID, store.IngestRetrying)
	require.Contains(t, reason(waiting), "is away")
	require.NoError(t, r.store.DeleteDocument(t.Context(), r.space.ID, gone.DocumentID,
		jobs.IngestForgetArgs{WorkspaceID: r.space.ID, DocumentID: gone.DocumentID, Below: knowledge.AllRevisions}))
	server.Restart(t)

	chunks := 0
	for _, in := range all {
		chunks += r.done(in).Chunks
	}
	require.Equal(t, chunks, r.count(`select count(*) from chunks`))
	placement, err := r.store.Placement(t.Context(), r.space.ID, r.embedder.Model())
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := r.index.Info(t.Context(), placement.Collection)
		return err == nil && info.Vectors == int64(chunks)
	}, eventually, tick, "vectors of attempts that failed and of the deleted document go")
	require.Zero(t, r.count(`select count(*) from ingest_jobs where status in ('failed', 'canceled')`))
	_, last := r.document(all[5].DocumentID)
	require.NotNil(t, r.find("subject 5", last))
}
