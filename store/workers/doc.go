// Package workers keeps the worker processes of the fleet as they report themselves, the rescue of what
// a lost one was running, and views of their jobs.
package workers

import "millrace/store"

// Store is the worker processes of one database. It is safe for concurrent use.
type Store struct{ db *store.DB }

// New returns the store of a database.
func New(db *store.DB) *Store { return &Store{db} }
