// Package upkeep keeps the tables in shape and says how everything is: retention with its log and
// schedule, the state that health checks read, and the figures of the fleet.
package upkeep

import (
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/workers"
)

// Store is the upkeep of one database. It is safe for concurrent use.
type Store struct {
	db      *store.DB
	log     *eventlog.Store
	workers *workers.Store
}

// New returns the store of a database.
func New(db *store.DB, log *eventlog.Store, fleet *workers.Store) *Store {
	return &Store{db, log, fleet}
}
