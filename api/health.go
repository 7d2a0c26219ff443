package api

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/ops"
)

// healthz handles GET /healthz: the process lives. It touches nothing.
func (s *Server) healthz(c echo.Context) error {
	return ok(c, types.Status{Status: "ok"})
}

// readyz handles GET /readyz: requests can be served. It is public, so it names the parts that are
// missing and no more.
func (s *Server) readyz(c echo.Context) error {
	overview := s.opts.Ready.Look(c.Request().Context())
	parts := map[string]string{}
	var missing []invalid.FieldError
	for _, part := range overview.Components {
		parts[part.Name] = string(part.Status)
		if part.Status == ops.StatusError {
			missing = append(missing, invalid.FieldError{Field: part.Name, Message: "is not ready"})
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

// version handles GET /version.
func (s *Server) version(c echo.Context) error {
	return ok(c, types.Version{Version: s.opts.Version})
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
