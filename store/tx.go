package store

import "github.com/jackc/pgx/v5"

// Tx is a transaction of InWorkspace or InFleet.
type Tx struct {
	pgx.Tx
	afterCommit []func()
	unaudited   bool
}

// Unaudited has the transaction leave no audit entry: it turned out to change nothing.
func (t *Tx) Unaudited() { t.unaudited = true }

// AfterCommit runs fn once the transaction is committed, in the order of the calls; after a rollback
// fn is not run.
func (t *Tx) AfterCommit(fn func()) { t.afterCommit = append(t.afterCommit, fn) }
