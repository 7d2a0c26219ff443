package attempt

import (
	"context"

	"github.com/google/uuid"
)

// Ended is a job that failed for good and said so to its user: the end of what it works on is stored.
type Ended struct {
	ID     uuid.UUID // of what the job works on
	Reason string    // that its user reads
	Cause  error     // nil: the input is at fault, not us
}

type endedKey struct{}

// Watch returns a context in which a Worker reports how its job ended, and what it reported: nil while the
// job has not failed for good. The process that runs the job logs, counts and reports it, once.
func Watch(ctx context.Context) (_ context.Context, ended func() *Ended) {
	var cell *Ended
	return context.WithValue(ctx, endedKey{}, &cell), func() *Ended { return cell }
}

func report(ctx context.Context, ended Ended) {
	if cell, ok := ctx.Value(endedKey{}).(**Ended); ok {
		*cell = &ended
	}
}
