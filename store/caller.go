package store

import (
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Caller is the key that something is submitted with, as a process remembers it.
type Caller struct {
	Key         uuid.UUID
	Digest      [32]byte // of its secret
	Name, Role  string
	Submissions *int // limits of its workspace
	Queries     *int
	Depth       *int

	known bool
}

// Known reports whether the last transaction that looked has found the key as it is remembered. Until one has, the submission's
// caller may have no right to any answer.
func (c *Caller) Known() bool { return c.known }

// ErrCaller is the error of a submission whose caller is not as remembered: look it up, and submit again.
var ErrCaller = errors.New("the caller is not as it was")

// otherCaller is its SQLSTATE.
const otherCaller = "MR005"

// args are those of known_caller in migrations/sql.
func (c *Caller) args(workspace uuid.UUID) []any {
	return []any{workspace, c.Key, c.Digest[:], c.Name, c.Role, c.Submissions, c.Queries, c.Depth}
}

// queue has a batch that has entered the workspace look whether the caller is as remembered. nil is known.
func (c *Caller) queue(batch *pgx.Batch, workspace uuid.UUID) {
	if c != nil {
		batch.Queue(`select known_caller($1, $2, $3, $4, $5, $6, $7, $8)`, c.args(workspace)...)
	}
}

// found is the error of the transaction that looked, which succeeded or not.
func (c *Caller) found(err error) error {
	if c == nil {
		return err
	}
	if SQLState(err) == otherCaller { // by now, whatever one before it found
		c.known = false
		return ErrCaller
	}
	c.known = c.known || err == nil
	return err
}
