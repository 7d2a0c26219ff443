package store

import (
	"time"

	"github.com/jackc/pgx/v5"
)

// Ended is told what came to its end ("wfo", "fold" or "run_plan"), with which status, and how long
// after its start, 0 when it never started.
type Ended func(what, status string, took time.Duration)

// OnEnded has fn told of what ends by this store's transactions, once they are committed. Set it
// before the store is used.
func (s *DB) OnEnded(fn Ended) { s.onEnded = fn }

// tellingTx keeps what there is to tell until its commit.
type tellingTx struct {
	pgx.Tx
	store *DB
	ended []func()
}

// ReportEnded notes an ending; a rollback forgets it.
func ReportEnded(tx pgx.Tx, what, status string, took time.Duration) {
	if t, ok := tx.(*tellingTx); ok && t.store.onEnded != nil {
		t.ended = append(t.ended, func() { t.store.onEnded(what, status, took) })
	}
}
