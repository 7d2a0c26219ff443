package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"millrace/api/types"
)

// Error is an answer that is not a success.
type Error struct {
	types.ProblemError
	RetryAfter time.Duration // that the server asks to wait, a minute at most; 0: it does not say
	temporary  bool
}

// Error is the status and the detail, and each field at fault on a line of its own. Control
// characters are dropped: what a server sends must not steer a terminal.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", e.Status, printable(e.Title))
	if e.Detail != "" {
		fmt.Fprintf(&b, ": %s", printable(e.Detail))
	}
	for _, f := range e.Errors {
		fmt.Fprintf(&b, "\n  %s: %s%s", printable(f.Field), printable(f.Message), limitText(f.Limit))
	}
	if e.Status >= 500 && e.Instance != "" {
		fmt.Fprintf(&b, "\n  %s", printable(e.Instance))
	}
	return b.String()
}

// Temporary reports whether the same request may succeed later: the server is overloaded, starting,
// or still busy with the first copy of it.
func (e *Error) Temporary() bool { return e.temporary }

// unreachableError is a failure on the way to the server or back.
type unreachableError struct{ error }

func (e *unreachableError) Unwrap() error { return e.error }

// Temporary reports whether err may pass by itself: the server cannot be reached, or says that the
// same request may succeed later.
func Temporary(err error) bool {
	var answered *Error
	if errors.As(err, &answered) {
		return answered.temporary
	}
	var unreachable *unreachableError
	return errors.As(err, &unreachable)
}

// IsNotFound reports whether err is the server's answer that there is nothing under that name or id.
func IsNotFound(err error) bool {
	var answered *Error
	return errors.As(err, &answered) && answered.Status == http.StatusNotFound
}

// readError reads an answer that is not a success. One that is not problem+json, as a proxy sends it,
// gives its first bytes as the detail.
func readError(resp *http.Response) *Error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	e := &Error{RetryAfter: retryAfter(resp), temporary: temporary(resp)}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "application/problem+json" || json.Unmarshal(body, &e.ProblemError) != nil {
		e.ProblemError = types.ProblemError{Detail: strings.TrimSpace(string(body[:min(len(body), 200)]))}
	}
	e.Status = resp.StatusCode
	if e.Title == "" {
		e.Title = http.StatusText(resp.StatusCode)
	}
	return e
}

func temporary(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusConflict:
		return resp.Header.Get("Retry-After") != ""
	}
	return false
}

func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 60)) * time.Second
}

// limitText renders a limit behind the message that it belongs to: the values to choose from, or the
// bound. A pair of numbers is in the message already.
func limitText(limit any) string {
	switch v := limit.(type) {
	case nil:
		return ""
	case []any:
		var texts []string
		for _, item := range v {
			if _, number := item.(float64); number {
				return ""
			}
			texts = append(texts, fmt.Sprint(item))
		}
		return "; choose from " + printable(strings.Join(texts, ", "))
	case float64:
		return " (limit: " + strconv.FormatFloat(v, 'f', -1, 64) + ")"
	case map[string]any:
		return "" // named in the message
	}
	return " (limit: " + printable(fmt.Sprint(limit)) + ")"
}

func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
