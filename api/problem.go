package api

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/api/console"
	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
	"millrace/store/strategies"
	"millrace/store/tuning"
)

// problemError is an error answer, with what its header says.
type problemError struct {
	types.ProblemError
	retryAfter string
}

// problem makes an answer for a mistake of the caller, naming the fields at fault.
func problem(status int, detail string, fields ...invalid.FieldError) error {
	return newProblem(status, detail, fields...)
}

func newProblem(status int, detail string, fields ...invalid.FieldError) *problemError {
	p := types.ProblemError{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail}
	for _, f := range fields {
		p.Errors = append(p.Errors, types.FieldError{Field: f.Field, Message: f.Message, Limit: f.Limit})
	}
	return &problemError{ProblemError: p}
}

// clip bounds what an answer repeats of its request.
func (p *problemError) clip() {
	if p.Status == statusClientGone {
		p.Title = "Client Closed Request"
	}
	p.Detail = clipped(p.Detail, 1000)
	const most = 100
	p.Errors = slices.Clone(p.Errors[:min(len(p.Errors), most)])
	for i := range p.Errors {
		p.Errors[i].Field, p.Errors[i].Message = clipped(p.Errors[i].Field, 200), clipped(p.Errors[i].Message, 1000)
	}
}

// retryProblem is an answer that asks the caller to come back after some seconds.
func retryProblem(status int, detail string, seconds int) *problemError {
	p := newProblem(status, detail)
	p.retryAfter = strconv.Itoa(seconds)
	return p
}

// fieldProblem is a 422 for one field.
func fieldProblem(field, message string, limit any) error {
	return problem(http.StatusUnprocessableEntity, "The request is not valid.",
		invalid.FieldError{Field: field, Message: message, Limit: limit})
}

// fieldProblems is a 422 for several fields, or nil for none.
func fieldProblems(fields []invalid.FieldError) error {
	if len(fields) == 0 {
		return nil
	}
	return problem(http.StatusUnprocessableEntity, "The request is not valid.", fields...)
}

// whyDropped says that the trials of a tune are not there any more, and how to have them again.
func whyDropped(tune string, at time.Time) string {
	return fmt.Sprintf("The trials of this tune were dropped on %s, as those of ended tunes are kept for a time only. Its summary, leaderboard and manifest are kept. "+
		"`millrace reproduce %s` makes the trials again and compares them with the manifest; its spec submitted again makes a tune that has them.", at.UTC().Format(time.DateOnly), tune)
}

// asProblem maps any error to an answer: the one place where errors become statuses. internal is
// true for those that are ours, which are logged and of which the caller learns nothing.
func asProblem(err error) (p *problemError, internal bool) {
	var known *problemError
	var shown *console.Problem
	var web *echo.HTTPError
	var tooLarge *http.MaxBytesError
	var ended *store.EndedError
	var refused *store.RefusedScriptError
	var gone *store.ScriptGoneError
	var dropped *tuning.TrialsDroppedError
	var quota *store.QuotaError
	var unfit *store.NotRetryableError
	switch {
	case errors.As(err, &known):
		copied := *known
		return &copied, false
	case errors.As(err, &shown): // the API's own answer to a page
		p := newProblem(shown.Status, shown.Detail)
		for _, fault := range shown.Errors {
			p.Errors = append(p.Errors, types.FieldError{Field: fault.Field, Message: fault.Message})
		}
		return p, false
	case errors.As(err, &tooLarge):
		p := newProblem(http.StatusRequestEntityTooLarge, "The body is over the limit.")
		p.Errors = []types.FieldError{{Field: "body", Message: "too large", Limit: tooLarge.Limit}}
		return p, false
	case errors.As(err, &refused):
		p := newProblem(http.StatusUnprocessableEntity, "The script cannot be tuned.")
		p.Errors = []types.FieldError{{Field: "strategy_name", Message: refused.Error(), Advice: "change the script and upload it: the next version is examined again"}}
		return p, false
	case errors.As(err, &gone):
		return asProblem(unknownStrategy(strategies.Prefix + gone.Name))
	case errors.As(err, &dropped):
		return newProblem(http.StatusGone, whyDropped(dropped.Tune.String(), dropped.At)), false
	case errors.As(err, new(*store.DatasetGoneError)):
		return asProblem(problem(http.StatusNotFound, "The dataset was deleted while this was submitted; GET /datasets or `millrace data list` lists those there are.",
			invalid.FieldError{Field: "dataset", Message: "was deleted while this was submitted"}))
	case errors.Is(err, store.ErrNotFound):
		return newProblem(http.StatusNotFound, console.NothingThere), false
	case errors.Is(err, store.ErrAudit):
		return retryProblem(http.StatusServiceUnavailable, "The audit log cannot be written, so nothing was changed. Reading works. Report it to the server's admin.", 10), true
	case errors.Is(err, store.ErrKeyReused):
		return newProblem(http.StatusUnprocessableEntity, "This X-Idempotency-Key was used with another body."), false
	case errors.Is(err, store.ErrKeyBusy):
		return retryProblem(http.StatusConflict, "A request with this X-Idempotency-Key is still running.", 1), false
	case errors.Is(err, store.ErrRunning):
		return retryProblem(http.StatusConflict, "A run of the same job is queued or running.", 15), false
	case errors.Is(err, store.ErrUploadsFull):
		return retryProblem(http.StatusTooManyRequests, "Too much that was sent before still waits to be ingested.", 30), false
	case errors.As(err, &quota):
		return overQuota(quota), false
	case errors.Is(err, store.ErrQueueFull):
		return retryProblem(http.StatusTooManyRequests, "This workspace has as much work waiting as its limit allows; wait until some of it is done.", 10), false
	case errors.As(err, &unfit):
		return newProblem(http.StatusConflict, "The "+unfit.What+" is "+unfit.Reason+". Only what failed or was cancelled can be retried; nothing has changed."), false
	case errors.As(err, &ended):
		return newProblem(http.StatusConflict, "The "+ended.What+" is "+ended.State+" already; nothing has changed."), false
	case errors.Is(err, store.ErrEnded):
		return newProblem(http.StatusConflict, "It has already ended."), false
	case errors.Is(err, store.ErrConflict):
		return newProblem(http.StatusConflict, "The name is in use already."), false
	case slices.Contains([]string{"22021", "22P05"}, store.SQLState(err)): // the edge should have refused it
		return newProblem(http.StatusBadRequest, "The request holds text that cannot be stored: a NUL character or invalid UTF-8."), false
	case store.Transient(err):
		return retryProblem(http.StatusServiceUnavailable, "The database is away for a moment.", 1), true
	case errors.As(err, &web):
		return newProblem(web.Code, ""), web.Code >= 500
	}
	return newProblem(http.StatusInternalServerError, "The error has been recorded under this request's id."), true
}

// isPage reports whether a person asked, with a browser, for a page of the console.
func (s *Server) isPage(c echo.Context) bool {
	path := c.Request().URL.Path
	return (path == "/admin" || strings.HasPrefix(path, "/admin/")) && strings.Contains(c.Request().Header.Get("Accept"), "text/html")
}

// identify finds who asks for a page that no route has, so that it has the frame of the others.
func (s *Server) identify(c echo.Context) {
	if _, known := visitorOf(c.Request().Context()); known || len(s.admins.all()) == 0 {
		return
	}
	if session, err := s.sessionOf(c); err == nil {
		withVisitor(c, visitor{person: session.Person, admin: session.Admin})
	}
}

// renderError is Echo's error handler.
func (s *Server) renderError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	p, internal := asProblem(err)
	switch {
	case internal && clientGone(c): // what failed is what the caller no longer waits for
		p = newProblem(statusClientGone, "")
	case internal:
		s.failures.Report(c.Request().Context(), "request failed", err)
	}
	if p.Detail == console.NothingThere {
		p.Detail = s.whatIsMissing(c)
	}
	p.clip()
	p.Instance = "urn:request:" + requestID(c)
	if p.retryAfter != "" {
		c.Response().Header().Set("Retry-After", p.retryAfter)
	}
	if s.isPage(c) {
		s.identify(c)
		shown := console.Problem{Title: p.Title, Status: p.Status, Detail: p.Detail, Instance: p.Instance}
		for _, fault := range p.Errors {
			shown.Errors = append(shown.Errors, console.FieldFault{Field: fault.Field, Message: fault.Message})
		}
		if err := s.pages.Error(c, shown); err == nil {
			return
		}
	}
	if err := writeJSON(c, p.Status, "application/problem+json", p.ProblemError); err != nil {
		s.opts.Logger.DebugContext(c.Request().Context(), "client went away", "error", err)
	}
}
