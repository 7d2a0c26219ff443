package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/invalid"
	"millrace/jobs/pine"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/lifecycle"
	"millrace/store/strategies"
	"millrace/store/tenants"
)

const (
	maxSource       = 256 << 10 // bytes of a script
	examineBars     = 1500      // of the sample
	examineTime     = 4 * time.Second
	scriptNameChars = 64
)

var scriptName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

// strategyRoutes are the routes of strategies.
func (s *Server) strategyRoutes() []route {
	return []route{
		{http.MethodGet, "/strategies", viewer, s.listStrategies, bodyLimit, about{
			summary: "The built-in strategies and the workspace's scripts, with their parameters", params: params(archivedToo()), answer: types.List[types.Strategy]{}}},
		{http.MethodPost, "/strategies", member, s.uploadStrategy, creates | inline, about{
			summary: "Store a Pine script as a strategy; a worker examines it, and its status says what came of it", body: types.StrategyRequest{}, form: strategyForm, sample: sampleStrategy,
			status: http.StatusCreated, answer: types.Strategy{}}},
		{http.MethodPost, "/strategies/check", viewer, s.checkStrategy, bodyLimit, about{
			summary: "What POST /strategies would answer; nothing is stored", body: types.StrategyCheckRequest{}, sample: sampleCheck, answer: types.Strategy{}}},
		{http.MethodGet, "/strategies/:id", viewer, s.getStrategy, bodyLimit, about{
			summary: "A script's parameters, a space to search, and what its examination found", answer: types.Strategy{}}},
		{http.MethodGet, "/strategies/:id/source", viewer, s.getStrategySource, bodyLimit, about{summary: "The text of a script", answer: types.StrategySource{}}},
		{http.MethodDelete, "/strategies/:id", member, s.deleteStrategy, bodyLimit, about{
			summary: "Delete a script; what was run with it keeps it, and schedules that cannot run without it are named, or go with it", params: params(dryRun(), cascading()), status: http.StatusNoContent, dry: types.Deletion{}}},
	}
}

// uploadStrategy handles POST /strategies.
func (s *Server) uploadStrategy(c echo.Context) error {
	sub, req, err := s.readStrategy(c)
	if err != nil {
		return err
	}
	return s.storeScript(c, sub, req)
}

// storeScript compiles and stores a script, and has it examined.
func (s *Server) storeScript(c echo.Context, sub store.Submission, req types.StrategyRequest) error {
	_, report, err := s.compile(c.Request().Context(), req.Source)
	if err != nil {
		return err
	}
	if req.Name == "" {
		req.Name = nameOf(report.Title)
	}
	if len(req.Name) > scriptNameChars || !scriptName.MatchString(req.Name) {
		return fieldProblem("name", "must be 1 to 64 letters, digits, _ . or -, the first one a letter or digit", scriptNameChars)
	}
	resp, err := s.store.Strategies.Put(c.Request().Context(), sub, req.Name, req.Source, report,
		func(script *strategies.Script) (store.Response, error) {
			body, err := json.Marshal(viewScript(script))
			return store.Response{Status: http.StatusCreated, Location: "/strategies/" + script.ID.String(), Body: body}, err
		})
	switch {
	case errors.Is(err, strategies.ErrFull):
		return fieldProblem("name", fmt.Sprintf("the workspace keeps %d scripts, as many as it may: delete some", strategies.MaxScripts), strategies.MaxScripts)
	case errors.Is(err, store.ErrConflict):
		return problem(http.StatusConflict, "This workspace has the same script under another name: leave the name out, or use that one.")
	case err != nil:
		return err
	}
	return respond(c, resp)
}

// readStrategy reads the body, JSON or a form.
func (s *Server) readStrategy(c echo.Context) (store.Submission, types.StrategyRequest, error) {
	var req types.StrategyRequest
	if !sendsForm(c) {
		sub, err := s.submission(c, &req)
		return sub, req, err
	}
	sub, ok := c.Get(submittedKey).(submitted)
	if !ok {
		return store.Submission{}, req, fmt.Errorf("the route %s does not declare that it creates work", c.Path())
	}
	form, err := c.MultipartForm()
	if err != nil {
		return sub.Submission, req, bodyError(err)
	}
	defer func() { _ = form.RemoveAll() }()
	for field, values := range form.Value {
		switch field {
		case "name":
			req.Name = values[0]
		case "source":
			req.Source = values[0]
		default:
			return sub.Submission, req, problem(http.StatusBadRequest, "The form is not valid.",
				invalid.FieldError{Field: field, Message: "is not a part of this request"})
		}
	}
	for field, files := range form.File {
		if field != "file" || len(files) != 1 {
			return sub.Submission, req, problem(http.StatusBadRequest, "The form is not valid.",
				invalid.FieldError{Field: field, Message: "is not a part of this request; send one script as file"})
		}
		if req.Source, err = readScript(files[0]); err != nil {
			return sub.Submission, req, err
		}
	}
	return sub.Submission, req, nil
}

// nameOf makes a name of a script's title.
func nameOf(title string) string {
	var name strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			name.WriteRune(r)
		case name.Len() > 0 && !strings.HasSuffix(name.String(), "-"):
			name.WriteByte('-')
		}
	}
	made := strings.Trim(name.String()[:min(name.Len(), scriptNameChars)], "-")
	if made == "" {
		return "strategy"
	}
	return made
}

// computing waits until fewer scripts are compiled and run in this process than there are cores.
func (s *Server) computing(ctx context.Context) (done func(), err error) {
	select {
	case s.runs <- struct{}{}:
		return func() { <-s.runs }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// compile compiles a script, and reports what can be said of it before it has run.
func (s *Server) compile(ctx context.Context, source string) (*pine.Strategy, strategies.Report, error) {
	if err := checkSource(source); err != nil {
		return nil, strategies.Report{}, err
	}
	done, err := s.computing(ctx)
	if err != nil {
		return nil, strategies.Report{}, err
	}
	defer done()
	program, diags := pine.Compile(source)
	if program == nil {
		return nil, strategies.Report{}, scriptProblem(diags)
	}
	strategy := pine.NewStrategy(strategies.Prefix, program)
	report := strategies.Report{
		Title: program.Title(), Semantics: pine.Semantics, Class: program.Class(), Params: strategy.Params(),
		Space: strategy.Space(), Account: strategy.Account(), Notes: program.Notes(),
	}
	if n, bounded := strategy.DefaultWarmup(); bounded {
		report.Warmup = &n
	}
	return strategy, report, nil
}

// examine compiles a script and runs it on the sample as a worker does with one that is stored, for a shorter time.
func (s *Server) examine(ctx context.Context, source string) (strategies.Report, strategies.Status, error) {
	strategy, report, err := s.compile(ctx, source)
	if err != nil {
		return report, "", err
	}
	bars, err := pricefile.Sample()
	if err != nil {
		return report, "", fmt.Errorf("sample: %w", err)
	}
	done, err := s.computing(ctx)
	if err != nil {
		return report, "", err
	}
	defer done()
	ctx, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	began := time.Now()
	report.Examination = pine.Examine(strategy, bars.Slice(max(0, bars.Len()-examineBars), bars.Len()), backtest.Config{
		Side: backtest.SideBoth, Account: strategy.Account(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange,
	}, func() bool { return ctx.Err() != nil })
	if e := &report.Examination; e.Runs*e.Bars > 0 {
		e.NsPerBar = time.Since(began).Nanoseconds() / int64(e.Runs*e.Bars)
	}
	return report, strategies.StatusOf(report.Examination), nil
}

func checkSource(source string) error {
	switch {
	case source == "":
		return fieldProblem("source", "is required: the text of a Pine script", nil)
	case len(source) > maxSource:
		return fieldProblem("source", fmt.Sprintf("has %d bytes, more than %d", len(source), maxSource), maxSource)
	case !utf8.ValidString(source) || strings.ContainsRune(source, 0):
		return fieldProblem("source", "is not text: save the script as UTF-8", nil)
	}
	return nil
}

// scriptProblem names every line at fault.
func scriptProblem(diags pine.Diagnostics) error {
	p := newProblem(http.StatusUnprocessableEntity, "The script cannot be run as a strategy.")
	for _, d := range diags {
		if d.Severity == "error" {
			p.Errors = append(p.Errors, types.FieldError{Field: "source", Message: d.Message, Line: d.Line, Column: d.Column, Code: d.Code, Advice: d.Advice})
		}
	}
	return p
}

// checkStrategy handles POST /strategies/check.
func (s *Server) checkStrategy(c echo.Context) error {
	var req types.StrategyCheckRequest
	if err := bind(c, &req); err != nil {
		return err
	}
	report, status, err := s.examine(c.Request().Context(), req.Source)
	if err != nil {
		return err
	}
	return ok(c, viewReport(strategies.Prefix+nameOf(report.Title), report, status))
}

// listStrategies handles GET /strategies.
func (s *Server) listStrategies(c echo.Context) error {
	archived, err := queryBool(c, "archived")
	if err != nil {
		return err
	}
	var views []types.Strategy
	for _, strategy := range backtest.Strategies() {
		views = append(views, types.Strategy{Name: strategy.Name(), Doc: strategy.Doc(), Params: viewParams(strategy.Params())})
	}
	scripts, err := s.store.Strategies.List(c.Request().Context(), workspaceOf(c), &archived)
	if err != nil {
		return err
	}
	for i := range scripts {
		views = append(views, viewScript(&scripts[i]))
	}
	return ok(c, types.List[types.Strategy]{Items: views})
}

// getStrategy handles GET /strategies/:id.
func (s *Server) getStrategy(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	script, err := s.store.Strategies.Get(c.Request().Context(), workspaceOf(c), id)
	if err != nil {
		return err
	}
	return ok(c, viewScript(&script))
}

// getStrategySource handles GET /strategies/:id/source.
func (s *Server) getStrategySource(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx, workspace := c.Request().Context(), workspaceOf(c)
	script, err := s.store.Strategies.Get(ctx, workspace, id)
	if err != nil {
		return err
	}
	source, err := s.store.Strategies.Source(ctx, workspace, id)
	if err != nil {
		return err
	}
	return ok(c, types.StrategySource{StrategyID: script.ID.String(), Name: script.FullName(), SHA256: hex.EncodeToString(script.SHA256), Source: source})
}

// deleteStrategy handles DELETE /strategies/:id.
func (s *Server) deleteStrategy(c echo.Context) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	ctx, workspace := c.Request().Context(), workspaceOf(c)
	dry, err := queryBool(c, "dry_run")
	if err != nil {
		return err
	}
	cascade, err := queryBool(c, "cascade")
	if err != nil {
		return err
	}
	if dry {
		p, err := s.store.Lifecycle.PreviewScript(ctx, workspace, id)
		if err != nil {
			return err
		}
		return ok(c, viewPlan(lifecycle.Strategy, id, p))
	}
	if cascade && !principalOf(c).Role.Includes(tenants.RoleAdmin) {
		return problem(http.StatusForbidden, "The key's role is "+string(principalOf(c).Role)+"; deleting with cascade=true needs admin.")
	}
	if err := s.store.Lifecycle.EraseScript(ctx, workspace, id, cascade); err != nil {
		return deletionProblem(err)
	}
	return c.NoContent(http.StatusNoContent)
}

// bindScript binds a spec to the script that it names.
func (s *Server) bindScript(ctx context.Context, workspace uuid.UUID, spec *sweep.Spec) error {
	return asFault(s.checker().Bind(ctx, workspace, spec))
}

// readScript reads a file of a form, up to the limit and one byte more.
func readScript(file *multipart.FileHeader) (string, error) {
	opened, err := file.Open()
	if err != nil {
		return "", bodyError(err)
	}
	defer opened.Close()
	text, err := io.ReadAll(io.LimitReader(opened, maxSource+1))
	if err != nil {
		return "", bodyError(err)
	}
	return string(text), nil
}
