package library_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/storetest"
)

func TestTransitionsEndNothingTwiceAndAreRefusedAfterTheEnd(t *testing.T) {
	t.Parallel()
	storetest.RunTransitions(t, knowledgeMachines())
}

func knowledgeMachines() []storetest.Machine {
	return []storetest.Machine{
		{Name: "queued ingestion", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			in := d.IngestOf(key)
			lease := d.Claim(in.RiverJobID, "w")
			return []storetest.Subject{storetest.StatusSubject("ingestion", "ingest_jobs", in.ID), documentSubject(in.DocumentID)},
				append(endsOfIngest(d, lease, in), storetest.Move{Name: "begin", Do: func(ctx context.Context) error {
					_, _, err := d.Store.Library.BeginIngest(ctx, lease, in.ID)
					return err
				}})
		}},
		{Name: "running ingestion", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			in := d.IngestOf(key)
			lease := d.Claim(in.RiverJobID, "w")
			begun, _, err := d.Store.Library.BeginIngest(d.T.Context(), lease, in.ID)
			require.NoError(d.T, err)
			made := d.Ingested(begun, 2, "text")
			return []storetest.Subject{storetest.StatusSubject("ingestion", "ingest_jobs", in.ID), documentSubject(in.DocumentID)},
				append(endsOfIngest(d, lease, in),
					storetest.Move{Name: "report", Do: func(ctx context.Context) error {
						return d.Store.Library.ReportIngest(ctx, lease, in.ID, "embed", 1, 2)
					}},
					storetest.Move{Name: "retry", Do: func(ctx context.Context) error {
						return d.Store.Library.RetryIngest(ctx, lease, in.ID, "away", time.Now())
					}},
					storetest.Move{Name: "retype", Do: func(ctx context.Context) error {
						_, _, err := d.Store.Library.RetypeIngest(ctx, lease, in.ID, knowledge.SourcePDF)
						return err
					}},
					storetest.Move{Name: "finish", Do: func(ctx context.Context) error {
						_, err := d.Store.Library.FinishIngest(ctx, lease, in.ID, made)
						return err
					}, Subject: "ingestion", Ends: "completed"})
		}},
		{Name: "re-embedding", Begin: func(d *storetest.Fixture, key string) ([]storetest.Subject, []storetest.Move) {
			id, lease := reembed(d, key)
			return []storetest.Subject{storetest.StatusSubject("re-embedding", "reembeds", id)}, []storetest.Move{
				d.Loses(lease.JobID), d.Reconciles(),
				{Name: "begin", Do: func(ctx context.Context) error {
					_, err := d.Store.Library.BeginReembed(ctx, lease, id)
					return err
				}},
				{Name: "note", Do: func(ctx context.Context) error { return d.Store.Library.NoteReembedded(ctx, lease, id, nil, nil) }},
				{Name: "wait", Do: func(ctx context.Context) error { return d.Store.Library.WaitReembed(ctx, lease, id, "away") }},
				{Name: "finish", Do: func(ctx context.Context) error { return d.Store.Library.FinishReembed(ctx, lease, id) }, Subject: "re-embedding", Ends: "completed"},
				{Name: "fail", Do: func(ctx context.Context) error { return d.Store.Library.FailReembed(ctx, lease, id, "no") }, Subject: "re-embedding", Ends: "failed"},
			}
		}},
	}
}

// endsOfIngest are the transitions that an ingestion has in every state.
func endsOfIngest(d *storetest.Fixture, lease store.Lease, in *library.Ingest) []storetest.Move {
	return []storetest.Move{
		d.Loses(lease.JobID), d.Reconciles(),
		{Name: "cancel", Do: func(ctx context.Context) error {
			_, err := d.Store.Library.CancelIngest(ctx, d.Space.ID, in.ID)
			return err
		}, Subject: "ingestion", Ends: "canceled"},
		{Name: "fail", Do: func(ctx context.Context) error {
			return d.Store.Library.FailIngest(ctx, lease, in.ID, store.Failure{Reason: "no"})
		}, Subject: "ingestion", Ends: "failed"},
		{Name: "abandon", Do: func(ctx context.Context) error { return d.Store.Library.AbandonIngest(ctx, lease, in.ID, "gone") }, Subject: "ingestion", Ends: "canceled"},
		{Name: "delete the document", Do: func(ctx context.Context) error {
			return d.Store.Library.DeleteDocument(ctx, d.Space.ID, in.DocumentID)
		}, Subject: "document", Ends: "canceled"},
		{Name: "submit the source again", Always: true, Do: func(ctx context.Context) error {
			_, err := d.SubmitSource(ctx, uuid.NewString(), *in.URL)
			return err
		}},
	}
}

// documentSubject is a document: it is canceled once it is deleted.
func documentSubject(id uuid.UUID) storetest.Subject {
	return storetest.Subject{Name: "document", Args: []any{id},
		Status: `select case when exists (select from event_log where entity_id = $1::uuid::text and type = 'ingestion.document.deleted')
		                     then 'canceled' else 'there' end`,
		Events: `select 'canceled' from event_log where entity_id = $1::uuid::text and type = 'ingestion.document.deleted'`}
}

// reembed submits a re-embedding of a workspace without chunks, and claims its job.
func reembed(d *storetest.Fixture, key string) (uuid.UUID, store.Lease) {
	d.T.Helper()
	d.Exec(`update reembeds set status = 'failed' where status in ('queued', 'running')`)
	to := knowledge.PlacementOf(knowledge.Model{Provider: "other", Name: "words", Dimensions: 8})
	var id uuid.UUID
	_, err := d.Store.Library.CreateReembed(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: key}, to,
		func(r *library.Reembed) (store.Response, error) { id = r.ID; return store.Response{Status: 202}, nil })
	require.NoError(d.T, err)
	return id, d.Claim(d.JobOf(`select river_job_id from reembeds where id = $1`, id), "w")
}
