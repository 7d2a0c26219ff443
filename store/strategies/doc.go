// Package strategies keeps the Pine scripts of workspaces. A version is immutable and addressed by the
// hash of its source; what tunes and runs pin is found by that hash also after it was erased.
package strategies

import (
	"sync"

	"millrace/jobs/pine"
	"millrace/store"
)

// Store is the scripts of one database, with a cache of compiled ones. It is safe for concurrent use.
type Store struct {
	db *store.DB

	mu       sync.Mutex
	compiled map[hash]*pine.Program
	order    []hash // least recently used first
}

type hash [32]byte

// programsKept bounds the cache of compiled scripts.
const programsKept = 64

// New returns the store of a database.
func New(db *store.DB) *Store { return &Store{db: db, compiled: map[hash]*pine.Program{}} }
