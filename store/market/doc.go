// Package market keeps datasets, which are immutable sets of bars, and the single backtests that were
// run on them.
package market

import "millrace/store"

// Store is the datasets and runs of one database, with a cache of decoded bars. It is safe for
// concurrent use.
type Store struct {
	db    *store.DB
	bars  *barsCache
	names *names
}

// New returns the store of a database.
func New(db *store.DB) *Store { return &Store{db: db, bars: newBarsCache(), names: &names{}} }
