package types

import (
	"time"
)

// IngestRequest is a source to ingest: an address to fetch, or what is sent as text or as a file.
// The parts of a form have the same names, and one more, file.
type IngestRequest struct {
	URL        string     `json:"url" doc:"where the source is, or where the text or file sent is from"`
	Text       string     `json:"text" doc:"the source itself"`
	Name       string     `json:"name" doc:"its file name; the same name and content again change nothing, other content is another document"`
	Source     string     `json:"source,omitempty" doc:"what the text or file sent is known by, such as its path, or the url of a document that was sent: the same source again replaces the document"`
	Title      string     `json:"title" doc:"in place of the source's own; of a dataset, its name"`
	SourceType SourceType `json:"source_type" doc:"default: found out"`
	Language   string     `json:"language" doc:"of the subtitles to fetch, as in en or pt-BR"`
	Symbol     string     `json:"symbol" doc:"of a dataset"`
	Timeframe  string     `json:"timeframe" doc:"of a dataset; default: found in the bars"`
	Calendar   int        `json:"calendar" doc:"of a dataset: 252 (default) or 365"`
}

// IngestProgress is how far the present stage of an ingestion is.
type IngestProgress struct {
	Stage string `json:"stage"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

// Ingest is an ingestion.
type Ingest struct {
	JobID         string         `json:"job_id"`
	Status        IngestStatus   `json:"status"`
	SourceType    SourceType     `json:"source_type"`
	DocumentID    string         `json:"document_id"`
	DatasetID     *string        `json:"dataset_id"`
	URL           *string        `json:"url"`
	Name          string         `json:"name"`
	Outcome       *string        `json:"outcome"`
	Reason        *string        `json:"reason"`
	Progress      IngestProgress `json:"progress"`
	Attempts      int            `json:"attempts"`
	Retries       int            `json:"retries"`   // how often it was taken up again after it had failed or was cancelled
	Retryable     bool           `json:"retryable"` // whether taking it up again can help: it did not fail of its own input, and what it reads can be fetched
	NextAttemptAt *time.Time     `json:"next_attempt_at"`
	Bytes         int64          `json:"bytes"`
	Chunks        int            `json:"chunks"`
	CreatedAt     time.Time      `json:"created_at"`
	StartedAt     *time.Time     `json:"started_at"`
	CompletedAt   *time.Time     `json:"completed_at"`
}
