package api

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/console"
	"millrace/events"
	"millrace/jobs/backtest"
	"millrace/jobs/knowledge"
	"millrace/jobs/pine"
	"millrace/ops"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// Options make a Server.
type Options struct {
	Store      *stores.Set
	Hub        *events.Hub
	Health     *ops.Health // of the system, for the admin
	Ready      *ops.Health // what must answer for requests to be served
	Metrics    *ops.Metrics
	Logger     *slog.Logger
	Reporter   *ops.Reporter  // of internal errors; may be nil
	AdminToken string         // "" disables /admin; several, which all work, are separated by blanks
	Version    string         // shown by /version
	Program    backtest.Stamp // the numbers of its rules; default those it was built with
	Docs       bool           // serve /docs
	River      http.Handler   // River's own pages; nil: none
	Webhooks   WebhookOptions
	OpenID     OpenIDOptions
	Heartbeat  time.Duration // between comments on a quiet stream; default 15 s
	// StreamWrite bounds one write to an event stream; default 10 s.
	StreamWrite time.Duration
	BodyIdle    time.Duration // how long a request's body may pause; default 30 s
	Session     time.Duration // how long a session of the console lasts; default 12 h
	Recheck     time.Duration // between looks at whether what opened a stream still holds; default 1 s
	Ticket      time.Duration // how long a ticket for an event stream lasts; default 10 min
	Limits      Limits
	Knowledge   *knowledge.Base // nil: this server answers no questions
	// TrustedProxies may say whom they speak for in X-Forwarded-For; nobody else is believed.
	TrustedProxies []netip.Prefix
	CORSOrigins    []string // sites whose pages may call what a workspace's key opens; "*": all
	TLSOnly        bool     // ask browsers never to come without TLS again
}

func (o Options) validate() error {
	switch {
	case o.Store == nil || o.Hub == nil || o.Health == nil || o.Ready == nil || o.Metrics == nil || o.Logger == nil:
		return errors.New("api: Store, Hub, Health, Ready, Metrics and Logger are required")
	case slices.ContainsFunc(strings.Fields(o.AdminToken), func(token string) bool { return len(token) < 16 }):
		return errors.New("ADMIN_TOKEN is too short: 16 characters at least, of each that it holds")
	}
	return nil
}

// Server answers HTTP.
type Server struct {
	opts      Options
	store     *stores.Set
	echo      *echo.Echo
	document  []byte // OpenAPI
	asyncDoc  []byte // AsyncAPI
	docGroups []console.DocGroup
	pages     *console.Pages
	origins   *http.CrossOriginProtection
	refusals  *refusals
	guesses   *refusals // addresses that guessed the admin token too often
	keys      *keyQueue
	passes    *passes      // of open streams
	admins    *adminValues // values of ADMIN_TOKEN
	failures  ops.Failures
	runs      chan struct{} // slots of synchronous backtests
	uploads   chan struct{} // slots of reading files of bars
	ending    chan struct{} // closed when streams must end
	endOnce   sync.Once
	streams   openStreams
	unwaiting sync.Pool // of *unwaiting, by which streams are written
}

// New makes a server with every route in place.
func New(opts Options) (*Server, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	if opts.Program == (backtest.Stamp{}) {
		opts.Program = backtest.Stamp{Engine: backtest.Engine, Semantics: pine.Semantics}
	}
	if opts.Heartbeat == 0 {
		opts.Heartbeat = 15 * time.Second
	}
	if opts.StreamWrite == 0 {
		opts.StreamWrite = 10 * time.Second
	}
	if opts.BodyIdle == 0 {
		opts.BodyIdle = 30 * time.Second
	}
	if opts.Session == 0 {
		opts.Session = 12 * time.Hour
	}
	if opts.OpenID.Session == 0 {
		opts.OpenID.Session = time.Hour
	}
	if opts.Recheck == 0 {
		opts.Recheck = time.Second
	}
	if opts.Ticket == 0 {
		opts.Ticket = 10 * time.Minute
	}
	s := &Server{
		opts: opts, store: opts.Store, echo: echo.New(), origins: http.NewCrossOriginProtection(), refusals: newRefusals(time.Second), guesses: newRefusals(time.Hour), keys: newKeyQueue(),
		failures: ops.Failures{Logger: opts.Logger, Metrics: opts.Metrics, Reporter: opts.Reporter},
		runs:     make(chan struct{}, runtime.NumCPU()), uploads: make(chan struct{}, 2), ending: make(chan struct{}),
	}
	s.admins = newAdminValues(opts.AdminToken)
	s.passes = &passes{ended: s.store.Tenants.Ended, period: opts.Recheck, open: map[tenants.Credential]*watchedPass{},
		failed: func(err error) { s.failures.Report(context.Background(), "the watch of sessions failed", err) }}
	var err error
	if s.pages, err = console.New(console.Options{API: s, Reads: consoleReads{opts.Store}, Logger: opts.Logger, Version: opts.Version, Docs: opts.Docs, RiverUI: opts.River != nil, SignIn: opts.OpenID.host()}); err != nil {
		return nil, err
	}
	s.echo.HTTPErrorHandler = s.renderError
	s.echo.IPExtractor = ipExtractor(opts.TrustedProxies)
	s.echo.Use(s.observed, securityHeaders(opts.TLSOnly), s.recovered, textual)
	if len(opts.CORSOrigins) > 0 {
		s.echo.Use(crossOrigin(opts.CORSOrigins))
	}
	routes := append(s.routes(), s.pageRoutes()...)
	if opts.River != nil {
		routes = append(routes, s.riverRoutes()...)
	}
	if opts.Docs {
		routes = append(routes, s.docsRoutes()...)
		if s.document, err = document(routes, opts.Version); err != nil {
			return nil, err
		}
		if s.asyncDoc, err = asyncDocument(routes, opts.Version); err != nil {
			return nil, err
		}
		if s.docGroups, err = docGroups(s.document, routes); err != nil {
			return nil, err
		}
	}
	for _, route := range routes {
		s.echo.Add(route.method, route.path, route.handler, s.guarded(route))
		if route.about.tables { // readers of Parquet ask for the length first
			s.echo.Add(http.MethodHead, route.path, route.handler, s.guarded(route))
		}
	}
	return s, nil
}

// Handler is the server's HTTP handler.
func (s *Server) Handler() http.Handler { return s.echo }

// EndStreams ends every open event stream; a graceful shutdown would wait for some of them without end, and not at all
// for those that have taken their connection. It waits for these as long as one write may take. Safe to call twice.
func (s *Server) EndStreams() {
	s.endOnce.Do(func() { close(s.ending) })
	select {
	case <-s.streams.end():
	case <-time.After(s.opts.StreamWrite):
	}
}
