package api

import (
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"millrace/ops"
	"millrace/ops/routine"
)

const requestIDKey = "request_id"

// observed gives the request an id, measures it and logs it: by the route's template, never by the
// raw path or the query, which may hold secrets.
func (s *Server) observed(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		id := c.Request().Header.Get("X-Request-Id")
		if !plainID(id) {
			id = uuid.NewString()
		}
		c.Set(requestIDKey, id)
		c.Response().Header().Set("X-Request-Id", id)
		finish := s.watched(c, id)
		defer func() { finish(ops.OutcomeHTTP(c.Response().Status)) }()
		if err := next(c); err != nil {
			c.Error(err)
		}
		s.answered(c, id, start)
		return nil
	}
}

// answered measures and logs a request that was answered. It is apart from observed, below which a
// stream stays for hours: the runtime takes back half of a goroutine's stack only when less than a
// quarter of it is in use, and of 16 KB that is the frames from here to follow with little to spare.
func (s *Server) answered(c echo.Context, id string, start time.Time) {
	if _, inside := insiderOf(c.Request()); inside {
		return // the page's own request is counted
	}
	route := routeOf(c)
	status, took := c.Response().Status, time.Since(start)
	s.opts.Metrics.HTTPRequests.WithLabelValues(route, c.Request().Method, strconv.Itoa(status)).Inc()
	if !lasting(c) {
		ops.Observe(c.Request().Context(), s.opts.Metrics.HTTPDuration.WithLabelValues(route, c.Request().Method), took)
	}
	s.opts.Logger.LogAttrs(c.Request().Context(), slog.LevelDebug, "request",
		slog.String("request_id", id), slog.String("method", c.Request().Method), slog.String("route", route),
		slog.Int("status", status), slog.Duration("took", took))
}

// lasting reports whether a request lasts as long as its caller wants, so that its duration says nothing of the server.
func lasting(c echo.Context) bool {
	route := routeOf(c)
	return strings.HasSuffix(route, "/stream") || strings.HasSuffix(route, "/:id/events") || c.QueryParam("wait") != ""
}

// routeOf is the template of the request's route.
func routeOf(c echo.Context) string {
	if c.Path() == "" {
		return "unmatched"
	}
	return c.Path()
}

// watched has what is logged and reported of the request name it. The duration of a stream says nothing,
// and probes and scrapes come every few seconds, so they are not traced.
func (s *Server) watched(c echo.Context, id string) (finish func(ops.Outcome)) {
	route := routeOf(c)
	ctx := s.opts.Reporter.Join(c.Request().Context(), c.Request().Header.Get("Traceparent"))
	ctx = ops.With(ctx, slog.String("request_id", id), slog.String("route", route))
	name := c.Request().Method + " " + route
	finish = func(ops.Outcome) {}
	switch {
	case lasting(c), route == "/metrics", route == "/healthz", route == "/readyz":
		ctx = s.opts.Reporter.Untraced(ctx, name)
	default:
		ctx, finish = s.opts.Reporter.Begin(ctx, "http.server", name)
	}
	c.SetRequest(c.Request().WithContext(ctx))
	return finish
}

// inWorkspace says which workspace the request is for.
func inWorkspace(c echo.Context, workspace uuid.UUID) {
	ctx := ops.With(c.Request().Context(), slog.String("workspace_id", workspace.String()))
	ops.Tag(ctx, "workspace_id", workspace.String())
	c.SetRequest(c.Request().WithContext(ctx))
}

// recovered makes a handler's panic an error, which is answered as a 500.
func (s *Server) recovered(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := routine.Do(func() error { return next(c) })
		var panicked *routine.PanicError
		if errors.As(err, &panicked) && panicked.Value == http.ErrAbortHandler {
			panic(http.ErrAbortHandler) // the server's own way to drop a connection
		}
		return err
	}
}

// securityHeaders are on every answer. A page of ours runs its own scripts only and is in nobody's frame.
func securityHeaders(tlsOnly bool) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			h := c.Response().Header()
			h.Set("X-Content-Type-Options", "nosniff")
			h.Set("X-Frame-Options", "DENY")
			h.Set("Cache-Control", "no-store")
			h.Set("Referrer-Policy", "same-origin")
			h.Set("Cross-Origin-Opener-Policy", "same-origin")
			h.Set("Cross-Origin-Resource-Policy", "same-origin")
			h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
			h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'")
			if tlsOnly {
				h.Set("Strict-Transport-Security", "max-age=31536000")
			}
			return next(c)
		}
	}
}

// crossOrigin lets pages of other sites call what a workspace's key opens. Cookies are never sent
// along, and what the admin token opens is for our own pages.
func crossOrigin(origins []string) echo.MiddlewareFunc {
	return middleware.CORSWithConfig(middleware.CORSConfig{
		Skipper: func(c echo.Context) bool {
			path := c.Request().URL.Path
			return path == "/metrics" || path == "/admin" || strings.HasPrefix(path, "/admin/")
		},
		AllowOrigins:  origins,
		AllowMethods:  []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete},
		AllowHeaders:  []string{"Authorization", "Content-Type", idempotencyHeader, workspaceHeader, "X-Request-Id", "Last-Event-ID"},
		ExposeHeaders: []string{"Location", "Retry-After", "RateLimit", "RateLimit-Policy", replayedHeader, "X-Request-Id", lastEventHeader, expiresHeader},
		MaxAge:        600,
	})
}

func requestID(c echo.Context) string {
	id, _ := c.Get(requestIDKey).(string)
	return id
}

// plainID reports whether a caller's request id may go into logs as it is.
func plainID(id string) bool {
	if len(id) < 8 || len(id) > 64 {
		return false
	}
	for _, b := range []byte(id) {
		if !(b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b == '-' || b == '_') {
			return false
		}
	}
	return true
}
