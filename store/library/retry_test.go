package library_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/library"
	"millrace/store/storetest"
)

func TestARetriedIngestionRunsAgainWithItsDocument(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	retry := func(id uuid.UUID) (again *library.Ingest, err error) {
		_, err = d.Store.Library.RetryEndedIngest(ctx, store.Submission{Workspace: d.Space.ID, Route: "retry"}, 0, id,
			func(in *library.Ingest) (store.Response, error) { again = in; return store.Response{Status: 202}, nil })
		return again, err
	}
	made, err := d.SubmitSource(ctx, "1", "http://a.test/")
	require.NoError(t, err)
	var unfit *store.NotRetryableError
	_, err = retry(made.ID)
	require.ErrorAs(t, err, &unfit, "it has not ended")
	stale := d.Claim(made.RiverJobID, "w")
	_, err = d.Store.Library.CancelIngest(ctx, d.Space.ID, made.ID)
	require.NoError(t, err)
	require.Zero(t, d.Count(`select count(*) from documents`), "the document goes with the ingestion")

	again, err := retry(made.ID)
	require.NoError(t, err)
	require.Equal(t, library.IngestQueued, again.Status)
	require.Equal(t, 1, again.Retries)
	require.Nil(t, again.CompletedAt)
	require.Equal(t, 1, d.Count(`select count(*) from documents where id = $1 and canonical_url = 'http://a.test/'`, again.DocumentID))
	_, _, err = d.Store.Library.BeginIngest(ctx, stale, made.ID)
	require.ErrorIs(t, err, store.ErrEnded, "the job of before was asked to stop")
	lease := d.Claim(again.RiverJobID, "w")
	_, _, err = d.Store.Library.BeginIngest(ctx, lease, made.ID)
	require.NoError(t, err)
	require.NoError(t, d.Store.Library.FailIngest(ctx, lease, made.ID, store.Failure{Reason: "no luck"}))
	require.Equal(t, []string{
		"ingestion.job.queued", "ingestion.job.canceled", "ingestion.job.queued", "ingestion.job.running", "ingestion.job.failed",
	}, d.EventTypes(made.ID))

	ended := func() *library.Ingest {
		in, err := d.Store.Library.Ingest(ctx, d.Space.ID, made.ID)
		require.NoError(t, err)
		return in
	}
	require.True(t, ended().Retryable())
	again, err = retry(made.ID)
	require.NoError(t, err)
	require.False(t, again.Retryable(), "it waits")
	require.NoError(t, d.Store.Library.FailIngest(ctx, d.Claim(again.RiverJobID, "w"), made.ID, store.Failure{Reason: "refused", Final: true}))
	require.False(t, ended().Retryable(), "it would be refused again")
	again, err = retry(made.ID)
	require.NoError(t, err, "who wants to may")
	require.False(t, again.Final)
	require.NoError(t, d.Store.Library.FailIngest(ctx, d.Claim(again.RiverJobID, "w"), made.ID, store.Failure{Reason: "no luck"}))

	d.Exec(`update ingest_jobs set url = null`)
	require.False(t, ended().Retryable())
	_, err = retry(made.ID)
	require.ErrorAs(t, err, &unfit, "what was sent is not kept")
}
