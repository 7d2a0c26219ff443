package library_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/storetest"
)

// What came between the last look and the switch is embedded first; and only the attempt that holds
// the job moves the workspace.
func TestAWorkspaceMovesOnceNothingIsMissing(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	keep := func(key string) {
		in := d.Ingest(key)
		lease := d.Claim(in.RiverJobID, key)
		begun, _, err := d.Store.Library.BeginIngest(ctx, lease, in.ID)
		require.NoError(t, err)
		_, err = d.Store.Library.FinishIngest(ctx, lease, in.ID, d.Ingested(begun, len(key), "of "+key))
		require.NoError(t, err)
	}
	keep("first")
	to := knowledge.PlacementOf(knowledge.Model{Provider: "other", Name: "words", Dimensions: 8})
	var id uuid.UUID
	_, err := d.Store.Library.CreateReembed(ctx, store.Submission{Workspace: d.Space.ID, Route: "test", Key: "move"}, to,
		func(r *library.Reembed) (store.Response, error) { id = r.ID; return store.Response{Status: 202}, nil })
	require.NoError(t, err)
	var job int64
	require.NoError(t, d.Owner.QueryRow(ctx, `select id from river_job where kind = 'ingest.reembed'`).Scan(&job))
	zombie := d.Claim(job, "zombie")
	lease := d.Claim(job, "heir")
	_, err = d.Store.Library.BeginReembed(ctx, lease, id)
	require.NoError(t, err)
	embed := func() {
		chunks, err := d.Store.Library.ReembedBatch(ctx, d.Space.ID, id, uuid.Nil, 100)
		require.NoError(t, err)
		require.NotEmpty(t, chunks)
		require.ErrorIs(t, d.Store.Library.NoteReembedded(ctx, zombie, id, chunks, nil), store.ErrFenced)
		require.NoError(t, d.Store.Library.NoteReembedded(ctx, lease, id, chunks, nil))
	}
	embed()
	keep("second")
	require.ErrorIs(t, d.Store.Library.FinishReembed(ctx, lease, id), library.ErrBehind)
	place := func() knowledge.Placement {
		at, err := d.Store.Library.Placement(ctx, d.Space.ID, knowledge.HashEmbedder{}.Model())
		require.NoError(t, err)
		return at
	}
	require.Equal(t, knowledge.HashEmbedder{}.Model(), place().Model)
	embed()
	require.ErrorIs(t, d.Store.Library.FinishReembed(ctx, zombie, id), store.ErrFenced)
	require.Equal(t, knowledge.HashEmbedder{}.Model(), place().Model)
	require.NoError(t, d.Store.Library.FinishReembed(ctx, lease, id))
	require.Equal(t, to, place())
	require.Equal(t, "completed", d.JobState(job))
}
