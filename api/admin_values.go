package api

import (
	"slices"
	"strings"
	"sync"

	"millrace/store/tenants"
)

// adminValues are the values of ADMIN_TOKEN, which may be replaced while the server runs.
type adminValues struct {
	mu        sync.Mutex
	tokens    []string
	withdrawn chan struct{} // closed when a value is taken away
}

func newAdminValues(text string) *adminValues {
	return &adminValues{tokens: strings.Fields(text), withdrawn: make(chan struct{})}
}

// all are the values now; nobody changes the slice.
func (a *adminValues) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.tokens
}

// SetAdminToken replaces the values of ADMIN_TOKEN. What a value that is no longer among them has opened ends:
// its sessions with their next request, and streams at once.
func (s *Server) SetAdminToken(text string) {
	a, tokens := s.admins, strings.Fields(text)
	a.mu.Lock()
	defer a.mu.Unlock()
	gone := slices.ContainsFunc(a.tokens, func(token string) bool { return !slices.Contains(tokens, token) })
	a.tokens = tokens
	if gone {
		close(a.withdrawn)
		a.withdrawn = make(chan struct{})
	}
}

// ends is closed when a value is taken away that may have opened what passed; nil for what none has opened.
// A client whose pass still holds connects again.
func (a *adminValues) ends(passed pass) <-chan struct{} {
	if passed.holds != nil && passed.holds.Kind != tenants.CredentialSession && passed.holds.Kind != tenants.CredentialTicket {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.withdrawn
}
