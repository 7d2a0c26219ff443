package store

import (
	"errors"

	"github.com/jackc/pgx/v5"
)

// ErrStranger: who asks is not what the process knew any more.
var ErrStranger = errors.New("the caller is not as known")

// Caller is who submits, of whom the process knows from a request before: nothing is stored, or answered of what was, unless
// the transaction of the submission finds the same.
type Caller struct {
	// Look has a batch look, after the workspace is entered, and reports whether it found the caller as known.
	Look func(batch *pgx.Batch, found *bool)
	// Found is known once a transaction has looked.
	Found bool
}

// queue has a batch look whether the caller is as known.
func (c *Caller) queue(batch *pgx.Batch) {
	if c != nil {
		c.Found = false
		c.Look(batch, &c.Found)
	}
}

// stranger is ErrStranger when the transaction did not find the caller.
func (c *Caller) stranger() error {
	if c != nil && !c.Found {
		return ErrStranger
	}
	return nil
}
