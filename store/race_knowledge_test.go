package store_test

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/recommend"
)

func knowledgeMachines() []machine {
	return []machine{
		{"queued ingestion", func(d *fixture, key string) ([]subject, []move) {
			in := d.ingestOf(key)
			lease := d.claim(in.RiverJobID, "w")
			return []subject{statusSubject("ingestion", "ingest_jobs", in.ID), documentSubject(in.DocumentID)},
				append(d.endsOfIngest(lease, in), move{name: "begin", do: func(ctx context.Context) error {
					_, _, err := d.store.Library.BeginIngest(ctx, lease, in.ID)
					return err
				}})
		}},
		{"running ingestion", func(d *fixture, key string) ([]subject, []move) {
			in := d.ingestOf(key)
			lease := d.claim(in.RiverJobID, "w")
			begun, _, err := d.store.Library.BeginIngest(d.t.Context(), lease, in.ID)
			require.NoError(d.t, err)
			made := d.ingested(begun, 2, "text")
			return []subject{statusSubject("ingestion", "ingest_jobs", in.ID), documentSubject(in.DocumentID)},
				append(d.endsOfIngest(lease, in),
					move{name: "report", do: func(ctx context.Context) error {
						return d.store.Library.ReportIngest(ctx, lease, in.ID, "embed", 1, 2)
					}},
					move{name: "retry", do: func(ctx context.Context) error {
						return d.store.Library.RetryIngest(ctx, lease, in.ID, "away", time.Now())
					}},
					move{name: "retype", do: func(ctx context.Context) error {
						_, _, err := d.store.Library.RetypeIngest(ctx, lease, in.ID, knowledge.SourcePDF)
						return err
					}},
					move{name: "finish", do: func(ctx context.Context) error {
						_, err := d.store.Library.FinishIngest(ctx, lease, in.ID, made)
						return err
					}, subject: "ingestion", ends: "completed"})
		}},
		{"re-embedding", func(d *fixture, key string) ([]subject, []move) {
			id, lease := d.reembed(key)
			return []subject{statusSubject("re-embedding", "reembeds", id)}, []move{
				d.loses(lease.JobID), d.reconciles(),
				{name: "begin", do: func(ctx context.Context) error {
					_, err := d.store.Library.BeginReembed(ctx, lease, id)
					return err
				}},
				{name: "note", do: func(ctx context.Context) error { return d.store.Library.NoteReembedded(ctx, lease, id, nil) }},
				{name: "wait", do: func(ctx context.Context) error { return d.store.Library.WaitReembed(ctx, lease, id, "away") }},
				{name: "finish", do: func(ctx context.Context) error { return d.store.Library.FinishReembed(ctx, lease, id) }, subject: "re-embedding", ends: "completed"},
				{name: "fail", do: func(ctx context.Context) error { return d.store.Library.FailReembed(ctx, lease, id, "no") }, subject: "re-embedding", ends: "failed"},
			}
		}},
		{"gap", func(d *fixture, key string) ([]subject, []move) {
			intent := knowledge.Intent{Kind: "query", Parts: []string{key}}
			record := func(name string, matches int, best float64) move {
				return move{name: name, always: true, do: func(ctx context.Context) error {
					_, err := d.store.Recommend.RecordMatch(ctx, d.space.ID, recommend.NewMatchRun{
						Text: key, Intent: intent, Request: struct{}{}, Status: knowledge.RecommendOK, Matches: matches, Best: best})
					return err
				}}
			}
			id, err := d.store.Recommend.RecordMatch(d.t.Context(), d.space.ID, recommend.NewMatchRun{
				Text: key, Intent: intent, Request: struct{}{}, Status: knowledge.RecommendNone})
			require.NoError(d.t, err)
			return []subject{{name: "gap", args: []any{id},
					status: `select coverage_status from match_runs where id = $1`,
					events: `select payload ->> 'coverage_status' from event_log where entity_id = $1::uuid::text order by xid, id`,
				}}, []move{
					record("match weakly", 0, 0), record("match well", 20, 0.9),
					{name: "acknowledge", do: func(ctx context.Context) error {
						_, err := d.store.Recommend.AcknowledgeGap(ctx, id, "admin")
						return err
					}},
					{name: "resolve", do: func(ctx context.Context) error {
						_, err := d.store.Recommend.ResolveGap(ctx, id, "admin", recommend.GapAnswer{Note: "n"})
						return err
					}, subject: "gap", ends: "resolved"},
				}
		}},
	}
}

// endsOfIngest are the transitions that an ingestion has in every state.
func (d *fixture) endsOfIngest(lease store.Lease, in *library.Ingest) []move {
	return []move{
		d.loses(lease.JobID), d.reconciles(),
		{name: "cancel", do: func(ctx context.Context) error {
			_, err := d.store.Library.CancelIngest(ctx, d.space.ID, in.ID)
			return err
		}, subject: "ingestion", ends: "canceled"},
		{name: "fail", do: func(ctx context.Context) error { return d.store.Library.FailIngest(ctx, lease, in.ID, "no") }, subject: "ingestion", ends: "failed"},
		{name: "abandon", do: func(ctx context.Context) error { return d.store.Library.AbandonIngest(ctx, lease, in.ID, "gone") }, subject: "ingestion", ends: "canceled"},
		{name: "delete the document", do: func(ctx context.Context) error {
			return d.store.Library.DeleteDocument(ctx, d.space.ID, in.DocumentID)
		}, subject: "document", ends: "canceled"},
		{name: "submit the source again", always: true, do: func(ctx context.Context) error {
			_, err := d.submitSource(ctx, uuid.NewString(), *in.URL)
			return err
		}},
	}
}

// documentSubject is a document: it is canceled once it is deleted.
func documentSubject(id uuid.UUID) subject {
	return subject{name: "document", args: []any{id},
		status: `select case when exists (select from event_log where entity_id = $1::uuid::text and type = 'ingestion.document.deleted')
		                     then 'canceled' else 'there' end`,
		events: `select 'canceled' from event_log where entity_id = $1::uuid::text and type = 'ingestion.document.deleted'`}
}

func (d *fixture) submitSource(ctx context.Context, key, url string) (*library.Ingest, error) {
	var made *library.Ingest
	_, err := d.store.Library.CreateIngest(ctx, store.Submission{Workspace: d.space.ID, Route: "test", Key: key},
		library.NewIngest{SourceType: knowledge.SourceText, Detected: true, CanonicalURL: url, URL: url},
		func(in *library.Ingest) (store.Response, error) { made = in; return store.Response{Status: 202}, nil })
	return made, err
}

// ingestOf submits an ingestion with a document of its own.
func (d *fixture) ingestOf(key string) *library.Ingest {
	d.t.Helper()
	in, err := d.submitSource(d.t.Context(), key, "http://a.test/"+uuid.NewString())
	require.NoError(d.t, err)
	return in
}

// reembed submits a re-embedding of a workspace without chunks, and claims its job.
func (d *fixture) reembed(key string) (uuid.UUID, store.Lease) {
	d.t.Helper()
	d.exec(`update reembeds set status = 'failed' where status in ('queued', 'running')`)
	to := knowledge.PlacementOf(knowledge.Model{Provider: "other", Name: "words", Dimensions: 8})
	var id uuid.UUID
	_, err := d.store.Library.CreateReembed(d.t.Context(), store.Submission{Workspace: d.space.ID, Route: "test", Key: key}, to,
		func(r *library.Reembed) (store.Response, error) { id = r.ID; return store.Response{Status: 202}, nil })
	require.NoError(d.t, err)
	return id, d.claim(d.jobOf(`select river_job_id from reembeds where id = $1`, id), "w")
}
