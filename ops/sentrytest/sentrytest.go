// Package sentrytest is a Sentry for tests: it listens on loopback and reads real envelopes.
package sentrytest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Server takes envelopes. An envelope is a line of JSON, then for each item a line of JSON with its type
// and length, and the item.
type Server struct {
	DSN   string // of project 7
	mu    sync.Mutex
	items map[string][]map[string]any // by type
	raw   string
	auth  string
}

// New starts a server that runs until the test ends. An envelope it cannot read fails the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{items: map[string][]map[string]any{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil && r.URL.Path == "/api/7/envelope/" {
			err = s.take(body, r.Header.Get("X-Sentry-Auth"))
		}
		if err != nil {
			t.Errorf("envelope at %s: %v", r.URL.Path, err)
			http.Error(w, "no envelope", http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(`{"id":"1"}`))
	}))
	t.Cleanup(server.Close)
	s.DSN = strings.Replace(server.URL, "http://", "http://sentrypublickey0123@", 1) + "/7"
	return s
}

func (s *Server) take(body []byte, auth string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw += string(body)
	s.auth = auth
	lines := bufio.NewReader(bytes.NewReader(body))
	if _, err := lines.ReadBytes('\n'); err != nil {
		return fmt.Errorf("no header: %w", err)
	}
	for {
		head, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(head)) == 0 && err != nil {
			return nil
		}
		var item struct {
			Type   string
			Length int
		}
		if err := json.Unmarshal(head, &item); err != nil {
			return fmt.Errorf("item header %q: %w", head, err)
		}
		payload := make([]byte, item.Length)
		if _, err := io.ReadFull(lines, payload); err != nil {
			return fmt.Errorf("item shorter than it says: %w", err)
		}
		_, _ = lines.ReadByte() // the line's end
		var content map[string]any
		if err := json.Unmarshal(payload, &content); err != nil {
			return fmt.Errorf("item %s: %w", item.Type, err)
		}
		s.items[item.Type] = append(s.items[item.Type], content)
	}
}

// Of lists what came of a type: event, transaction.
func (s *Server) Of(kind string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]map[string]any(nil), s.items[kind]...)
}

// Named lists what came of a type with a transaction's name.
func (s *Server) Named(kind, transaction string) (found []map[string]any) {
	for _, item := range s.Of(kind) {
		if item["transaction"] == transaction {
			found = append(found, item)
		}
	}
	return found
}

// Raw is all that came, and Auth the last authorization.
func (s *Server) Raw() string { s.mu.Lock(); defer s.mu.Unlock(); return s.raw }

// Auth is the last X-Sentry-Auth.
func (s *Server) Auth() string { s.mu.Lock(); defer s.mu.Unlock(); return s.auth }
