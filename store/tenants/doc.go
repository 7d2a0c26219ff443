// Package tenants keeps who may use the server and how much: workspaces with their limits, keys,
// admin sessions and event tickets, and the rates that requests are limited by.
package tenants

import "millrace/store"

// Store is the tenants of one database. It is safe for concurrent use.
type Store struct {
	db   *store.DB
	uses *uses // of keys
	seen seen
}

// New returns the store of a database.
func New(db *store.DB) *Store { return &Store{db: db, uses: &uses{db: db}} }
