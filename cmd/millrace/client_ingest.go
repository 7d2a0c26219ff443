package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"millrace/api/client"
	"millrace/api/types"
)

// ingestSource is a file or an address, and what has become of it.
type ingestSource struct {
	path  string
	name  string // of the file, as it is shown; "" for an address
	isURL bool
	// identity is what the document is known by: the same file named in any way is the same document.
	identity string
	state    types.Ingest
	err      error // why it was not even accepted
}

func (s *ingestSource) ended() bool { return s.err != nil || s.state.Status.Ended() }

func (s *ingestSource) failed() bool {
	return s.err != nil || s.state.Status.Ended() && s.state.Status != types.IngestCompleted
}

// reason is why it failed, or waits, on one line.
func (s *ingestSource) reason() string {
	if s.err == nil {
		return printable(text(s.state.Reason))
	}
	var p *client.Error
	if errors.As(s.err, &p) && len(p.Errors) > 0 {
		return printable(p.Errors[0].Field + " " + p.Errors[0].Message)
	}
	return printable(strings.ReplaceAll(s.err.Error(), "\n", ";"))
}

// inlineText is the most that a text file may have to be sent as JSON: of uploads a server takes fewer.
const inlineText = 1 << 20

// submitIngest submits a source once, however often the request has to be sent.
func submitIngest(ctx context.Context, api *client.Client, source *ingestSource, request types.IngestRequest) (*types.Ingest, error) {
	content, small, err := smallText(source)
	switch {
	case err != nil:
		return nil, err
	case small || source.isURL:
		request.Text = content
		return api.Ingest(ctx, "", request)
	}
	file, err := fileOf(source.path)
	if err != nil {
		return nil, err
	}
	return api.IngestFile(ctx, "", file, formFields(request))
}

// formFields are a request as the parts of a form, without those that are not given.
func formFields(request types.IngestRequest) map[string]string {
	fields := map[string]string{
		"name": request.Name, "source": request.Source, "title": request.Title, "language": request.Language, "symbol": request.Symbol,
		"timeframe": request.Timeframe, "source_type": string(request.SourceType),
	}
	maps.DeleteFunc(fields, func(_, value string) bool { return value == "" })
	return fields
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

// followIngests shows the board's ingestions until all have ended or ctx does. Whenever the stream had
// to be opened again, those that have not ended are read again, so nothing in between is missed.
func followIngests(ctx context.Context, api *client.Client, board *ingestBoard) error {
	refresh := func(ctx context.Context) error {
		for _, id := range board.waiting() {
			if err := refreshIngest(ctx, api, board, id); err != nil {
				return err
			}
		}
		return nil
	}
	handle := func(e types.Event) error {
		if !strings.HasPrefix(e.Type, "ingestion.job.") {
			return nil
		}
		var p types.IngestEvent
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return fmt.Errorf("read event %s: %w", e.Cursor, err)
		}
		if p.Status.Ended() && board.knows(e.EntityID) {
			return refreshIngest(ctx, api, board, e.EntityID) // the row has all that is shown at the end
		}
		board.update(types.Ingest{
			JobID: e.EntityID, Status: p.Status, SourceType: p.SourceType, DocumentID: p.DocumentID, DatasetID: p.DatasetID, Name: p.Name,
			Progress: types.IngestProgress{Stage: p.Stage, Done: p.Done, Total: p.Total}, Outcome: p.Outcome, Reason: p.Reason, Chunks: p.Chunks,
		})
		return nil
	}
	return api.Events("ingestion").Run(ctx, refresh, handle)
}

func refreshIngest(ctx context.Context, api *client.Client, board *ingestBoard, id string) error {
	state, err := api.IngestJob(ctx, id)
	if err != nil {
		return err
	}
	board.update(*state)
	return nil
}

// text is what a pointer of the API points to, or "" for null.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
