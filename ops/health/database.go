package health

import (
	"context"
	"fmt"
	"time"

	"millrace/ops"
	"millrace/store"
)

// The thresholds of the database.
const (
	acquireSlow, acquireBroken = 100 * time.Millisecond, 500 * time.Millisecond
	querySlow, queryBroken     = 50 * time.Millisecond, 200 * time.Millisecond
)

func (c checks) database(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "db.md#database"}
	if c.Main != nil {
		pool := c.Main.PoolState()
		r.Add("pool_size", pool.Size)
		r.Add("pool_max", pool.Max)
		r.Add("pool_available", pool.Available)
		r.Add("acquire_p95_ms", milliseconds(pool.AcquireP95))
		if pool.Available == 0 {
			r.Raise(ops.StatusDegraded, fmt.Sprintf("all %d connections of the pool are in use", pool.Max),
				"Find what holds them: select * from pg_stat_activity where application_name like 'millrace%'.")
		}
		grade(&r, pool.AcquireP95, acquireSlow, acquireBroken, "95 % of the waits for a connection took up to",
			"Raise the pool's size or find what holds its connections: see pg_stat_activity.")
	}
	state, err := c.Store.Upkeep.DatabaseState(ctx)
	if err != nil {
		r.Raise(ops.StatusError, err.Error(), "Is Postgres up, and does DATABASE_URL lead to it? Then: millrace migrate status.")
		return r
	}
	r.Add("query_ms", milliseconds(state.Query))
	r.Add("connection_errors_5m", state.ConnErrors5m)
	grade(&r, state.Query, querySlow, queryBroken, "the smallest of queries takes",
		"Look at the server's load and at its locks: pg_stat_activity, pg_locks.")
	c.writes(ctx, &r)
	c.clock(&r)
	r.Raise(ops.StatusOK, "answers and takes writes", "")
	return r
}

// writes probes whether the database takes writes.
func (c checks) writes(ctx context.Context, r *ops.Report) {
	began := time.Now()
	at, err := c.Store.Upkeep.ProbeWrite(ctx)
	switch {
	case store.ReadOnly(err):
		r.Raise(ops.StatusError, "it only reads: "+err.Error(),
			"DATABASE_URL leads to a standby, or someone set default_transaction_read_only.")
	case err != nil:
		r.Raise(ops.StatusError, "it takes no writes: "+err.Error(),
			"Look at the free space of its disk first; work waits and loses nothing until it takes them again.")
	default:
		r.Add("written_at", at)
		r.Add("write_ms", milliseconds(time.Since(began)))
	}
}

// clockOff is by how much a clock may be off.
const clockOff = 2 * time.Second

// clock looks at this process's own clock.
func (c checks) clock(r *ops.Report) {
	if c.Main == nil {
		return
	}
	ahead := c.Main.Clock().Ahead()
	r.Add("clock_ahead_s", ahead.Round(time.Millisecond).Seconds())
	if ahead.Abs() > clockOff {
		r.Raise(ops.StatusDegraded, fmt.Sprintf("this process's clock is off by %v", ahead.Round(time.Second)),
			"Set its machine's clock by NTP. What decides goes by the database's clock meanwhile.")
	}
}

// grade raises the report when a duration is over a threshold.
func grade(r *ops.Report, took, slow, broken time.Duration, what, advice string) {
	switch {
	case took > broken:
		r.Raise(ops.StatusError, fmt.Sprintf("%s %v, over %v", what, took.Round(time.Millisecond), broken), advice)
	case took > slow:
		r.Raise(ops.StatusDegraded, fmt.Sprintf("%s %v, over %v", what, took.Round(time.Millisecond), slow), advice)
	}
}
