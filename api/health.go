package api

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/jobs/backtest"
	"millrace/ops"
)

// statusView is the answer of /healthz.
type statusView struct {
	Status string `json:"status"`
}

// versionView is the answer of /version.
type versionView struct {
	Version string `json:"version"`
}

// healthz handles GET /healthz: the process lives. It touches nothing.
func (s *Server) healthz(c echo.Context) error {
	return ok(c, statusView{Status: "ok"})
}

// readyz handles GET /readyz: requests can be served. It is public, so it names the parts that are
// missing and no more.
func (s *Server) readyz(c echo.Context) error {
	overview := s.opts.Ready.Look(c.Request().Context())
	parts := map[string]string{}
	var missing []backtest.FieldError
	for _, part := range overview.Components {
		parts[part.Name] = string(part.Status)
		if part.Status == ops.StatusError {
			missing = append(missing, backtest.FieldError{Field: part.Name, Message: "is not ready"})
		}
	}
	if len(missing) > 0 {
		return problem(http.StatusServiceUnavailable, "Requests cannot be served.", missing...)
	}
	return ok(c, parts)
}

// systemHealth handles GET /admin/system/health.json.
func (s *Server) systemHealth(c echo.Context) error {
	return ok(c, s.opts.Health.Look(c.Request().Context()).Document(s.opts.Version))
}

//go:embed health.html
var healthPage string

// healthTemplate shows an overview to people.
var healthTemplate = template.Must(template.New("health").Funcs(template.FuncMap{"show": showDetail}).Parse(healthPage))

// showDetail is a figure as a page shows it.
func showDetail(value any) string {
	switch v := value.(type) {
	case nil:
		return "–"
	case *time.Time:
		if v == nil {
			return "–"
		}
		return v.UTC().Format("2006-01-02 15:04:05 UTC")
	case *string:
		if v == nil {
			return "–"
		}
		return *v
	case string:
		return v
	}
	body, err := json.Marshal(value)
	if err != nil {
		return "?"
	}
	return string(body)
}

// systemHealthPage handles GET /admin/system/health.
func (s *Server) systemHealthPage(c echo.Context) error {
	c.Response().Header().Set("Content-Type", "text/html; charset=utf-8")
	c.Response().Header().Set("Cache-Control", "no-store")
	return healthTemplate.Execute(c.Response(), struct {
		ops.Overview
		Version string
	}{s.opts.Health.Look(c.Request().Context()), s.opts.Version})
}

// version handles GET /version.
func (s *Server) version(c echo.Context) error {
	return ok(c, versionView{Version: s.opts.Version})
}

// metrics handles GET /metrics.
func (s *Server) metrics(c echo.Context) error {
	ops.MetricsHandler(s.opts.Metrics.Registry).ServeHTTP(c.Response(), c.Request())
	return nil
}

// profiles handles GET /admin/pprof/*.
func (s *Server) profiles(c echo.Context) error {
	ops.Profiles("/admin/pprof").ServeHTTP(c.Response(), c.Request())
	return nil
}
