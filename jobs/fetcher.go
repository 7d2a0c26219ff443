package jobs

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// fetchBusy is how long a fetch waits for one of another queue before it has a connection of the pool. One that finds nothing
	// takes less.
	fetchBusy = 2 * time.Millisecond
	// fetchCloses bounds the goodbye to the server.
	fetchCloses = 2 * time.Second
	// fetchPlans has the fetch's plans come back to rows by their places, however small the table was when they were made.
	fetchPlans = `set enable_seqscan = off`
)

// fetcher is the connection that all fetches of a worker run on, one after the other, as long as it lives. A pool hands out
// whichever was given back last, of as many connections as ever were in use at a time. On one that has not run the fetch, and
// has not found a job by it, the server reads its catalogue, plans the statement and those of the triggers, which takes a job
// that comes to an idle worker 10 ms and more.
type fetcher struct {
	pool   *pgxpool.Pool
	idle   chan *pgx.Conn // has one, or nil where it is to be opened; empty while a fetch runs
	closed atomic.Bool
}

func newFetcher(pool *pgxpool.Pool) *fetcher {
	f := &fetcher{pool: pool, idle: make(chan *pgx.Conn, 1)}
	f.idle <- nil
	return f
}

// take returns the connection, which is given back after the fetch, or nil while others have it and once it is closed.
func (f *fetcher) take(ctx context.Context) (*pgx.Conn, error) {
	if f.closed.Load() {
		return nil, nil
	}
	select {
	case conn := <-f.idle:
		return f.open(ctx, conn)
	default:
	}
	busy := time.NewTimer(fetchBusy)
	defer busy.Stop()
	select {
	case conn := <-f.idle:
		return f.open(ctx, conn)
	case <-busy.C:
		return nil, nil
	}
}

// open takes a connection out of the pool where there is none yet.
func (f *fetcher) open(ctx context.Context, conn *pgx.Conn) (*pgx.Conn, error) {
	if conn != nil {
		return conn, nil
	}
	pooled, err := f.pool.Acquire(ctx)
	if err == nil {
		if _, err = pooled.Exec(ctx, fetchPlans); err == nil {
			return pooled.Hijack(), nil
		}
		_ = pooled.Conn().Close(ctx) // half set up
		pooled.Release()
	}
	f.idle <- nil
	return nil, err
}

// give gives the connection back. After an error the next fetch opens another: the server may be one that only reads by now.
func (f *fetcher) give(conn *pgx.Conn, err error) {
	if err != nil || f.closed.Load() {
		goodbye(conn)
		conn = nil
	}
	f.idle <- conn
	if f.closed.Load() { // meanwhile
		f.close()
	}
}

// close ends the connection, at the latest when the fetch that runs gives it back. Fetches after it have connections of the pool.
func (f *fetcher) close() {
	f.closed.Store(true)
	select {
	case conn := <-f.idle:
		if conn != nil {
			goodbye(conn)
		}
		f.idle <- nil
	default:
	}
}

func goodbye(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchCloses)
	defer cancel()
	_ = conn.Close(ctx)
}
