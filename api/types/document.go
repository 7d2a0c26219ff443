package types

import (
	"time"
)

// Document is a document.
type Document struct {
	DocumentID  string         `json:"document_id"`
	Status      string         `json:"status" doc:"ready, or pending until its first ingestion has ended well"`
	SourceType  SourceType     `json:"source_type"`
	URL         string         `json:"url"`
	Title       string         `json:"title"`
	Author      string         `json:"author"`
	PublishedAt *time.Time     `json:"published_at"`
	Metadata    map[string]any `json:"metadata"`
	SHA256      string         `json:"sha256"`
	Revision    int64          `json:"revision"`
	ChunkCount  int            `json:"chunk_count"`
	Tokens      int            `json:"tokens"`
	CreatedAt   time.Time      `json:"created_at"`
	UpdatedAt   time.Time      `json:"updated_at"`
}

// Chunk is a passage of a document.
type Chunk struct {
	ChunkID  string   `json:"chunk_id"`
	Index    int      `json:"index"`
	Position Position `json:"position"`
	Cite     string   `json:"cite" doc:"the position as a citation shows it"`
	Text     string   `json:"text"`
	Tokens   int      `json:"tokens"`
}

// DocumentDetail is a document with a page of its chunks.
type DocumentDetail struct {
	Document
	Chunks     []Chunk `json:"chunks"`
	NextCursor *string `json:"next_cursor"`
}
