// Package recommend keeps what recommendations draw on and leave behind: the leaders of past tunes, the
// record of what was matched how well, the gaps that this shows, and the calls to language models.
package recommend

import "millrace/store"

// Store is the record of recommendations of one database. It is safe for concurrent use.
type Store struct{ db *store.DB }

// New returns the store of a database.
func New(db *store.DB) *Store { return &Store{db} }
