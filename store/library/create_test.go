package library_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/storetest"
)

// Submissions of one new address at once each have their ingestion, of one document, although none of them sees it before it
// is there.
func TestSubmissionsOfOneNewAddressAtOnceShareItsDocument(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	for round := range 5 {
		const many = 8
		var group sync.WaitGroup
		var failed [many]error
		for i := range many {
			group.Go(func() {
				_, failed[i] = d.SubmitSource(ctx, fmt.Sprint("k", round, "-", i), fmt.Sprint("http://a.test/", round))
			})
		}
		group.Wait()
		require.NoError(t, errors.Join(failed[:]...))
	}
	var ingests, documents, orphans int
	require.NoError(t, d.Owner.QueryRow(ctx, `
		select (select count(*) from ingest_jobs), (select count(*) from documents),
		       (select count(*) from ingest_jobs i where not exists (select from documents d where d.id = i.document_id))`).
		Scan(&ingests, &documents, &orphans))
	require.Equal(t, []int{40, 5, 0}, []int{ingests, documents, orphans})
}

// beginning has the workspace's next ingestion look before its rows are made, as one that follows one of a document that was there.
func beginning(d *storetest.Fixture) {
	d.T.Helper()
	for _, key := range []string{"other", "other again"} {
		_, err := d.SubmitSource(d.T.Context(), key, "http://a.test/other")
		require.NoError(d.T, err)
	}
}

// A document that a submission has found stays until its ingestion is inserted: what would drop it as empty waits for the
// submission, and then sees the ingestion.
func TestADocumentStaysWhileASubmissionNamesIt(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	in, err := d.SubmitSource(ctx, "first", "http://a.test/shared")
	require.NoError(t, err)
	beginning(d)
	canceled := make(chan error, 1)
	var second *library.Ingest
	_, err = d.Store.Library.CreateIngest(ctx, store.Submission{Workspace: d.Space.ID, Route: "test", Key: "second"},
		library.NewIngest{SourceType: knowledge.SourceText, Detected: true, CanonicalURL: "http://a.test/shared", URL: "http://a.test/shared"},
		func(made *library.Ingest) (store.Response, error) {
			second = made
			go func() {
				_, err := d.Store.Library.CancelIngest(context.WithoutCancel(ctx), d.Space.ID, in.ID)
				canceled <- err
			}()
			select {
			case err := <-canceled:
				t.Errorf("the first was cancelled, with its document, while the second named it: %v", err)
			case <-time.After(300 * time.Millisecond):
			}
			return store.Response{Status: 202}, nil
		})
	require.NoError(t, err)
	require.NoError(t, <-canceled)
	_, err = d.Store.Library.Document(ctx, d.Space.ID, second.DocumentID)
	require.NoError(t, err, "the document that the second ingestion is for")
}

// What a submission says of its ingestion is what is stored, with the job's number.
func TestAnIngestionIsStoredAsItsSubmissionSays(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	for name, in := range map[string]library.NewIngest{
		"an address": {SourceType: knowledge.SourceArticle, Detected: true, CanonicalURL: "http://a.test/x", URL: "http://a.test/x"},
		"with words": {SourceType: knowledge.SourceText, CanonicalURL: "upload:b", Name: "b", URL: "http://a.test/b",
			Options: library.IngestOptions{Title: "T", Language: "en", Calendar: 365}},
	} {
		var made *library.Ingest
		_, err := d.Store.Library.CreateIngest(t.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: name}, in,
			func(i *library.Ingest) (store.Response, error) { made = i; return store.Response{Status: 202}, nil })
		require.NoError(t, err)
		stored, err := d.Store.Library.Ingest(t.Context(), d.Space.ID, made.ID)
		require.NoError(t, err)
		require.True(t, stored.CreatedAt.Equal(made.CreatedAt))
		made.CreatedAt = stored.CreatedAt
		require.Equal(t, stored, made, name)
		var kind, queue, state string
		var args []byte
		require.NoError(t, d.Owner.QueryRow(t.Context(), `select kind, queue, state::text, args from river_job where id = $1`, made.RiverJobID).
			Scan(&kind, &queue, &state, &args))
		require.Equal(t, []string{"ingest.source", jobs.QueueIngestion, "available"}, []string{kind, queue, state})
		require.JSONEq(t, fmt.Sprintf(`{"workspace_id":%q,"ingest_id":%q}`, d.Space.ID, made.ID), string(args))
	}
	require.NotEqual(t, uuid.Nil, d.Space.ID)
}
