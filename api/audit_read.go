package api

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/openapi"
	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
)

// auditHeadHeader says with an export what the chain's head is: the place of the last entry, and its hash.
const auditHeadHeader = "Audit-Head"

// auditUnsealedHeader says how many entries are not yet in the chain, and so not in the export.
const auditUnsealedHeader = "Audit-Unsealed"

func asJSONLines() []openapi.Param {
	return params(inQuery("format", "jsonl: every entry in order, a line each, as `millrace admin audit verify` reads them",
		openapi.Schema{"type": "string", "enum": []string{"json", "jsonl"}}))
}

// listOwnAudit handles GET /audit: of the key's workspace.
func (s *Server) listOwnAudit(c echo.Context) error { return s.answerAudit(c, workspaceOf(c)) }

// listAudit handles GET /admin/audit: of the workspace that is named, or of what belongs to none.
func (s *Server) listAudit(c echo.Context) error {
	chain := uuid.Nil
	if named := c.QueryParam("workspace_id"); named != "" {
		id, err := uuid.Parse(named)
		if err != nil {
			return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{Field: "workspace_id", Message: "is not a UUID"})
		}
		chain = id
	}
	return s.answerAudit(c, chain)
}

func (s *Server) answerAudit(c echo.Context, chain uuid.UUID) error {
	switch format := c.QueryParam("format"); format {
	case "", "json":
		return s.auditPage(c, chain)
	case "jsonl":
		return s.exportAudit(c, chain)
	default:
		return problem(http.StatusBadRequest, "The query is not valid.",
			invalid.FieldError{Field: "format", Message: fmt.Sprintf("%q is not a format; choose from json, jsonl", format)})
	}
}

func (s *Server) auditPage(c echo.Context, chain uuid.UUID) error {
	limit, err := queryInt(c, "limit", 50, 1, 1000)
	if err != nil {
		return err
	}
	place := int64(0)
	if text := c.QueryParam("cursor"); text != "" {
		if place, err = strconv.ParseInt(text, 10, 64); err != nil || place < 1 {
			return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{Field: "cursor", Message: "is not a cursor of this list"})
		}
	}
	found, err := s.store.AuditPage(c.Request().Context(), chain, place, true, limit+1)
	if err != nil {
		return err
	}
	kept := paged(found, limit, func(l store.AuditLine) string { return strconv.FormatInt(l.Seq, 10) })
	views := types.List[types.AuditEntry]{Items: make([]types.AuditEntry, len(kept.Items)), NextCursor: kept.NextCursor}
	for i, l := range kept.Items {
		if err := json.Unmarshal(l.Entry, &views.Items[i]); err != nil {
			return fmt.Errorf("read audit entry %d: %w", l.Seq, err)
		}
		views.Items[i].Hash = hex.EncodeToString(l.Hash)
	}
	return ok(c, views)
}

// exportAudit streams a chain from its beginning. What is added meanwhile may be in it; the head is that of before.
func (s *Server) exportAudit(c echo.Context, chain uuid.UUID) error {
	const atOnce = 1000
	ctx := c.Request().Context()
	base, head, unsealed, err := s.store.AuditEnds(ctx, chain)
	if err != nil {
		return err
	}
	lines, err := s.store.AuditPage(ctx, chain, base.Seq, false, atOnce)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(auditHeadHeader, fmt.Sprintf("%d:%x", head.Seq, head.Hash))
	h.Set(auditUnsealedHeader, strconv.Itoa(unsealed))
	h.Set(echo.HeaderContentType, "application/x-ndjson")
	h.Set(echo.HeaderContentDisposition, `attachment; filename="audit.jsonl"`)
	c.Response().WriteHeader(http.StatusOK)
	if base.Seq > 0 {
		if _, err := fmt.Fprintf(c.Response(), "{\"hash\":\"%x\",\"base\":%d}\n", base.Hash, base.Seq); err != nil {
			return nil //nolint:nilerr // the client has gone
		}
	}
	for at := base.Seq; len(lines) > 0; {
		for _, l := range lines {
			if l.Seq != at+1 {
				if base, _, _, err := s.store.AuditEnds(ctx, chain); err != nil || base.Seq > at {
					panic(http.ErrAbortHandler) // retention took away what was to come: the next export begins later
				}
			}
			at = l.Seq
			if _, err := fmt.Fprintf(c.Response(), "{\"hash\":\"%x\",\"entry\":%s}\n", l.Hash, l.Entry); err != nil {
				return nil //nolint:nilerr // the client has gone
			}
		}
		c.Response().Flush()
		if lines, err = s.store.AuditPage(ctx, chain, at, false, atOnce); err != nil {
			panic(http.ErrAbortHandler) // an export that is cut must not look whole
		}
	}
	return nil
}
