package storetest

import (
	"context"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
)

// RoundTrips notes what pools send and wait for, one text a round trip: a batch is one, its statements joined by "; ".
// It is a tracer of pgx.
type RoundTrips struct {
	// Only picks the round trips that are noted; nil: all are.
	Only func(sql string) bool

	mu    sync.Mutex
	trips []roundTrip
}

type roundTrip struct {
	conn *pgx.Conn
	sql  string
}

func (r *RoundTrips) note(conn *pgx.Conn, sql string) {
	if r.Only != nil && !r.Only(sql) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trips = append(r.trips, roundTrip{conn, strings.Join(strings.Fields(sql), " ")})
}

// TraceQueryStart implements pgx.QueryTracer.
func (r *RoundTrips) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	r.note(conn, data.SQL)
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (r *RoundTrips) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TraceBatchStart implements pgx.BatchTracer.
func (r *RoundTrips) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	var all []string
	for _, q := range data.Batch.QueuedQueries {
		all = append(all, q.SQL)
	}
	r.note(conn, strings.Join(all, "; "))
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (r *RoundTrips) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (r *RoundTrips) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// Take is what was sent since the last call.
func (r *RoundTrips) Take() (sent []string) {
	for _, trip := range r.take() {
		sent = append(sent, trip.sql)
	}
	return sent
}

// TakeApart is what was sent since the last call, by connection: what others send has no place between the parts of a
// transaction.
func (r *RoundTrips) TakeApart() map[*pgx.Conn][]string {
	sent := map[*pgx.Conn][]string{}
	for _, trip := range r.take() {
		sent[trip.conn] = append(sent[trip.conn], trip.sql)
	}
	return sent
}

func (r *RoundTrips) take() []roundTrip {
	r.mu.Lock()
	defer r.mu.Unlock()
	trips := r.trips
	r.trips = nil
	return trips
}
