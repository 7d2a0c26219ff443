package library_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
)

func TestAnAttemptThatLostItsJobStoresNothing(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	in := d.Ingest("k")
	zombie := d.Claim(in.RiverJobID, "zombie")
	first, _, err := d.Store.Library.BeginIngest(ctx, zombie, in.ID)
	require.NoError(t, err)
	made := d.Ingested(first, 3, "of the zombie")
	lease := d.Claim(in.RiverJobID, "heir")
	second, _, err := d.Store.Library.BeginIngest(ctx, lease, in.ID)
	require.NoError(t, err)
	require.Greater(t, second.Revision, first.Revision)

	_, err = d.Store.Library.FinishIngest(ctx, zombie, in.ID, made)
	require.ErrorIs(t, err, store.ErrFenced)
	require.ErrorIs(t, d.Store.Library.ReportIngest(ctx, zombie, in.ID, "embed", 1, 2), store.ErrFenced)
	require.ErrorIs(t, d.Store.Library.FailIngest(ctx, zombie, in.ID, store.Failure{Reason: "x"}), store.ErrFenced)
	_, chunks, err := d.Store.Library.DocumentChunks(ctx, d.Space.ID, in.DocumentID, 0, 10)
	require.NoError(t, err)
	require.Empty(t, chunks)

	done, err := d.Store.Library.FinishIngest(ctx, lease, in.ID, d.Ingested(second, 2, "of the heir"))
	require.NoError(t, err)
	require.Equal(t, "created", *done.Outcome)
	require.Equal(t, "completed", d.JobState(in.RiverJobID))
	doc, chunks, err := d.Store.Library.DocumentChunks(ctx, d.Space.ID, in.DocumentID, 1, 10)
	require.NoError(t, err)
	require.Equal(t, 2, doc.Chunks)
	require.Len(t, chunks, 1)
	require.Equal(t, "p. 2", chunks[0].Position.String())
	_, err = d.Store.Library.FinishIngest(ctx, lease, in.ID, d.Ingested(second, 5, "again"))
	require.ErrorIs(t, err, store.ErrFenced, "once")
}

// While revisions replace each other, every reader sees one of them, whole.
func TestAReaderNeverSeesHalfADocument(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var readers sync.WaitGroup
	document := d.Ingest("0").DocumentID
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				doc, chunks, err := d.Store.Library.DocumentChunks(context.Background(), d.Space.ID, document, 0, 2000)
				if err != nil || len(chunks) != doc.Chunks {
					t.Errorf("%d chunks of %d: %v", len(chunks), doc.Chunks, err)
					return
				}
				for _, c := range chunks {
					if c.Text != doc.Title {
						t.Errorf("a chunk of %q in the document %q", c.Text, doc.Title)
						return
					}
				}
			}
		})
	}
	for i := range 8 {
		in := d.Ingest(fmt.Sprint("k", i))
		lease := d.Claim(in.RiverJobID, "w")
		begun, _, err := d.Store.Library.BeginIngest(ctx, lease, in.ID)
		require.NoError(t, err)
		_, err = d.Store.Library.FinishIngest(ctx, lease, in.ID, d.Ingested(begun, 700-100*(i%3), fmt.Sprint("revision ", i)))
		require.NoError(t, err)
	}
	stop()
	readers.Wait()
}

func TestALaterRevisionIsNotReplacedByAnEarlier(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	slow, quick := d.Ingest("slow"), d.Ingest("quick")
	slowLease, quickLease := d.Claim(slow.RiverJobID, "a"), d.Claim(quick.RiverJobID, "b")
	slow, _, err := d.Store.Library.BeginIngest(ctx, slowLease, slow.ID)
	require.NoError(t, err)
	quick, _, err = d.Store.Library.BeginIngest(ctx, quickLease, quick.ID)
	require.NoError(t, err)
	_, err = d.Store.Library.FinishIngest(ctx, quickLease, quick.ID, d.Ingested(quick, 1, "new"))
	require.NoError(t, err)
	_, err = d.Store.Library.FinishIngest(ctx, slowLease, slow.ID, d.Ingested(slow, 1, "old"))
	require.ErrorIs(t, err, store.ErrConflict)
	doc, err := d.Store.Library.Document(ctx, d.Space.ID, slow.DocumentID)
	require.NoError(t, err)
	require.Equal(t, "new", doc.Title)

	// Nor does anything go where the workspace's vectors are no longer.
	again := d.Ingest("again")
	lease := d.Claim(again.RiverJobID, "c")
	again, _, err = d.Store.Library.BeginIngest(ctx, lease, again.ID)
	require.NoError(t, err)
	made := d.Ingested(again, 1, "newer")
	_, err = d.Owner.Exec(ctx, `update workspace_models set collection = 'another'`)
	require.NoError(t, err)
	_, err = d.Store.Library.FinishIngest(ctx, lease, again.ID, made)
	require.ErrorIs(t, err, store.ErrConflict)
}

func upload(d *storetest.Fixture, ctx context.Context, workspace, id uuid.UUID) ([]byte, error) {
	var content bytes.Buffer
	size, err := d.Store.Library.UploadSize(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	err = d.Store.Library.CopyUpload(ctx, workspace, id, &content)
	require.EqualValues(d.T, size, content.Len())
	return content.Bytes(), err
}

func TestUploads(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // over three parts
	id, err := d.Store.Library.PutUpload(ctx, d.Space.ID, iotest.OneByteReader(bytes.NewReader(content[:100])))
	require.NoError(t, err)
	got, err := upload(d, ctx, d.Space.ID, id)
	require.NoError(t, err)
	require.Equal(t, content[:100], got)

	big, err := d.Store.Library.PutUpload(ctx, d.Space.ID, bytes.NewReader(content))
	require.NoError(t, err)
	got, err = upload(d, ctx, d.Space.ID, big)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
	empty, err := d.Store.Library.PutUpload(ctx, d.Space.ID, bytes.NewReader(nil))
	require.NoError(t, err)
	got, err = upload(d, ctx, d.Space.ID, empty)
	require.NoError(t, err)
	require.Empty(t, got)

	other, err := d.Store.Tenants.CreateWorkspace(ctx, "other", 2)
	require.NoError(t, err)
	_, err = upload(d, ctx, other.ID, id)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, d.Store.Library.DropUpload(ctx, other.ID, id))
	require.NoError(t, d.Store.Library.DropUpload(ctx, d.Space.ID, empty))
	_, err = upload(d, ctx, d.Space.ID, id)
	require.NoError(t, err, "another workspace's drop does nothing")

	boom := errors.New("the client went away")
	broken, err := d.Store.Library.PutUpload(ctx, d.Space.ID, io.MultiReader(bytes.NewReader(content), iotest.ErrReader(boom)))
	require.ErrorIs(t, err, boom)
	_, err = d.Owner.Exec(ctx, `update ingest_uploads set created_at = now() - interval '2 hours', claimed = id = $1`, id)
	require.NoError(t, err)
	forgotten, err := d.Store.Library.ForgetUploads(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, forgotten, "%s and %s", big, broken)
	_, err = upload(d, ctx, d.Space.ID, id)
	require.NoError(t, err, "one that a job has claimed stays")
}
