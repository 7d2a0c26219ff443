// Package library keeps what was ingested: documents with their chunks, the ingestions that make them
// and what was uploaded for these, the full-text search over the chunks, where a workspace's vectors
// are, and the re-embeddings that move them.
package library

import "millrace/store"

// Store is the library of one database. It is safe for concurrent use.
type Store struct {
	db    *store.DB
	words *wordCache
}

// New returns the store of a database.
func New(db *store.DB) *Store { return &Store{db: db, words: newWordCache()} }
