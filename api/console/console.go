package console

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
)

//go:embed templates assets
var files embed.FS

// Request is one call of the API.
type Request struct {
	Workspace    uuid.UUID
	Method, Path string
	Key          string // idempotency key; "" for none
	ContentType  string // of the body; JSON when empty
	Body         io.Reader
	Admin        bool          // as the admin, in place of an owner of the workspace
	OnBehalfOf   *http.Request // the browser's request: limits count its address; a person's is of that person's workspace and role, whatever is said above
}

// Answer is what the API answered.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// API answers as the server's own routes do.
type API interface {
	Call(ctx context.Context, req Request) Answer
}

// Options make Pages.
type Options struct {
	API     API
	Reads   Reads
	Logger  *slog.Logger
	Version string
	Docs    bool   // link to /docs
	RiverUI bool   // link jobs to River UI
	SignIn  string // provider that people may sign in through; "": none
}

// Pages are the console.
type Pages struct {
	opts      Options
	templates map[string]*template.Template
	assets    map[string]asset
	replays   chan struct{} // a place for each trial that is run again
	memory    *memory
}

// New parses every page, so that a mistake in one shows at start.
func New(opts Options) (*Pages, error) {
	p := &Pages{opts: opts, templates: map[string]*template.Template{}, replays: make(chan struct{}, replaysAtOnce), memory: newMemory(memoryBytes)}
	var err error
	if p.assets, err = readAssets(); err != nil {
		return nil, err
	}
	base, err := template.New("base").Funcs(p.funcs()).ParseFS(files, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("console layout: %w", err)
	}
	names, err := fs.Glob(files, "templates/page_*.html")
	if err != nil {
		return nil, fmt.Errorf("console pages: %w", err)
	}
	for _, name := range names {
		page, err := base.Clone()
		if err == nil {
			page, err = page.ParseFS(files, name)
		}
		if err != nil {
			return nil, fmt.Errorf("console page %s: %w", name, err)
		}
		p.templates[strings.TrimSuffix(strings.TrimPrefix(path.Base(name), "page_"), ".html")] = page
	}
	return p, nil
}

// view is what every page gets: the frame around its own data.
type view struct {
	Title      string
	Section    string // of the navigation
	Topics     string // of events that make the page stale
	Fleet      bool   // those of every workspace and of none
	Cursor     string // of the last event that the page shows; "": it shows states
	Who        Who
	Path       string
	Workspaces []Workspace
	Workspace  *Workspace // nil while there is none
	Version    string
	Docs       bool
	River      bool
	Bare       bool   // without navigation: the login and the API's document
	Class      string // of a bare page
	Plots      bool   // it has charts that the browser draws
	Late       string // what is read meanwhile: the page asks for its parts made of that once it shows; "": it is whole
	Every      int    // seconds after which the page is stale by itself; 0: never
	Problem    *Problem
	Data       any
}

// page makes the frame of a page.
func (p *Pages) page(c echo.Context, section, title string) (*view, error) {
	who, ok := p.opts.Reads.Who(c.Request().Context())
	if !ok {
		return nil, errors.New("console: nobody signed in for this page")
	}
	v := &view{
		Title: title, Section: section, Who: who, Path: c.Request().URL.RequestURI(), Version: p.opts.Version, Docs: p.opts.Docs,
		River: p.opts.RiverUI && who.Admin,
	}
	all, err := p.opts.Reads.Workspaces(c.Request().Context())
	if err != nil {
		return nil, err
	}
	v.Workspaces, v.Workspace = all, chosen(c, all)
	if c.Request().Method == http.MethodPost && c.QueryParam("workspace") != "" && v.Workspace != nil {
		choose(c, v.Workspace.ID) // the page that follows is of it too
	}
	return v, nil
}

// render writes a page. It is made whole before the first byte is sent, so that a page that fails is
// an error and not half a page.
func (p *Pages) render(c echo.Context, status int, name string, v *view) error {
	var body bytes.Buffer
	page, ok := p.templates[name]
	if !ok {
		return fmt.Errorf("no console page %q", name)
	}
	if err := page.ExecuteTemplate(&body, "layout", v); err != nil {
		return fmt.Errorf("console page %s: %w", name, err)
	}
	if c.Request().Method != http.MethodGet {
		// It may show a secret beside what was sent, and the length of a compressed answer would give it away.
		return c.HTMLBlob(status, body.Bytes())
	}
	return send(c, status, echo.MIMETextHTMLCharsetUTF8, body.Bytes())
}

// Error shows what went wrong as a page, in place of the API's JSON.
func (p *Pages) Error(c echo.Context, problem Problem) error {
	v, err := p.page(c, "", problem.Title)
	if err != nil {
		v = &view{Title: problem.Title, Bare: true, Class: "login", Version: p.opts.Version} // without the database or a session, without the frame
	}
	v.Problem = &problem
	return p.render(c, problem.Status, "error", v)
}

// Login shows the form that begins a session.
func (p *Pages) Login(c echo.Context, status int, next, message string) error {
	v := &view{Title: "Log in", Bare: true, Class: "login", Version: p.opts.Version}
	v.Data = struct{ Next, Message, SignIn string }{next, message, p.opts.SignIn}
	return p.render(c, status, "login", v)
}
