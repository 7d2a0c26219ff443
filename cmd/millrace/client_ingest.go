package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"
)

// ingestState is what the client shows of an ingestion: its row, or the payload of one of its events.
type ingestState struct {
	JobID      string `json:"job_id"`
	Status     string `json:"status"`
	SourceType string `json:"source_type"`
	DocumentID string `json:"document_id"`
	Outcome    string `json:"outcome"`
	Reason     string `json:"reason"`
	Chunks     int    `json:"chunks"`
	Progress   struct {
		Stage string `json:"stage"`
		Done  int    `json:"done"`
		Total int    `json:"total"`
	} `json:"progress"`
	raw []byte
}

func (s *ingestState) ended() bool {
	return s.Status == "completed" || s.Status == "failed" || s.Status == "canceled"
}

// ingestSource is a file or an address, and what has become of it.
type ingestSource struct {
	path  string
	name  string // what the document is known by; "" for an address
	isURL bool
	state ingestState
	err   error // why it was not even accepted
}

func (s *ingestSource) ended() bool { return s.err != nil || s.state.ended() }

func (s *ingestSource) failed() bool {
	return s.err != nil || s.state.ended() && s.state.Status != "completed"
}

// reason is why it failed, or waits, on one line.
func (s *ingestSource) reason() string {
	if s.err == nil {
		return printable(s.state.Reason)
	}
	var p *problem
	if errors.As(s.err, &p) && len(p.Errors) > 0 {
		return printable(p.Errors[0].Field + " " + p.Errors[0].Message)
	}
	return printable(strings.ReplaceAll(s.err.Error(), "\n", ";"))
}

// inlineText is the most that a text file may have to be sent as JSON: of uploads a server takes fewer.
const inlineText = 1 << 20

// submitIngest submits a source once, however often the request has to be sent.
func (c *client) submitIngest(ctx context.Context, source *ingestSource, fields map[string]string) (ingestState, error) {
	key := uuid.NewString()
	raw, err := []byte(nil), error(nil)
	switch text, ok, readErr := smallText(source); {
	case readErr != nil:
		return ingestState{}, readErr
	case source.isURL:
		raw, err = c.post(ctx, "/ingest", key, fields)
	case ok:
		fields["text"] = text
		raw, err = c.post(ctx, "/ingest", key, fields)
	default:
		raw, err = c.postFile(ctx, "/ingest", key, source.path, fields)
	}
	if err != nil {
		return ingestState{}, err
	}
	return readIngest(raw)
}

// smallText reads a file that can be sent as it is in JSON.
func smallText(source *ingestSource) (string, bool, error) {
	if source.isURL {
		return "", false, nil
	}
	info, err := os.Stat(source.path)
	if err != nil {
		return "", false, err
	}
	if info.Size() == 0 || info.Size() > inlineText || strings.EqualFold(filepath.Ext(source.path), ".parquet") {
		return "", false, nil
	}
	content, err := os.ReadFile(source.path)
	if err != nil || !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0 || bytes.HasPrefix(content, []byte("%PDF-")) {
		return "", false, err
	}
	return string(content), true, nil
}

// postFile sends a file as a form, read from the disk as it goes out.
func (c *client) postFile(ctx context.Context, path, key, file string, fields map[string]string) ([]byte, error) {
	var frame bytes.Buffer
	form := multipart.NewWriter(&frame)
	for name, value := range fields {
		if err := form.WriteField(name, value); err != nil {
			return nil, fmt.Errorf("encode upload: %w", err)
		}
	}
	_, err := form.CreateFormFile("file", filepath.Base(file))
	head := frame.Len()
	if err = errors.Join(err, form.Close()); err != nil {
		return nil, fmt.Errorf("encode upload: %w", err)
	}
	return c.retry(ctx, func() (*http.Request, error) {
		content, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		info, err := content.Stat()
		if err != nil {
			return nil, errors.Join(err, content.Close())
		}
		body := io.MultiReader(bytes.NewReader(frame.Bytes()[:head]), content, bytes.NewReader(frame.Bytes()[head:]))
		req, err := c.request(ctx, http.MethodPost, path, struct {
			io.Reader
			io.Closer
		}{body, content})
		if err != nil {
			return nil, errors.Join(err, content.Close())
		}
		req.ContentLength = int64(frame.Len()) + info.Size()
		req.Header.Set("Content-Type", form.FormDataContentType())
		req.Header.Set("X-Idempotency-Key", key)
		req.Header.Set("Expect", "100-continue") // a server that will not have it says so before it is sent
		return req, nil
	})
}

func readIngest(raw []byte) (ingestState, error) {
	s := ingestState{raw: raw}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("read the ingestion: %w", err)
	}
	if s.JobID == "" {
		return s, errors.New("the server at this address answered with something that is not an ingestion")
	}
	return s, nil
}

// followIngests shows the board's ingestions until all have ended or ctx does. Whenever the stream had
// to be opened again, those that have not ended are read again, so nothing in between is missed.
func (c *client) followIngests(ctx context.Context, board *ingestBoard) error {
	refresh := func(ctx context.Context) error {
		for _, id := range board.waiting() {
			if err := c.refreshIngest(ctx, board, id); err != nil {
				return err
			}
		}
		return nil
	}
	handle := func(e sseEvent) error {
		var event struct {
			Type     string `json:"type"`
			EntityID string `json:"entity_id"`
			Payload  struct {
				ingestState
				Stage string `json:"stage"`
				Done  int    `json:"done"`
				Total int    `json:"total"`
			} `json:"payload"`
		}
		if err := json.Unmarshal(e.Data, &event); err != nil {
			return fmt.Errorf("read event %s: %w", e.ID, err)
		}
		if !strings.HasPrefix(event.Type, "ingestion.job.") {
			return nil
		}
		state := event.Payload.ingestState
		state.JobID = event.EntityID
		state.Progress.Stage, state.Progress.Done, state.Progress.Total = event.Payload.Stage, event.Payload.Done, event.Payload.Total
		if state.ended() && board.knows(state.JobID) {
			return c.refreshIngest(ctx, board, state.JobID) // the row has all that is shown at the end
		}
		board.update(state)
		return nil
	}
	return newEventStream(c, "ingestion").Run(ctx, refresh, handle)
}

func (c *client) refreshIngest(ctx context.Context, board *ingestBoard, id string) error {
	raw, err := c.get(ctx, "/ingest/jobs/"+url.PathEscape(id))
	if err != nil {
		return err
	}
	state, err := readIngest(raw)
	if err != nil {
		return err
	}
	board.update(state)
	return nil
}
