package api

import (
	"slices"
	"strings"
	"sync"

	"millrace/store/tenants"
)

// adminValues are the values of ADMIN_TOKEN, which may be replaced while the server runs.
type adminValues struct {
	mu     sync.Mutex
	tokens []string
}

func newAdminValues(text string) *adminValues {
	return &adminValues{tokens: strings.Fields(text)}
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
	if s.admins.replace(strings.Fields(text)) {
		s.streams.each(func(f *following) {
			if f.passed.byValue() {
				f.revoke("a value of ADMIN_TOKEN was taken away")
			}
		})
	}
}

// replace reports whether a value was taken away.
func (a *adminValues) replace(tokens []string) (gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	gone = slices.ContainsFunc(a.tokens, func(token string) bool { return !slices.Contains(tokens, token) })
	a.tokens = tokens
	return gone
}

// byValue reports whether a value of ADMIN_TOKEN may have opened what passed. A client whose pass still holds connects
// again when one is taken away.
func (p pass) byValue() bool {
	return p.holds == nil || p.holds.Kind == tenants.CredentialSession || p.holds.Kind == tenants.CredentialTicket
}
