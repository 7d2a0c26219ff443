// Package tuning keeps tunes: their shards, rounds, progress and leaderboards, and the run plans whose
// variants are tunes. Each step of a tune is a method that writes its result under the lease of its job
// and inserts the jobs of the step that follows, in one transaction:
//
//	Create ─► Begin ─► FinishShard … ─► [BeginRound ─► FinishShard …] ─► Complete
package tuning

import (
	"millrace/store"
	"millrace/store/market"
)

// Store is the tunes of one database. It is safe for concurrent use.
type Store struct {
	db     *store.DB
	market *market.Store
	folds  Folds
}

// New returns the store of a database. Tunes that are folds report to folds.
func New(db *store.DB, datasets *market.Store, folds Folds) *Store {
	return &Store{db: db, market: datasets, folds: folds}
}
