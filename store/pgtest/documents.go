package pgtest

import (
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Document is an ingested document that a test needs; each text is a chunk.
type Document struct {
	SourceType string // "" is text
	Title      string
	URL        string // "" is one of its own
	Texts      []string
	Headings   []string // of the texts; nil: none
}

// Insert puts a document into a workspace as its ingestion would, less the vectors. It returns its
// id and those of its chunks, in order.
func (d Document) Insert(t testing.TB, owner *pgxpool.Pool, workspace uuid.UUID) (id uuid.UUID, chunks []uuid.UUID) {
	t.Helper()
	if d.SourceType == "" {
		d.SourceType = "text"
	}
	id = uuid.New()
	_, err := owner.Exec(t.Context(), `
		insert into documents (id, workspace_id, source_type, canonical_url, title, revision, chunks)
		values ($1::uuid, $2, $3, coalesce(nullif($6, ''), 'text:' || $1::uuid), $4, 1, $5)`,
		id, workspace, d.SourceType, d.Title, len(d.Texts), d.URL)
	if err != nil {
		t.Fatalf("pgtest: insert document: %v", err)
	}
	for range d.Texts {
		chunks = append(chunks, uuid.New())
	}
	_, err = owner.Exec(t.Context(), `
		insert into chunks (id, workspace_id, document_id, revision, idx, position, text, tokens, search)
		select id, $1, $2, 1, n - 1, jsonb_strip_nulls(jsonb_build_object('heading', heading)), text, 1,
		       setweight(to_tsvector('english', $3 || ' ' || coalesce(heading, '')), 'A') || setweight(to_tsvector('english', text), 'D')
		  from unnest($4::uuid[], $5::text[], $6::text[]) with ordinality c (id, text, heading, n)`,
		workspace, id, d.Title, chunks, d.Texts, d.Headings)
	if err != nil {
		t.Fatalf("pgtest: insert chunks: %v", err)
	}
	return id, chunks
}
