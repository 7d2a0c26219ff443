package store_test

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

	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
)

// ingest submits an ingestion of a text that is already extracted, as it were.
func (d *fixture) ingest(key string) *library.Ingest {
	d.t.Helper()
	var made *library.Ingest
	_, err := d.store.Library.CreateIngest(d.t.Context(), store.Submission{Workspace: d.space.ID, Route: "test", Key: key},
		library.NewIngest{SourceType: knowledge.SourceText, CanonicalURL: "upload:a.txt", Name: "a.txt", URL: "http://a.test/"},
		func(in *library.Ingest) (store.Response, error) { made = in; return store.Response{Status: 202}, nil })
	require.NoError(d.t, err)
	return made
}

// ingested is a document of n chunks that all say the same.
func (d *fixture) ingested(in *library.Ingest, n int, text string) library.Ingested {
	d.t.Helper()
	placement, err := d.store.Library.Placement(d.t.Context(), d.space.ID, knowledge.HashEmbedder{}.Model())
	require.NoError(d.t, err)
	made := library.Ingested{Collection: placement.Collection.Name, Document: knowledge.Document{
		ID: in.DocumentID, WorkspaceID: d.space.ID, SourceType: in.SourceType, Title: text, Metadata: map[string]any{},
		SHA256: bytes.Repeat([]byte{byte(n)}, 32), Revision: in.Revision,
	}}
	for i := range n {
		made.Chunks = append(made.Chunks, knowledge.Chunk{
			ID: uuid.New(), DocumentID: in.DocumentID, Index: i, Text: text, Tokens: 1, Position: knowledge.Position{Page: i + 1},
		})
	}
	return made
}

func TestAnAttemptThatLostItsJobStoresNothing(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	in := d.ingest("k")
	zombie := d.claim(in.RiverJobID, "zombie")
	first, _, err := d.store.Library.BeginIngest(ctx, zombie, in.ID)
	require.NoError(t, err)
	made := d.ingested(first, 3, "of the zombie")
	lease := d.claim(in.RiverJobID, "heir")
	second, _, err := d.store.Library.BeginIngest(ctx, lease, in.ID)
	require.NoError(t, err)
	require.Greater(t, second.Revision, first.Revision)

	_, err = d.store.Library.FinishIngest(ctx, zombie, in.ID, made)
	require.ErrorIs(t, err, store.ErrFenced)
	require.ErrorIs(t, d.store.Library.ReportIngest(ctx, zombie, in.ID, "embed", 1, 2), store.ErrFenced)
	require.ErrorIs(t, d.store.Library.FailIngest(ctx, zombie, in.ID, "x"), store.ErrFenced)
	_, chunks, err := d.store.Library.DocumentChunks(ctx, d.space.ID, in.DocumentID, 0, 10)
	require.NoError(t, err)
	require.Empty(t, chunks)

	done, err := d.store.Library.FinishIngest(ctx, lease, in.ID, d.ingested(second, 2, "of the heir"))
	require.NoError(t, err)
	require.Equal(t, "created", *done.Outcome)
	require.Equal(t, "completed", d.state(in.RiverJobID))
	doc, chunks, err := d.store.Library.DocumentChunks(ctx, d.space.ID, in.DocumentID, 1, 10)
	require.NoError(t, err)
	require.Equal(t, 2, doc.Chunks)
	require.Len(t, chunks, 1)
	require.Equal(t, "p. 2", chunks[0].Position.String())
	_, err = d.store.Library.FinishIngest(ctx, lease, in.ID, d.ingested(second, 5, "again"))
	require.ErrorIs(t, err, store.ErrFenced, "once")
}

// While revisions replace each other, every reader sees one of them, whole.
func TestAReaderNeverSeesHalfADocument(t *testing.T) {
	d := newFixture(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var readers sync.WaitGroup
	document := d.ingest("0").DocumentID
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				doc, chunks, err := d.store.Library.DocumentChunks(context.Background(), d.space.ID, document, 0, 2000)
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
		in := d.ingest(fmt.Sprint("k", i))
		lease := d.claim(in.RiverJobID, "w")
		begun, _, err := d.store.Library.BeginIngest(ctx, lease, in.ID)
		require.NoError(t, err)
		_, err = d.store.Library.FinishIngest(ctx, lease, in.ID, d.ingested(begun, 700-100*(i%3), fmt.Sprint("revision ", i)))
		require.NoError(t, err)
	}
	stop()
	readers.Wait()
}

func TestALaterRevisionIsNotReplacedByAnEarlier(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	slow, quick := d.ingest("slow"), d.ingest("quick")
	slowLease, quickLease := d.claim(slow.RiverJobID, "a"), d.claim(quick.RiverJobID, "b")
	slow, _, err := d.store.Library.BeginIngest(ctx, slowLease, slow.ID)
	require.NoError(t, err)
	quick, _, err = d.store.Library.BeginIngest(ctx, quickLease, quick.ID)
	require.NoError(t, err)
	_, err = d.store.Library.FinishIngest(ctx, quickLease, quick.ID, d.ingested(quick, 1, "new"))
	require.NoError(t, err)
	_, err = d.store.Library.FinishIngest(ctx, slowLease, slow.ID, d.ingested(slow, 1, "old"))
	require.ErrorIs(t, err, store.ErrConflict)
	doc, err := d.store.Library.Document(ctx, d.space.ID, slow.DocumentID)
	require.NoError(t, err)
	require.Equal(t, "new", doc.Title)

	// Nor does anything go where the workspace's vectors are no longer.
	again := d.ingest("again")
	lease := d.claim(again.RiverJobID, "c")
	again, _, err = d.store.Library.BeginIngest(ctx, lease, again.ID)
	require.NoError(t, err)
	made := d.ingested(again, 1, "newer")
	_, err = d.owner.Exec(ctx, `update workspace_models set collection = 'another'`)
	require.NoError(t, err)
	_, err = d.store.Library.FinishIngest(ctx, lease, again.ID, made)
	require.ErrorIs(t, err, store.ErrConflict)
}

func (d *fixture) upload(ctx context.Context, workspace, id uuid.UUID) ([]byte, error) {
	var content bytes.Buffer
	size, err := d.store.Library.UploadSize(ctx, workspace, id)
	if err != nil {
		return nil, err
	}
	err = d.store.Library.CopyUpload(ctx, workspace, id, &content)
	require.EqualValues(d.t, size, content.Len())
	return content.Bytes(), err
}

func TestUploads(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // over three parts
	id, err := d.store.Library.PutUpload(ctx, d.space.ID, iotest.OneByteReader(bytes.NewReader(content[:100])))
	require.NoError(t, err)
	got, err := d.upload(ctx, d.space.ID, id)
	require.NoError(t, err)
	require.Equal(t, content[:100], got)

	big, err := d.store.Library.PutUpload(ctx, d.space.ID, bytes.NewReader(content))
	require.NoError(t, err)
	got, err = d.upload(ctx, d.space.ID, big)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got))
	empty, err := d.store.Library.PutUpload(ctx, d.space.ID, bytes.NewReader(nil))
	require.NoError(t, err)
	got, err = d.upload(ctx, d.space.ID, empty)
	require.NoError(t, err)
	require.Empty(t, got)

	other, err := d.store.Tenants.CreateWorkspace(ctx, "other", 2)
	require.NoError(t, err)
	_, err = d.upload(ctx, other.ID, id)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.NoError(t, d.store.Library.DropUpload(ctx, other.ID, id))
	require.NoError(t, d.store.Library.DropUpload(ctx, d.space.ID, empty))
	_, err = d.upload(ctx, d.space.ID, id)
	require.NoError(t, err, "another workspace's drop does nothing")

	boom := errors.New("the client went away")
	broken, err := d.store.Library.PutUpload(ctx, d.space.ID, io.MultiReader(bytes.NewReader(content), iotest.ErrReader(boom)))
	require.ErrorIs(t, err, boom)
	_, err = d.owner.Exec(ctx, `update ingest_uploads set created_at = now() - interval '2 hours', claimed = id = $1`, id)
	require.NoError(t, err)
	forgotten, err := d.store.Library.ForgetUploads(ctx)
	require.NoError(t, err)
	require.EqualValues(t, 2, forgotten, "%s and %s", big, broken)
	_, err = d.upload(ctx, d.space.ID, id)
	require.NoError(t, err, "one that a job has claimed stays")
}
