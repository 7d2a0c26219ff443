package library_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/storetest"
)

// A source is submitted again while its first ingestion is canceled: the document stays for the second.
func TestCancelingAnIngestionKeepsADocumentThatAnotherHasJustClaimed(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	first := d.IngestOf("first")
	beginning(d)
	canceled := make(chan error, 1)
	var second *library.Ingest
	_, err := d.Store.Library.CreateIngest(ctx, store.Submission{Workspace: d.Space.ID, Route: "test", Key: "second"},
		library.NewIngest{SourceType: knowledge.SourceText, CanonicalURL: *first.URL, URL: *first.URL},
		func(in *library.Ingest) (store.Response, error) { // within the submission's transaction
			second = in
			go func() {
				_, err := d.Store.Library.CancelIngest(context.WithoutCancel(ctx), d.Space.ID, first.ID)
				canceled <- err
			}()
			d.AwaitBlocked()
			return store.Response{Status: 202}, nil
		})
	require.NoError(t, err)
	require.NoError(t, <-canceled)
	require.Equal(t, first.DocumentID, second.DocumentID)
	_, err = d.Store.Library.Document(ctx, d.Space.ID, second.DocumentID)
	require.NoError(t, err, "the document of a live ingestion is gone")
}

// whileFinishing runs do in the middle of the transaction that finishes an ingestion, and returns its error.
func whileFinishing(d *storetest.Fixture, in *library.Ingest, do func(context.Context) error) error {
	d.T.Helper()
	ctx := d.T.Context()
	lease := d.Claim(in.RiverJobID, "w")
	begun, _, err := d.Store.Library.BeginIngest(ctx, lease, in.ID)
	require.NoError(d.T, err)
	done := make(chan error, 1)
	complete := lease.Complete
	lease.Complete = func(ctx context.Context, tx pgx.Tx) error {
		// However long the other takes to come to the lock, the server waits for this one.
		if _, err := tx.Exec(ctx, `set local idle_in_transaction_session_timeout = 0`); err != nil {
			return err
		}
		go func() { done <- do(context.WithoutCancel(ctx)) }()
		d.AwaitBlocked()
		return complete(ctx, tx)
	}
	_, err = d.Store.Library.FinishIngest(ctx, lease, in.ID, d.Ingested(begun, 2, "text"))
	require.NoError(d.T, err)
	return <-done
}

func TestADocumentIsDeletedThoughItsIngestionEndsMeanwhile(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	in := d.IngestOf("k")
	require.NoError(t, whileFinishing(d, in, func(ctx context.Context) error {
		return d.Store.Library.DeleteDocument(ctx, d.Space.ID, in.DocumentID)
	}))
	_, err := d.Store.Library.Document(t.Context(), d.Space.ID, in.DocumentID)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Equal(t, []string{"ingestion.job.queued", "ingestion.job.running", "ingestion.job.completed"}, d.EventTypes(in.ID))
	require.Equal(t, []string{"ingestion.document.deleted"}, d.EventTypes(in.DocumentID))
}

// An ingestion whose content has another type than its address said moves to another document: deleting the one that it
// was of leaves it alone.
func TestDeletingADocumentLeavesAnIngestionThatMovedToAnother(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	in := d.IngestOf("k")
	other := d.IngestOf("other")
	d.Exec(`update documents set revision = 1 where id = $1`, in.DocumentID)
	moving := d.Open(`select pg_advisory_xact_lock(hashtextextended('` + in.ID.String() + `', 0))`)
	deleted := make(chan error, 1)
	go func() { deleted <- d.Store.Library.DeleteDocument(ctx, d.Space.ID, in.DocumentID) }()
	d.AwaitBlocked() // it has listed the ingestion
	_, err := moving.Exec(ctx, `update ingest_jobs set document_id = $2, source_type = 'pdf' where id = $1`, in.ID, other.DocumentID)
	require.NoError(t, err)
	require.NoError(t, moving.Commit(ctx))
	require.NoError(t, <-deleted)
	now, err := d.Store.Library.Ingest(ctx, d.Space.ID, in.ID)
	require.NoError(t, err)
	require.Equal(t, library.IngestQueued, now.Status, "it is of another document by now")
	_, err = d.Store.Library.Document(ctx, d.Space.ID, in.DocumentID)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestACancelThatRacesAFinishDoesNotEndAnIngestionTwice(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	in := d.Ingest("k")
	lease := d.Claim(in.RiverJobID, "w")
	begun, _, err := d.Store.Library.BeginIngest(ctx, lease, in.ID)
	require.NoError(t, err)
	canceled := make(chan error, 1)
	complete := lease.Complete
	lease.Complete = func(ctx context.Context, tx pgx.Tx) error { // within the transaction that finishes
		// However long the other takes to come to the lock, the server waits for this one.
		if _, err := tx.Exec(ctx, `set local idle_in_transaction_session_timeout = 0`); err != nil {
			return err
		}
		go func() {
			_, err := d.Store.Library.CancelIngest(context.WithoutCancel(ctx), d.Space.ID, in.ID)
			canceled <- err
		}()
		d.AwaitBlocked()
		return complete(ctx, tx)
	}
	_, err = d.Store.Library.FinishIngest(ctx, lease, in.ID, d.Ingested(begun, 2, "text"))
	require.NoError(t, err)
	require.ErrorIs(t, <-canceled, store.ErrEnded, "a completed ingestion was canceled")
	now, err := d.Store.Library.Ingest(ctx, d.Space.ID, in.ID)
	require.NoError(t, err)
	require.Equal(t, library.IngestCompleted, now.Status)
	require.Equal(t, []string{"ingestion.job.queued", "ingestion.job.running", "ingestion.job.completed"}, d.EventTypes(in.ID))
}

// The status is a guard of its own: it holds even for a change that did not take the lock.
func TestAnIngestionThatEndedMeanwhileIsNotEndedAgain(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	in := d.Ingest("k")
	lease := d.Claim(in.RiverJobID, "w")
	begun, _, err := d.Store.Library.BeginIngest(ctx, lease, in.ID)
	require.NoError(t, err)
	made := d.Ingested(begun, 2, "text")
	other := d.Open(`select from documents for update`)
	finished := make(chan error, 1)
	go func() {
		_, err := d.Store.Library.FinishIngest(ctx, lease, in.ID, made)
		finished <- err
	}()
	d.AwaitBlocked() // it has read that the ingestion is running, and waits for the document
	_, err = other.Exec(ctx, `update ingest_jobs set status = 'canceled', completed_at = now()`)
	require.NoError(t, err)
	require.NoError(t, other.Commit(ctx))
	require.ErrorIs(t, <-finished, store.ErrEnded)
	require.NotContains(t, d.EventTypes(in.ID), "ingestion.job.completed")
}
