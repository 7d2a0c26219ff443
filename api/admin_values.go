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
	gone   int // how often values were taken away
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

// taken is how often values were taken away. A stream keeps what it was before its request was admitted, and compares
// once it can be ended.
func (a *adminValues) taken() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone
}

const takenKey = "taken" // of a request for a stream of events

// SetAdminToken replaces the values of ADMIN_TOKEN. What a value that is no longer among them has opened ends:
// its sessions with their next request, and streams at once.
func (s *Server) SetAdminToken(text string) {
	if s.admins.replace(strings.Fields(text)) {
		s.streams.each(func(f *following) {
			if f.passed.byValue() {
				f.revoke(valueTaken)
			}
		})
	}
}

// replace reports whether a value was taken away.
func (a *adminValues) replace(tokens []string) (gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	gone = slices.ContainsFunc(a.tokens, func(token string) bool { return !slices.Contains(tokens, token) })
	if a.tokens = tokens; gone {
		a.gone++
	}
	return gone
}

// byValue reports whether a value of ADMIN_TOKEN may have opened what passed. A client whose pass still holds connects
// again when one is taken away.
func (p pass) byValue() bool {
	return p.holds == nil || p.holds.Kind == tenants.CredentialSession || p.holds.Kind == tenants.CredentialTicket
}
