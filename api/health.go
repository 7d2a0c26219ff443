package api

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"millrace/migrations"
)

type statusView struct {
	Status string `json:"status"`
}

type versionView struct {
	Version string `json:"version"`
}

// healthz handles GET /healthz: the process lives. It touches nothing.
func (s *Server) healthz(c echo.Context) error {
	return ok(c, statusView{"ok"})
}

// readyz handles GET /readyz: requests can be served.
func (s *Server) readyz(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), 2*time.Second)
	defer cancel()
	checks := map[string]string{"database": "ok", "migrations": "ok"}
	status := http.StatusOK
	current, err := migrations.Current(ctx, s.store.Pool())
	switch {
	case err != nil:
		checks["database"], checks["migrations"], status = "error", "unknown", http.StatusServiceUnavailable
	case !current:
		checks["migrations"], status = "error", http.StatusServiceUnavailable
	}
	return writeJSON(c, status, "application/json", checks)
}

// version handles GET /version.
func (s *Server) version(c echo.Context) error {
	return ok(c, versionView{s.opts.Version})
}

// metrics handles GET /metrics.
func (s *Server) metrics(c echo.Context) error {
	promhttp.HandlerFor(s.opts.Metrics.Registry, promhttp.HandlerOpts{}).ServeHTTP(c.Response(), c.Request())
	return nil
}
