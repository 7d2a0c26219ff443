package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// ingestion is an ingestion of the API with the job that reads it.
type ingestion struct {
	types.Ingest
	RiverJob int64 `json:"-"`
}

// Ended reports whether nothing more happens to it.
func (i ingestion) Ended() bool { return i.Status.Ended() }

// Called is what its source is called.
func (i ingestion) Called() string {
	switch {
	case i.Name != "":
		return i.Name
	case i.URL != nil:
		return *i.URL
	}
	return "pasted text"
}

// source is a document of the API.
type source struct{ types.Document }

// Link is where the source can be read, when that is an address a browser may follow.
func (s source) Link() string { return link(s.URL) }

// Tunable reports whether it is a script that can be made a strategy.
func (s source) Tunable() bool { is, _ := s.Metadata["tunable"].(bool); return is }

// Refusal is why a script cannot be made a strategy: the first reason, with its line.
func (s source) Refusal() string {
	all, _ := s.Metadata["refusals"].([]any)
	if len(all) == 0 {
		return ""
	}
	first, _ := all[0].(map[string]any)
	line, _ := first["line"].(float64)
	message, _ := first["message"].(string)
	return fmt.Sprintf("line %.0f: %s", line, message)
}

// Ingestion handles GET /admin/ingestion.
func (p *Pages) Ingestion(c echo.Context) error { return p.showIngestion(c, http.StatusOK, nil) }

func (p *Pages) showIngestion(c echo.Context, status int, problem *Problem) error {
	v, err := p.page(c, "Ingestion", "Ingestion")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "ingestion", err)
	}
	v.Topics, v.Problem = "ingestion", problem
	query := pageQuery(c, "status", "cursor")
	query.Set("limit", "25")
	var running types.List[ingestion]
	if err := p.get(c, v, "/ingest/jobs", query, &running); err != nil {
		return err
	}
	query.Del("limit")
	if err := p.riverJobs(c, v, running.Items); err != nil {
		return err
	}
	var documents types.List[source]
	kept := pageQuery(c, "archived")
	kept.Set("limit", "50")
	if err := p.get(c, v, "/documents", kept, &documents); err != nil {
		return err
	}
	v.Data = struct {
		Jobs      []ingestion
		Documents []source
		Status    string
		Statuses  []string
		Key       string
		Selects   bool
		Archived  bool
		Pager     pager
	}{
		running.Items, documents.Items, query.Get("status"), []string{"queued", "running", "retrying", "completed", "failed", "canceled"},
		"console-" + uuid.NewString(), c.QueryParam("select") != "", kept.Get("archived") != "", newPager(c, query, running.NextCursor),
	}
	return p.render(c, status, "ingestion", v)
}

// riverJobs names for each ingestion the job that reads it.
func (p *Pages) riverJobs(c echo.Context, v *view, all []ingestion) error {
	ids := make([]string, len(all))
	for i, one := range all {
		ids[i] = one.JobID
	}
	found, err := p.opts.Reads.IngestionJobs(c.Request().Context(), v.Workspace.ID, ids)
	for i := range all {
		all[i].RiverJob = found[all[i].JobID]
	}
	return err
}

// Ingest handles POST /admin/ingestion: an address or a text. A file comes by IngestFile.
func (p *Pages) Ingest(c echo.Context) error {
	body := map[string]any{}
	for _, name := range []string{"url", "text", "title", "source"} {
		if value := strings.TrimSpace(c.FormValue(name)); value != "" {
			body[name] = value
		}
	}
	return p.ingested(c, func(v *view) error {
		_, err := p.post(c, v, "/ingest", c.FormValue("key"), body)
		return err
	})
}

// IngestFile handles POST /admin/ingestion/file: the form is the API's own. Its idempotency key is in
// the address, as the form may hold nothing else.
func (p *Pages) IngestFile(c echo.Context) error {
	return p.ingested(c, func(v *view) error {
		_, err := p.forward(c, v, "/ingest", c.QueryParam("key"))
		return err
	})
}

// DeleteDocument handles POST /admin/ingestion/documents/:id/delete.
func (p *Pages) DeleteDocument(c echo.Context) error {
	return p.ingested(c, func(v *view) error {
		_, err := p.call(c, v, Request{Method: http.MethodDelete, Path: "/documents/" + url.PathEscape(c.Param("id"))})
		return err
	})
}

// Reingest handles POST /admin/ingestion/documents/:id/reingest.
func (p *Pages) Reingest(c echo.Context) error {
	return p.ingested(c, func(v *view) error {
		_, err := p.post(c, v, "/documents/"+url.PathEscape(c.Param("id"))+"/reingest", "console-"+uuid.NewString(), map[string]any{})
		return err
	})
}

// RetryIngestion handles POST /admin/ingestion/jobs/:id/retry.
func (p *Pages) RetryIngestion(c echo.Context) error {
	return p.ingested(c, func(v *view) error {
		_, err := p.post(c, v, "/ingest/jobs/"+url.PathEscape(c.Param("id"))+"/retry", "console-"+uuid.NewString(), map[string]any{})
		return err
	})
}

// CancelIngestion handles POST /admin/ingestion/jobs/:id/cancel.
func (p *Pages) CancelIngestion(c echo.Context) error {
	return p.ingested(c, func(v *view) error {
		_, err := p.post(c, v, "/ingest/jobs/"+url.PathEscape(c.Param("id"))+"/cancel", "", nil)
		if problem, _ := refused(err); problem != nil && problem.Status == http.StatusConflict { // it ended meanwhile: the page shows how
			return nil
		}
		return err
	})
}

// MakeStrategy handles POST /admin/ingestion/documents/:id/strategy, and shows the strategy.
func (p *Pages) MakeStrategy(c echo.Context) error {
	v, err := p.page(c, "Ingestion", "Ingestion")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "ingestion", err)
	}
	answer, err := p.post(c, v, "/documents/"+url.PathEscape(c.Param("id"))+"/strategy", "console-"+uuid.NewString(), types.DocumentStrategyRequest{})
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showIngestion(c, problem.Status, problem)
	}
	var made types.Strategy
	if err := answer.into(&made); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/admin/strategies/"+made.StrategyID)
}

func (p *Pages) ingested(c echo.Context, do func(*view) error) error {
	v, err := p.page(c, "Ingestion", "Ingestion")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "ingestion", err)
	}
	if err := do(v); err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showIngestion(c, problem.Status, problem)
	}
	return c.Redirect(http.StatusSeeOther, "/admin/ingestion")
}

// Coverage handles GET /admin/coverage: the gaps of the workspace, the most pressing first.
func (p *Pages) Coverage(c echo.Context) error { return p.showCoverage(c, http.StatusOK, nil) }

func (p *Pages) showCoverage(c echo.Context, status int, problem *Problem) error {
	v, err := p.page(c, "Coverage", "Coverage")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "coverage", err)
	}
	v.Topics, v.Problem = "coverage", problem
	query := pageQuery(c, "status", "cursor")
	if !c.QueryParams().Has("status") {
		query.Set("status", "open")
	}
	query.Set("workspace_id", v.Workspace.ID.String())
	var gaps types.List[types.Gap]
	if err := p.admin(c, v, Request{Method: http.MethodGet, Path: "/admin/coverage/gaps?" + query.Encode()}, &gaps); err != nil {
		return err
	}
	query.Del("workspace_id")
	v.Data = struct {
		Gaps     []types.Gap
		Status   string
		Statuses []string
		Pager    pager
	}{gaps.Items, query.Get("status"), []string{"open", "acknowledged", "resolved"}, newPager(c, query, gaps.NextCursor)}
	return p.render(c, status, "coverage", v)
}

// AcknowledgeGap handles POST /admin/coverage/:id/acknowledge.
func (p *Pages) AcknowledgeGap(c echo.Context) error { return p.triage(c, "acknowledge", nil) }

// ResolveGap handles POST /admin/coverage/:id/resolve, with a candidate or a note.
func (p *Pages) ResolveGap(c echo.Context) error {
	body := map[string]any{}
	for _, name := range []string{"candidate_id", "note"} {
		if value := strings.TrimSpace(c.FormValue(name)); value != "" {
			body[name] = value
		}
	}
	if body["candidate_id"] != nil {
		body["candidate_type"] = c.FormValue("candidate_type")
	}
	return p.triage(c, "resolve", body)
}

func (p *Pages) triage(c echo.Context, what string, body map[string]any) error {
	v, err := p.page(c, "Coverage", "Coverage")
	if err != nil {
		return err
	}
	req := Request{Method: http.MethodPost, Path: "/admin/coverage/gaps/" + url.PathEscape(c.Param("id")) + "/" + what}
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		req.Body = strings.NewReader(string(raw))
	}
	if err := p.admin(c, v, req, nil); err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showCoverage(c, problem.Status, problem)
	}
	return c.Redirect(http.StatusSeeOther, "/admin/coverage?status="+url.QueryEscape(c.FormValue("status")))
}
