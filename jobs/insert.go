package jobs

import (
	"cmp"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Insert inserts a job in a transaction of its own, which takes one round trip: the row, the hint that wakes a worker, and
// the commit. River's takes four. An idle worker begins when that hint comes, which is with the commit.
func (c *InsertClient) Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) (*rivertype.JobInsertResult, error) {
	conn, err := c.pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	tx := &oneTrip{conn: conn.Conn(), hints: c.hints, queue: queueOf(args, opts)}
	inserted, err := c.InsertTx(ctx, tx, args, opts)
	if err == nil && tx.owing {
		c.hints.committed(tx.queue)
	}
	return inserted, err
}

// queueOf is the queue in which a job can be worked at once; empty for one that has to wait.
func queueOf(args river.JobArgs, opts *river.InsertOpts) string {
	var own, given river.InsertOpts
	if of, ok := args.(river.JobArgsWithInsertOpts); ok {
		own = of.InsertOpts()
	}
	if opts != nil {
		given = *opts
	}
	if own.Pending || given.Pending || !given.ScheduledAt.IsZero() || !own.ScheduledAt.IsZero() {
		return ""
	}
	return cmp.Or(given.Queue, own.Queue, river.QueueDefault)
}

// oneTrip is a transaction of the one statement that inserts a job. What the server does with statements that are sent
// together is a transaction, committed when its last answer comes.
type oneTrip struct {
	pgx.Tx // nil: River's inserts need no more than what is here

	conn  *pgx.Conn
	hints *hints
	queue string // to hint at; empty: none
	owing bool   // the hint is to come after the commit
}

var errOneStatement = errors.New("this transaction has one statement")

// Query implements pgx.Tx. It commits before the last row is read; closing the rows has the error of a commit too.
func (t *oneTrip) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	hints := t.queue != "" && t.hints.due(t.queue)
	t.owing = t.queue != "" && !hints
	switch {
	case sql == insertOne && hints:
		return t.conn.Query(ctx, insertOneHinting, append(args, hintTopic, hint(t.queue))...)
	case !hints:
		return t.conn.Query(ctx, sql, args...)
	}
	batch := &pgx.Batch{}
	batch.Queue(sql, args...)
	batch.Queue(hintSQL, hintTopic, hint(t.queue))
	results := t.conn.SendBatch(ctx, batch)
	rows, err := results.Query()
	if err != nil {
		return nil, errors.Join(err, results.Close())
	}
	return &committingRows{Rows: rows, results: results}, nil
}

// QueryRow implements pgx.Tx: River's client asks once what server this is.
func (t *oneTrip) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return t.conn.QueryRow(ctx, sql, args...)
}

// Conn implements pgx.Tx.
func (t *oneTrip) Conn() *pgx.Conn { return t.conn }

// Exec implements pgx.Tx.
func (t *oneTrip) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, errOneStatement
}

// committingRows are at their end when their transaction is.
type committingRows struct {
	pgx.Rows

	results pgx.BatchResults
	ended   bool
	err     error
}

// Next implements pgx.Rows.
func (r *committingRows) Next() bool {
	if !r.ended && r.Rows.Next() {
		return true
	}
	r.Close()
	return false
}

// Close implements pgx.Rows.
func (r *committingRows) Close() {
	if r.ended {
		return
	}
	r.ended = true
	r.Rows.Close()
	r.err = cmp.Or(r.Rows.Err(), r.results.Close())
}

// Err implements pgx.Rows.
func (r *committingRows) Err() error {
	if r.ended {
		return r.err
	}
	return r.Rows.Err()
}
