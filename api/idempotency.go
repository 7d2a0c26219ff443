package api

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/labstack/echo/v4"

	"millrace/jobs/invalid"
	"millrace/store"
)

const (
	idempotencyHeader = "X-Idempotency-Key"
	maxKeyLength      = 255
	submittedKey      = "submitted"
)

// submitted is a request to create work, as the middleware has read it.
type submitted struct {
	store.Submission
	body []byte
}

// once answers a request to create work that was made before with the response stored then, even
// when what it needs is gone since. The handler sees only those that are new; it checks the request
// and has store.Submit claim the key, create the work and store the response in one transaction.
func (s *Server) once(r route, next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		sub, err := readSubmission(c, r.traits)
		if err != nil {
			return err
		}
		if r.traits&inline == 0 {
			sub.QueueDepth = s.queueDepth(c)
		}
		if r.traits&quick == 0 {
			if replayed, err := s.replay(c, sub); replayed || err != nil {
				return err
			}
		}
		leave, err := s.keys.enter(c.Request().Context(), &sub.Submission, len(sub.body))
		if err != nil {
			return err
		}
		defer leave()
		c.Set(submittedKey, sub)
		err = next(c)
		if sub.Caller != nil && !sub.Caller.Known() {
			return err // it is not an answer
		}
		var refused *problemError
		if errors.As(err, &refused) {
			// The one before, or the first of two at once, may have succeeded on what this one does not find any more.
			if replayed, replayErr := s.replay(c, sub); replayed || replayErr != nil {
				return replayErr
			}
		}
		if c.Response().Header().Get(replayedHeader) != "" {
			s.opts.Metrics.IdempotencyReplays.Inc()
		}
		return err
	}
}

// replay answers with the stored response, if there is one.
func (s *Server) replay(c echo.Context, sub submitted) (bool, error) {
	resp, err := s.store.Replay(c.Request().Context(), sub.Submission)
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.opts.Metrics.IdempotencyReplays.Inc()
	return true, respond(c, resp)
}

// submission is the request to create work that the middleware has read; its JSON goes into a value.
func (s *Server) submission(c echo.Context, into any) (store.Submission, error) {
	sub, ok := c.Get(submittedKey).(submitted)
	if !ok {
		return store.Submission{}, fmt.Errorf("the route %s does not declare that it creates work", c.Path())
	}
	body, err := withoutWorkspace(c, sub.body)
	if err != nil {
		return sub.Submission, err
	}
	return sub.Submission, decode(body, into)
}

// readSubmission reads the whole request; the handler may read its body again. What is done by the
// time of the answer may go without a key: repeated, it is done again.
func readSubmission(c echo.Context, of traits) (submitted, error) {
	sub := submitted{Submission: store.Submission{
		Workspace: workspaceOf(c), Route: c.Request().Method + " " + c.Path(), Caller: callerOf(c),
	}}
	var err error
	if strings.HasPrefix(c.Path(), "/admin/workspaces/:id/") {
		if sub.Workspace, err = namedWorkspace(c); err != nil {
			return sub, err
		}
	}
	if header := c.Request().Header; of&inline == 0 || len(header.Values(idempotencyHeader)) > 0 {
		if sub.Key, err = readKey(header); err != nil {
			return sub, err
		}
	}
	if of&secret != 0 && sub.Key != "" {
		if sub.Seal, err = sealOf(c, sub.Key); err != nil {
			return sub, err
		}
	}
	if sub.body, err = io.ReadAll(c.Request().Body); err != nil {
		return sub, bodyError(err)
	}
	c.Request().Body = io.NopCloser(bytes.NewReader(sub.body))
	if len(sub.body) == 0 {
		sub.body = []byte("{}") // a request that says nothing
	}
	if sendsForm(c) {
		_, params, _ := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
		sub.Fingerprint, err = formFingerprint(sub.body, params["boundary"])
	} else {
		sub.Fingerprint, err = fingerprint(sub.body)
	}
	if strings.Contains(c.Path(), ":") {
		// The key is the route's, so what its path names is part of the request.
		sub.Fingerprint = sha256.Sum256(append(sub.Fingerprint[:], c.Request().URL.Path...))
	}
	return sub, err
}

// readKey reads the key: one, of printable ASCII.
func readKey(h http.Header) (string, error) {
	bad := func(message string) (string, error) {
		return "", problem(http.StatusBadRequest, "Send an idempotency key, so that this request can be repeated safely.",
			invalid.FieldError{Field: idempotencyHeader, Message: message, Limit: maxKeyLength})
	}
	given := h.Values(idempotencyHeader)
	switch {
	case len(given) == 0 || given[0] == "":
		return bad("is missing: 1 to 255 printable ASCII characters")
	case len(given) > 1:
		return bad("is given more than once")
	case len(given[0]) > maxKeyLength:
		return bad(fmt.Sprintf("has %d characters of 255", len(given[0])))
	}
	for _, b := range []byte(given[0]) {
		if b < 0x20 || b > 0x7e {
			return bad("holds a character that is not printable ASCII")
		}
	}
	return given[0], nil
}

// created is the response to a request that made something; location is where it is read, "" for nowhere.
func created(location string, view any) (store.Response, error) {
	body, err := json.Marshal(view, json.Deterministic(true))
	if err != nil {
		return store.Response{}, fmt.Errorf("encode answer: %w", err)
	}
	return store.Response{Status: http.StatusCreated, Location: location, Body: body}, nil
}

// sealOf is the key under which the answer to a request is stored when it shows a secret: made of what the caller has
// shown, which is nowhere else. Nobody who reads the database has it, and no other caller.
func sealOf(c echo.Context, key string) (*[32]byte, error) {
	shown, ok := bearer(c)
	if given := c.Request().Header.Get("X-Admin-Token"); given != "" {
		shown, ok = given, true
	}
	if !ok {
		shown, _ = cookie(c, sessionCookie)
	}
	made, err := hkdf.Key(sha256.New, []byte(shown), []byte(key), "answer with a secret", 32)
	if err != nil {
		return nil, fmt.Errorf("make the seal of an answer: %w", err)
	}
	return (*[32]byte)(made), nil
}

const replayedHeader = "Idempotency-Replayed"

// respond writes a submission's response.
func respond(c echo.Context, resp store.Response) error {
	if resp.Location != "" {
		c.Response().Header().Set("Location", resp.Location)
	}
	if resp.Replayed {
		c.Response().Header().Set(replayedHeader, "true")
	}
	return c.Blob(resp.Status, "application/json", resp.Body)
}
