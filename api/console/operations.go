package console

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/ops"
)

// admin asks the API as the admin.
func (p *Pages) admin(c echo.Context, v *view, req Request, into any) error {
	req.Admin = true
	answer, err := p.call(c, v, req)
	if err != nil {
		return err
	}
	if into == nil || len(answer.Body) == 0 {
		return nil
	}
	return answer.into(into)
}

// Events handles GET /admin/events: the newest, and from then on the stream.
func (p *Pages) Events(c echo.Context) error {
	v, err := p.page(c, "Events", "Events")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "events", err)
	}
	topic := c.QueryParam("topic")
	topics := p.opts.Reads.Topics()
	if topic != "" && slices.Contains(topics, topic) {
		topics = []string{topic}
	} else {
		topic = ""
	}
	v.Topics = strings.Join(topics, " ")
	recent, cursor, err := p.opts.Reads.RecentEvents(c.Request().Context(), v.Workspace.ID, topics, 100)
	if err != nil {
		return err
	}
	v.Cursor = cursor
	v.Data = struct {
		Topic  string
		Topics []string
		Events []Event
	}{topic, p.opts.Reads.Topics(), recent}
	return p.render(c, http.StatusOK, "events", v)
}

// Href is where what an event is about is shown; "" when no page shows it, or it is gone.
func (e Event) Href() string {
	if strings.HasSuffix(e.Type, ".deleted") {
		return ""
	}
	for _, shown := range [...]struct{ types, at string }{
		{"backtest.tune.", "/admin/tunes/"}, {"wfo.", "/admin/wfo/"}, {"backtest.run_plan.", "/admin/plans/"},
		{"backtest.strategy.", "/admin/strategies/"},
	} {
		if strings.HasPrefix(e.Type, shown.types) {
			return shown.at + url.PathEscape(e.EntityID)
		}
	}
	return ""
}

// component is one line of the health page.
type component struct {
	ops.ComponentDocument
	Figures []figureLine
}

type figureLine struct{ Name, Value string }

// Health handles GET /admin/system/health.
func (p *Pages) Health(c echo.Context) error {
	v, err := p.page(c, "Health", "Health")
	if err != nil {
		// The page of health is most wanted when the database is away.
		who, _ := p.opts.Reads.Who(c.Request().Context())
		v = &view{Title: "Health", Section: "Health", Who: who, Version: p.opts.Version, Docs: p.opts.Docs, River: p.opts.RiverUI}
	}
	v.Every = 10
	var health ops.HealthDocument
	if err := p.admin(c, v, Request{Method: http.MethodGet, Path: "/admin/system/health.json"}, &health); err != nil {
		return err
	}
	var lines []component
	for _, part := range health.Components {
		line := component{ComponentDocument: part}
		for name, value := range part.Details {
			line.Figures = append(line.Figures, figureLine{strings.ReplaceAll(name, "_", " "), showFigure(value)})
		}
		slices.SortFunc(line.Figures, func(a, b figureLine) int { return cmp.Compare(a.Name, b.Name) })
		lines = append(lines, line)
	}
	v.Data = struct {
		Health     ops.HealthDocument
		Components []component
	}{health, lines}
	return p.render(c, http.StatusOK, "health", v)
}

func showFigure(value any) string {
	switch f := value.(type) {
	case nil:
		return "–"
	case float64:
		return number(f)
	case string:
		if at, err := time.Parse(time.RFC3339Nano, f); err == nil {
			return at.UTC().Format("2006-01-02 15:04:05")
		}
		return f
	}
	raw, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		return "–"
	}
	return string(raw)
}

// retentionJob is a retention job of the API.
type retentionJob struct{ types.RetentionJob }

// Path is the job's name as the API's path spells it.
func (j retentionJob) Path() string { return strings.ReplaceAll(j.JobName, "_", "-") }

// Megabytes is the size of its table.
func (j retentionJob) Megabytes() float64 { return float64(j.TableBytes) / (1 << 20) }

// Retention handles GET /admin/retention.
func (p *Pages) Retention(c echo.Context) error { return p.showRetention(c, http.StatusOK, nil) }

func (p *Pages) showRetention(c echo.Context, status int, problem *Problem) error {
	v, err := p.page(c, "Retention", "Retention")
	if err != nil {
		return err
	}
	v.Topics, v.Fleet = "retention", true
	var state struct {
		Scheduler string         `json:"scheduler"`
		Jobs      []retentionJob `json:"jobs"`
	}
	if err := p.admin(c, v, Request{Method: http.MethodGet, Path: "/admin/retention/status"}, &state); err != nil {
		return err
	}
	query := pageQuery(c, "cursor")
	query.Set("limit", "50")
	var log types.List[types.RetentionRun]
	if err := p.admin(c, v, Request{Method: http.MethodGet, Path: "/admin/retention/logs?" + query.Encode()}, &log); err != nil {
		return err
	}
	query.Del("limit")
	v.Problem = problem
	v.Data = struct {
		Scheduler string
		Jobs      []retentionJob
		Runs      []types.RetentionRun
		Key       string
		Pager     pager
	}{state.Scheduler, state.Jobs, log.Items, "console-" + uuid.NewString(), newPager(c, query, log.NextCursor)}
	return p.render(c, status, "retention", v)
}

// Prune handles POST /admin/retention: a dry run unless the form says that it is meant.
func (p *Pages) Prune(c echo.Context) error {
	v, err := p.page(c, "Retention", "Retention")
	if err != nil {
		return err
	}
	body := map[string]any{"dry_run": c.FormValue("really") == ""}
	if text := strings.TrimSpace(c.FormValue("days")); text != "" {
		days, err := strconv.Atoi(text)
		if err != nil {
			return p.showRetention(c, http.StatusUnprocessableEntity, &Problem{
				Title: "Not run", Status: http.StatusUnprocessableEntity, Errors: []FieldFault{{Field: "days", Message: strconv.Quote(text) + " is not a whole number"}},
			})
		}
		body["days"] = days
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	err = p.admin(c, v, Request{
		Method: http.MethodPost, Path: "/admin/retention/prune/" + url.PathEscape(c.FormValue("job")), Key: c.FormValue("key"), Body: strings.NewReader(string(raw)),
	}, nil)
	if err != nil {
		problem, err := refused(err)
		if err != nil {
			return err
		}
		return p.showRetention(c, problem.Status, problem)
	}
	return c.Redirect(http.StatusSeeOther, "/admin/retention")
}
