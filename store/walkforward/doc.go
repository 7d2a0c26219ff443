// Package walkforward keeps walk-forwards: their folds, which are tunes, and the scoring of their
// candidates. It imports tuning, never the other way: a tune that is a fold reports to it through
// tuning.Folds, which Store implements.
//
//	Create ─► (each fold: FoldBegan … FoldEnded) ─► BeginScoring ─► FinishScore … ─► Complete
package walkforward

import (
	"millrace/store"
	"millrace/store/tuning"
)

// Store is the walk-forwards of one database. It is safe for concurrent use.
type Store struct{ db *store.DB }

var _ tuning.Folds = (*Store)(nil)

// New returns the store of a database.
func New(db *store.DB) *Store { return &Store{db} }
