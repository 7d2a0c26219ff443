package store_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
)

// A source is submitted again while its first ingestion is canceled: the document stays for the second.
func TestCancelingAnIngestionKeepsADocumentThatAnotherHasJustClaimed(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	first := d.ingestOf("first")
	canceled := make(chan error, 1)
	var second *library.Ingest
	_, err := d.store.Library.CreateIngest(ctx, store.Submission{Workspace: d.space.ID, Route: "test", Key: "second"},
		library.NewIngest{SourceType: knowledge.SourceText, CanonicalURL: *first.URL, URL: *first.URL},
		func(in *library.Ingest) (store.Response, error) { // within the submission's transaction
			second = in
			go func() {
				_, err := d.store.Library.CancelIngest(context.WithoutCancel(ctx), d.space.ID, first.ID)
				canceled <- err
			}()
			d.blocked()
			return store.Response{Status: 202}, nil
		})
	require.NoError(t, err)
	require.NoError(t, <-canceled)
	require.Equal(t, first.DocumentID, second.DocumentID)
	_, err = d.store.Library.Document(ctx, d.space.ID, second.DocumentID)
	require.NoError(t, err, "the document of a live ingestion is gone")
}

// whileFinishing runs do in the middle of the transaction that finishes an ingestion, and returns its error.
func (d *fixture) whileFinishing(in *library.Ingest, do func(context.Context) error) error {
	d.t.Helper()
	ctx := d.t.Context()
	lease := d.claim(in.RiverJobID, "w")
	begun, _, err := d.store.Library.BeginIngest(ctx, lease, in.ID)
	require.NoError(d.t, err)
	done := make(chan error, 1)
	complete := lease.Complete
	lease.Complete = func(ctx context.Context, tx pgx.Tx) error {
		go func() { done <- do(context.WithoutCancel(ctx)) }()
		d.blocked()
		return complete(ctx, tx)
	}
	_, err = d.store.Library.FinishIngest(ctx, lease, in.ID, d.ingested(begun, 2, "text"))
	require.NoError(d.t, err)
	return <-done
}

func TestADocumentIsDeletedThoughItsIngestionEndsMeanwhile(t *testing.T) {
	d := newFixture(t)
	in := d.ingestOf("k")
	require.NoError(t, d.whileFinishing(in, func(ctx context.Context) error {
		return d.store.Library.DeleteDocument(ctx, d.space.ID, in.DocumentID)
	}))
	_, err := d.store.Library.Document(t.Context(), d.space.ID, in.DocumentID)
	require.ErrorIs(t, err, store.ErrNotFound)
	require.Equal(t, []string{"ingestion.job.queued", "ingestion.job.running", "ingestion.job.completed"}, d.eventTypes(in.ID))
	require.Equal(t, []string{"ingestion.document.deleted"}, d.eventTypes(in.DocumentID))
}

// An ingestion whose content has another type than its address said moves to another document: deleting the one that it
// was of leaves it alone.
func TestDeletingADocumentLeavesAnIngestionThatMovedToAnother(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	in := d.ingestOf("k")
	other := d.ingestOf("other")
	d.exec(`update documents set revision = 1 where id = $1`, in.DocumentID)
	moving := d.open(`select pg_advisory_xact_lock(hashtextextended('` + in.ID.String() + `', 0))`)
	deleted := make(chan error, 1)
	go func() { deleted <- d.store.Library.DeleteDocument(ctx, d.space.ID, in.DocumentID) }()
	d.blocked() // it has listed the ingestion
	_, err := moving.Exec(ctx, `update ingest_jobs set document_id = $2, source_type = 'pdf' where id = $1`, in.ID, other.DocumentID)
	require.NoError(t, err)
	require.NoError(t, moving.Commit(ctx))
	require.NoError(t, <-deleted)
	now, err := d.store.Library.Ingest(ctx, d.space.ID, in.ID)
	require.NoError(t, err)
	require.Equal(t, library.IngestQueued, now.Status, "it is of another document by now")
	_, err = d.store.Library.Document(ctx, d.space.ID, in.DocumentID)
	require.ErrorIs(t, err, store.ErrNotFound)
}

func TestCancelingARunPlanThatOthersHaveEndedIsRefused(t *testing.T) {
	d := newFixture(t)
	ctx := t.Context()
	plan, tunes := d.runPlan("k", 1)
	hold := d.open(`select pg_advisory_xact_lock(hashtextextended('` + tunes[0].String() + `', 0))`)
	both := make(chan error, 2)
	for range 2 {
		go func() { both <- d.store.Tuning.CancelRunPlan(ctx, d.space.ID, plan) }()
	}
	d.blockedBy(2)
	require.NoError(t, hold.Commit(ctx))
	first, second := <-both, <-both
	if first == nil {
		first, second = second, first
	}
	require.NoError(t, second)
	require.ErrorIs(t, first, store.ErrEnded, "two cancels of one plan both say that they did it")
}

// The folds of a walk-forward that ends early end with it, each with its event.
func TestTheFoldsOfACanceledWalkForwardEachRecordTheirEnd(t *testing.T) {
	d := newFixture(t)
	wfo, folds := d.wfo("k", 3, false)
	_, err := d.store.WalkForward.Cancel(t.Context(), d.space.ID, wfo.ID)
	require.NoError(t, err)
	for i := range folds {
		d.checkEnd(foldSubject("fold", wfo.ID, i), move{}, move{}, nil, "the walk-forward was canceled")
	}
	require.Equal(t, 3, d.count(`select count(*) from event_log where type = 'wfo.fold.canceled' and entity_id = $1::uuid::text`, wfo.ID))
}
