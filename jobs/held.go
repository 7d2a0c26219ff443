package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// InsertClient is a client that only inserts and cancels.
type InsertClient struct {
	*Client

	pool       *pgxpool.Pool
	hints      *hints
	middleware []rivertype.JobInsertMiddleware
}

var errNotPrepared = errors.New("only a job that is neither unique nor scheduled is prepared")

// Prepare returns the row that Insert would insert of a job that is held back or may be worked at once, after all middleware
// around inserts: for a caller that inserts it in one statement with rows of its own, and wakes who works it by Wake.
func (c *InsertClient) Prepare(ctx context.Context, args river.JobArgs, opts river.InsertOpts) (*rivertype.JobInsertParams, error) {
	var own river.InsertOpts
	if of, ok := args.(river.JobArgsWithInsertOpts); ok {
		own = of.InsertOpts()
	}
	for _, o := range []river.InsertOpts{own, opts} {
		unique := o.UniqueOpts
		if !o.ScheduledAt.IsZero() || unique.ByArgs || unique.ByQueue || unique.ByPeriod > 0 || len(unique.ByState) > 0 || len(o.Tags) > 0 || len(o.Metadata) > 0 {
			return nil, fmt.Errorf("%s: %w", args.Kind(), errNotPrepared)
		}
	}
	encoded, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("encode arguments of %s: %w", args.Kind(), err)
	}
	params := &rivertype.JobInsertParams{
		Args: args, EncodedArgs: encoded, Kind: args.Kind(), Metadata: []byte("{}"), State: rivertype.JobStateAvailable, Tags: []string{},
		MaxAttempts: cmp.Or(opts.MaxAttempts, own.MaxAttempts, river.MaxAttemptsDefault),
		Priority:    cmp.Or(opts.Priority, own.Priority, river.PriorityDefault),
		Queue:       cmp.Or(opts.Queue, own.Queue, river.QueueDefault),
	}
	if own.Pending || opts.Pending {
		params.State = rivertype.JobStatePending
	}
	many := []*rivertype.JobInsertParams{params}
	insert := func(context.Context) ([]*rivertype.JobInsertResult, error) { return nil, nil }
	for i := len(c.middleware) - 1; i >= 0; i-- {
		around, inner := c.middleware[i], insert
		insert = func(ctx context.Context) ([]*rivertype.JobInsertResult, error) {
			return around.InsertMany(ctx, many, inner)
		}
	}
	_, err = insert(ctx)
	return params, err
}

// Wake has the workers of a queue start a job that a caller of Prepare inserts: with the commit of its transaction, which
// runs what last is called with, or soon after it.
func (c *InsertClient) Wake(queue string, last func(what, sql string, args ...any), afterCommit func(fn func())) {
	if c.hints.due(queue) {
		last("wake the queue", hintSQL, hintTopic, hint(queue))
		return
	}
	afterCommit(func() { c.hints.committed(queue) })
}
