package api

import (
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
)

// makeStrategy handles POST /documents/:id/strategy: an ingested script becomes a strategy.
func (s *Server) makeStrategy(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	var req types.DocumentStrategyRequest
	sub, err := s.submission(c, &req)
	if err != nil {
		return err
	}
	doc, err := s.store.Library.Document(c.Request().Context(), workspaceOf(c), id)
	if err != nil {
		return err
	}
	source, ok := doc.Metadata[extract.PineScript].(string)
	if !ok {
		return notAStrategy(doc)
	}
	return s.storeScript(c, sub, types.StrategyRequest{Name: req.Name, Source: source})
}

// notAStrategy says why no strategy can be made of a document.
func notAStrategy(doc knowledge.Document) error {
	if doc.SourceType != knowledge.SourcePine {
		return problem(http.StatusConflict, "The document is not a Pine script: only a script can be made a strategy.")
	}
	if _, read := doc.Metadata[extract.PineTunable]; !read {
		return problem(http.StatusConflict, "The script was ingested before scripts were compiled: ingest it again.")
	}
	p := newProblem(http.StatusUnprocessableEntity, "The script cannot be run as a strategy.")
	var faults []extract.PineFinding
	raw, err := json.Marshal(doc.Metadata[extract.PineRefusals])
	if err == nil {
		err = json.Unmarshal(raw, &faults)
	}
	if err != nil {
		return err
	}
	for _, f := range faults {
		p.Errors = append(p.Errors, types.FieldError{Field: "source", Message: f.Message, Line: f.Line, Column: f.Column, Code: f.Code, Advice: f.Advice})
	}
	return p
}
