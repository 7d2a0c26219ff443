// Package eventlog keeps the log of events: reading it without a gap, its partitions by day, the session
// that listens and relays, and the counters that are folded from it. store.AppendEvent writes to it.
package eventlog

import "millrace/store"

// Store is the event log of one database. It is safe for concurrent use.
type Store struct{ db *store.DB }

// New returns the store of a database.
func New(db *store.DB) *Store { return &Store{db} }
