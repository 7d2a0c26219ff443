package ingestion_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/ops"
	"millrace/ops/health"
	"millrace/store/library"
)

// A Qdrant that lost its collection gets a new one from the next ingestion, with the vectors of that
// alone: health names what is missing, and a re-embedding to the same model makes it well.
func TestLostCollectionIsNamedUntilTheWorkspaceIsEmbeddedAgain(t *testing.T) {
	m := &mover{fixture: newFixture(t)}
	index, _ := m.remote()
	m.work()
	m.done(m.text("one", passage("breakouts", 3000)))
	opts := health.Options{Store: m.store, Vectors: &health.Vectors{Kind: "qdrant", Index: m.index}}
	checks := health.New(opts)
	seen := ops.Component{}
	becomes := func(status ops.Status) {
		t.Helper()
		require.Eventually(t, func() bool {
			for _, c := range checks.Look(t.Context()).Components {
				if c.Name == "qdrant" {
					seen = c
				}
			}
			return seen.Status == status
		}, 30*time.Second, 20*time.Millisecond, "%+v", &seen)
	}
	becomes(ops.StatusOK)
	index.Wipe()
	becomes(ops.StatusDegraded)
	came := m.done(m.text("two", passage("reversals", 900))).Chunks
	m.awaitVectors(came, "of what came since")
	all := m.chunks()
	require.Greater(t, all, came)
	m.becomesShort(&seen, becomes, came, all)

	id, err := m.move(m.opts.Embedders[0])
	require.NoError(t, err)
	require.Equal(t, all, m.ended(id, library.ReembedCompleted).Done)
	becomes(ops.StatusOK)
	m.awaitVectors(all, "each chunk has its vector again")
}

// becomesShort waits for health to name how many vectors there are for how many chunks.
func (m *mover) becomesShort(seen *ops.Component, becomes func(ops.Status), vectors, chunks int) {
	m.t.Helper()
	require.Eventually(m.t, func() bool {
		becomes(ops.StatusDegraded)
		return seen.Summary == fmt.Sprintf("vectors fewer than chunks: workspace %s has %d for %d chunks of %s",
			m.space.ID, vectors, chunks, m.opts.Embedders[0].Model())
	}, 30*time.Second, 20*time.Millisecond, "%+v", seen)
	require.Contains(m.t, seen.Advice, "millrace admin workspace reembed "+m.space.ID.String())
}
