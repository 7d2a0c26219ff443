package storetest

import (
	"bytes"
	"context"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store"
	"millrace/store/library"
)

// Ingest submits an ingestion of a text that is already extracted, as it were.
func (d *Fixture) Ingest(key string) *library.Ingest {
	d.T.Helper()
	var made *library.Ingest
	_, err := d.Store.Library.CreateIngest(d.T.Context(), store.Submission{Workspace: d.Space.ID, Route: "test", Key: key},
		library.NewIngest{SourceType: knowledge.SourceText, CanonicalURL: "upload:a.txt", Name: "a.txt", URL: "http://a.test/"},
		func(in *library.Ingest) (store.Response, error) { made = in; return store.Response{Status: 202}, nil })
	require.NoError(d.T, err)
	return made
}

// Ingested is a document of n chunks that all say the same.
func (d *Fixture) Ingested(in *library.Ingest, n int, text string) library.Ingested {
	d.T.Helper()
	placement, err := d.Store.Library.Placement(d.T.Context(), d.Space.ID, knowledge.HashEmbedder{}.Model())
	require.NoError(d.T, err)
	made := library.Ingested{Collection: placement.Collection.Name, Document: knowledge.Document{
		ID: in.DocumentID, WorkspaceID: d.Space.ID, SourceType: in.SourceType, Title: text, Metadata: map[string]any{},
		SHA256: bytes.Repeat([]byte{byte(n)}, 32), Revision: in.Revision,
	}}
	for i := range n {
		made.Chunks = append(made.Chunks, knowledge.Chunk{
			ID: uuid.New(), DocumentID: in.DocumentID, Index: i, Text: text, Tokens: 1, Position: knowledge.Position{Page: i + 1},
		})
	}
	return made
}

// SubmitSource submits an ingestion of an address.
func (d *Fixture) SubmitSource(ctx context.Context, key, url string) (*library.Ingest, error) {
	var made *library.Ingest
	_, err := d.Store.Library.CreateIngest(ctx, store.Submission{Workspace: d.Space.ID, Route: "test", Key: key},
		library.NewIngest{SourceType: knowledge.SourceText, Detected: true, CanonicalURL: url, URL: url},
		func(in *library.Ingest) (store.Response, error) { made = in; return store.Response{Status: 202}, nil })
	return made, err
}

// IngestOf submits an ingestion with a document of its own.
func (d *Fixture) IngestOf(key string) *library.Ingest {
	d.T.Helper()
	in, err := d.SubmitSource(d.T.Context(), key, "http://a.test/"+uuid.NewString())
	require.NoError(d.T, err)
	return in
}
