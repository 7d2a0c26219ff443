package jobs

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/riverqueue/river/riverdriver"
)

const (
	// riverFetch is how River's statement that fetches jobs begins.
	riverFetch = "-- name: JobGetAvailable :many\n"
	// fetchAvailable takes the parameters of River's statement and returns its columns. River's carries all columns of the
	// jobs through the sort and looks each job up again by its id. This one comes back to each row, which it holds locked,
	// by its place, which a plan makes a scan of a table of some thirty pages at most: it takes 10 places to come. A plan that
	// was made then remains when the table has grown, so the connection of a fetcher makes none. A row that
	// another transaction changes while the statement chooses, and leaves available, is at a place then that the statement
	// does not see: the next fetch has it, half a second later at most. Nothing of ours makes such a change, nor does a retry
	// in River UI.
	// It orders by the state and the queue too, which are the same for all. Under row-level security Postgres does not infer that
	// they are, as the comparison of states may leak what it compares, and without it sorts all jobs that wait for each fetch,
	// though the index has them in order: 26 ms with 50,000.
	fetchAvailable = riverFetch + `
	update river_job set state = 'running', attempt = attempt + 1, attempted_at = coalesce($1::timestamptz, now()),
	       attempted_by = array_append(case when array_length(attempted_by, 1) >= $2::int
	                                        then attempted_by[array_length(attempted_by, 1) + 2 - $2:] else attempted_by end, $3::text)
	 where ctid = any (array(
	     select ctid from river_job
	      where state = 'available' and queue = $4::text and ($5::text[] is null or kind = any ($5::text[]))
	        and scheduled_at <= coalesce($1::timestamptz, now())
	      order by state, queue, priority, scheduled_at, id
	      limit $6::integer for update skip locked))
	returning id, args, attempt, attempted_at, attempted_by, created_at, errors, finalized_at, kind, max_attempts, metadata, priority,
	          queue, state, scheduled_at, tags, unique_key, unique_states`
)

// JobGetAvailable implements riverdriver.Executor: River reads what our statement returns.
func (e *executor) JobGetAvailable(ctx context.Context, params *riverdriver.JobGetAvailableParams) (*riverdriver.JobGetAvailableResult, error) {
	if params.Schema != "" {
		return e.Executor.JobGetAvailable(ctx, params)
	}
	fetch := func(on querier) (*riverdriver.JobGetAvailableResult, error) {
		return e.driver.Driver.UnwrapExecutor(&fetching{on: on}).JobGetAvailable(ctx, params)
	}
	if e.driver.fetcher == nil {
		return fetch(e.driver.pool)
	}
	conn, err := e.driver.fetcher.take(ctx)
	if err != nil {
		return nil, err
	}
	if conn == nil { // others fetch
		return fetch(e.driver.pool)
	}
	result, err := fetch(conn)
	e.driver.fetcher.give(conn, err)
	return result, err
}

// querier runs statements: a pool or a connection.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// fetching stands where River's fetch has its connection, and has our statement run instead.
type fetching struct {
	pgx.Tx // nil: the fetch needs no more than what is here

	on querier
}

// Query implements pgx.Tx.
func (f *fetching) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	if strings.HasPrefix(sql, riverFetch) && len(args) == 6 {
		sql = fetchAvailable
	}
	return f.on.Query(ctx, sql, args...)
}

// QueryRow implements pgx.Tx.
func (f *fetching) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return f.on.QueryRow(ctx, sql, args...)
}

// Exec implements pgx.Tx.
func (f *fetching) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return f.on.Exec(ctx, sql, args...)
}

// Conn implements pgx.Tx: a pool has no one connection.
func (f *fetching) Conn() *pgx.Conn { return nil }
