package api

import (
	"context"
	"encoding/hex"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/lifecycle"
)

func viewDocument(d knowledge.Document) types.Document {
	view := types.Document{
		DocumentID: d.ID.String(), Status: documentPending, SourceType: types.SourceType(d.SourceType), URL: d.CanonicalURL, Title: d.Title, Author: d.Author,
		PublishedAt: utc(d.PublishedAt), Metadata: shownMetadata(d.Metadata), SHA256: hex.EncodeToString(d.SHA256), Revision: d.Revision,
		ChunkCount: d.Chunks, Tokens: d.Tokens, CreatedAt: d.CreatedAt.UTC(), UpdatedAt: d.UpdatedAt.UTC(),
	}
	if d.Revision > 0 {
		view.Status = documentReady
	}
	return view
}

// The statuses of a document.
const (
	documentPending = "pending" // until its first ingestion is done
	documentReady   = "ready"
)

// shownMetadata leaves out the text of a script: POST /documents/:id/strategy makes a strategy of it.
func shownMetadata(all map[string]any) map[string]any {
	if _, ok := all[extract.PineScript]; !ok {
		return all
	}
	shown := maps.Clone(all)
	delete(shown, extract.PineScript)
	return shown
}

// listDocuments handles GET /documents.
func (s *Server) listDocuments(c echo.Context) (err error) {
	filter := library.DocumentFilter{Title: knowledge.Composed(c.QueryParam("title"))}
	if filter.SourceType, err = querySource(c); err != nil {
		return err
	}
	if len(filter.Title) > 300 || knowledge.Clean(filter.Title) != filter.Title {
		return badQuery("title", "must be at most 300 bytes of text", 300)
	}
	archived, err := queryBool(c, "archived")
	if err != nil {
		return err
	}
	filter.Archived = &archived
	place := func(d knowledge.Document) (time.Time, uuid.UUID) { return d.CreatedAt, d.ID }
	return newestFirst(c, 500, place, viewDocument, func(ctx context.Context, page store.Page, limit int) ([]knowledge.Document, error) {
		return s.store.Library.Documents(ctx, workspaceOf(c), filter, page, limit)
	})
}

// getDocument handles GET /documents/:id.
func (s *Server) getDocument(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	limit, err := queryInt(c, "limit", 50, 1, 500)
	if err != nil {
		return err
	}
	from, err := queryChunk(c)
	if err != nil {
		return err
	}
	doc, chunks, err := s.store.Library.DocumentChunks(c.Request().Context(), workspaceOf(c), id, from, limit+1)
	if err != nil {
		return err
	}
	page := paged(chunks, limit, func(last knowledge.Chunk) string { return packCursor(strconv.Itoa(last.Index + 1)) })
	detail := types.DocumentDetail{Document: viewDocument(doc), Chunks: make([]types.Chunk, len(page.Items)), NextCursor: page.NextCursor}
	for i, chunk := range page.Items {
		detail.Chunks[i] = types.Chunk{
			ChunkID: chunk.ID.String(), Index: chunk.Index, Position: types.Position(chunk.Position), Cite: chunk.Position.String(),
			Text: chunk.Text, Tokens: chunk.Tokens,
		}
	}
	return ok(c, detail)
}

// queryChunk reads the cursor of a document's chunks.
func queryChunk(c echo.Context) (int, error) {
	text := c.QueryParam("cursor")
	if text == "" {
		return 0, nil
	}
	parts, err := unpackCursor(text, 1)
	if err != nil {
		return 0, err
	}
	return cursorInt(parts[0], 0)
}

// deleteDocument handles DELETE /documents/:id.
func (s *Server) deleteDocument(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	workspace := workspaceOf(c)
	if dry, err := queryBool(c, "dry_run"); err != nil || dry {
		if err == nil {
			_, err = s.store.Library.Document(c.Request().Context(), workspace, id)
		}
		return alone(c, err, lifecycle.Document, id)
	}
	if err := s.store.Library.DeleteDocument(c.Request().Context(), workspace, id); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

// reingestDocument handles POST /documents/:id/reingest: its source is fetched again.
func (s *Server) reingestDocument(c echo.Context) error {
	var none struct{}
	sub, err := s.submission(c, &none)
	if err != nil {
		return err
	}
	id, err := pathID(c)
	if err != nil {
		return err
	}
	doc, err := s.store.Library.Document(c.Request().Context(), sub.Workspace, id)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(doc.CanonicalURL, "http") {
		return fieldProblem("id", "names a document that was sent and not fetched: send it again with its url as source", doc.CanonicalURL)
	}
	resp, err := s.createIngest(c.Request().Context(), sub, library.NewIngest{
		SourceType: doc.SourceType, CanonicalURL: doc.CanonicalURL, URL: doc.CanonicalURL, Upload: uuid.Nil,
	})
	if err != nil {
		return err
	}
	return respond(c, resp)
}
