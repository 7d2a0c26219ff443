package store

import (
	"sync"

	"github.com/google/uuid"
)

// guesses are workspaces of which something was so when something was submitted to them last. A submission that is begun by a
// guess looks whether it still holds. They are safe for concurrent use.
type guesses struct {
	mu sync.Mutex
	is map[uuid.UUID]struct{}
}

// mostGuesses is how many of them are kept; beyond it all are forgotten, which costs each a round trip or a statement.
const mostGuesses = 10_000

func (g *guesses) has(space uuid.UUID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.is[space]
	return ok
}

// note remembers whether it is so of a workspace.
func (g *guesses) note(space uuid.UUID, is bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !is:
		delete(g.is, space)
		return
	case g.is == nil || len(g.is) >= mostGuesses:
		g.is = map[uuid.UUID]struct{}{}
	}
	g.is[space] = struct{}{}
}
