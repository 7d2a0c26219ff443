package knowledge

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
)

// SourceType is what kind of thing a document was made from.
type SourceType string

// The source types. A dataset is ingested too, but becomes bars and no document.
const (
	SourceYouTube SourceType = "youtube"
	SourcePDF     SourceType = "pdf"
	SourceArticle SourceType = "article"
	SourcePine    SourceType = "pine"
	SourceText    SourceType = "text"
	SourceDataset SourceType = "dataset"
)

// SourceTypes lists every source type, in the order in which they are shown.
func SourceTypes() []SourceType {
	return []SourceType{SourceYouTube, SourcePDF, SourceArticle, SourcePine, SourceText, SourceDataset}
}

// Document is what is known of one ingested source. A workspace holds one document for a source
// type and canonical URL; ingesting it again with other content gives it the next revision.
type Document struct {
	ID           uuid.UUID
	WorkspaceID  uuid.UUID
	SourceType   SourceType
	CanonicalURL string // where it came from; upload:… or text:… when it was sent to us
	Title        string
	Author       string
	PublishedAt  *time.Time
	Metadata     map[string]any // what only this source type has, such as Pine Script inputs and lint
	SHA256       []byte         // of the extracted text and metadata
	Revision     int64          // each new content has a higher one; 0 until the first is stored
	Chunks       int
	Tokens       int
	CreatedAt    time.Time
	UpdatedAt    time.Time
}

// Chunk is a passage of a document: what is embedded, found and cited. Its ID belongs to one
// revision of the document, so a citation of a replaced chunk is found to be gone, never wrong.
type Chunk struct {
	ID         uuid.UUID
	DocumentID uuid.UUID
	Index      int // place in the document, from 0
	Position   Position
	Text       string
	Tokens     int // cl100k
}

// EmbedText is what is embedded for a chunk of a document of that title: the passage under the title
// and heading that it stands under, since a passage seldom names its own subject.
func (c Chunk) EmbedText(title string) string {
	text := c.Text
	if c.Position.Heading != "" && !strings.Contains(text, c.Position.Heading) {
		text = c.Position.Heading + "\n" + text
	}
	if title != "" {
		text = title + "\n" + text
	}
	return text
}

// Position is where in its document a chunk stands; what a source type does not have is zero.
type Position struct {
	Page         int      `json:"page,omitempty"` // first page, from 1
	PageEnd      int      `json:"page_end,omitempty"`
	Line         int      `json:"line,omitempty"` // first line, from 1
	LineEnd      int      `json:"line_end,omitempty"`
	StartSeconds *float64 `json:"start_seconds,omitempty"` // of a recording
	EndSeconds   *float64 `json:"end_seconds,omitempty"`
	Heading      string   `json:"heading,omitempty"` // nearest heading above
}

// String is the position as a citation shows it: "p. 3–4", "12:05–13:10" or "lines 10–40"; "" when
// there is nothing to show.
func (p Position) String() string {
	switch {
	case p.Page > 0:
		return span("p. ", "p. ", p.Page, p.PageEnd)
	case p.StartSeconds != nil:
		text := clock(*p.StartSeconds)
		if p.EndSeconds != nil && clock(*p.EndSeconds) != text {
			text += "–" + clock(*p.EndSeconds)
		}
		return text
	case p.Line > 0:
		return span("line ", "lines ", p.Line, p.LineEnd)
	}
	return ""
}

func span(one, many string, first, last int) string {
	if last <= first {
		return fmt.Sprintf("%s%d", one, first)
	}
	return fmt.Sprintf("%s%d–%d", many, first, last)
}

// clock renders seconds as 1:02:03 or 2:03.
func clock(seconds float64) string {
	s := int64(seconds)
	if s < 3600 {
		return fmt.Sprintf("%d:%02d", s/60, s%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// Fetcher gets a source from the network. An implementation refuses addresses that are not public,
// bounds size and time, and reports every refusal as a *FetchError.
type Fetcher interface {
	Fetch(ctx context.Context, url string, most int64) (Fetched, error)
}

// Fetched is a source as the network gave it.
type Fetched struct {
	URL         string // after redirects
	ContentType string // as the server named it
	Body        []byte
	Done        func() // gives back the memory that the body is counted under; may be nil
}

// Release gives back what holding the body takes. It may be called again.
func (f Fetched) Release() {
	if f.Done != nil {
		f.Done()
	}
}

// FetchError is why a source could not be fetched, in words for the user.
type FetchError struct {
	Reason     string
	Permanent  bool          // asking again would meet the same answer
	RetryAfter time.Duration // what the source asks to wait; 0 when it names nothing
	Err        error         // the cause, for the log; may be nil
}

// Error implements error.
func (e *FetchError) Error() string { return e.Reason }

// Unwrap gives the cause.
func (e *FetchError) Unwrap() error { return e.Err }
