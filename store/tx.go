package store

import "github.com/jackc/pgx/v5"

// Tx is a transaction of InWorkspace or InFleet.
type Tx struct {
	pgx.Tx
	afterCommit []func()
}

// AfterCommit runs fn once the transaction is committed, in the order of the calls; after a rollback
// fn is not run.
func (t *Tx) AfterCommit(fn func()) { t.afterCommit = append(t.afterCommit, fn) }
