// Package session says how a session with Postgres is opened, so that a process that freezes, loses
// its network or its power holds a lock, a snapshot or a connection for seconds and not for hours. It
// is the same for every session of ours: the pools, River's work on them, the event sessions, the
// migrations and the local server's own.
package session

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	// IdleInTransaction is how long the server lets a session hold a transaction open between two
	// statements. No transaction of ours does anything but its own statements, so a longer pause is a
	// client that froze. It also bounds how long such a client holds up the event log's readers.
	IdleInTransaction = time.Second
	// IdleHolding is IdleInTransaction while the transaction holds the lock of a tune, a walk-forward, an
	// ingestion or a re-embedding. All who wait for it stand still meanwhile. A process that merely had to
	// wait so long for its processor saves again, at no cost to its job.
	IdleHolding = 700 * time.Millisecond
	// Lock is how long a statement waits for a lock. Others hold theirs for milliseconds, or for
	// IdleInTransaction when they froze; one that waits longer gives its slot back and tries again.
	Lock = 5 * time.Second
	// Statement bounds what no statement of a request or a job comes near.
	Statement = time.Minute
	// Unanswered is how long sent bytes may go unacknowledged before a peer counts as gone, on both
	// sides; a peer that is silent is asked after keepIdle, every keepEvery.
	Unanswered = 5 * time.Second

	keepIdle  = 3 * time.Second
	keepEvery = time.Second
	keepCount = 3
	// connectWithin bounds the making of a connection where the URL does not.
	connectWithin = 5 * time.Second
)

// Limits are the server's limits on one kind of session. A zero field leaves its limit off.
type Limits struct {
	IdleInTransaction time.Duration
	Lock              time.Duration
	Statement         time.Duration
}

// Work are the limits of sessions that requests and jobs run on.
func Work() Limits {
	return Limits{IdleInTransaction: IdleInTransaction, Lock: Lock, Statement: Statement}
}

// Schema are the limits of sessions that change the schema. A change may take long, but must not
// stand for long before a table's readers while it waits for its lock.
func Schema() Limits {
	return Limits{IdleInTransaction: time.Minute, Lock: 30 * time.Second}
}

// Configure has a connection opened with the limits, and both ends notice a peer that is gone. What
// the URL sets itself stays as it is there.
func Configure(cfg *pgx.ConnConfig, limits Limits) {
	set := func(name string, value time.Duration, unit time.Duration) {
		if _, given := cfg.RuntimeParams[name]; !given && value > 0 {
			cfg.RuntimeParams[name] = strconv.FormatInt(int64(value/unit), 10)
		}
	}
	set("idle_in_transaction_session_timeout", limits.IdleInTransaction, time.Millisecond)
	set("lock_timeout", limits.Lock, time.Millisecond)
	set("statement_timeout", limits.Statement, time.Millisecond)
	set("tcp_user_timeout", Unanswered, time.Millisecond)
	set("tcp_keepalives_idle", keepIdle, time.Second)
	set("tcp_keepalives_interval", keepEvery, time.Second)
	set("tcp_keepalives_count", keepCount, 1)
	// A query whose client is gone ends instead of running on for nobody.
	set("client_connection_check_interval", Unanswered, time.Millisecond)
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectWithin
	}
	dialer := net.Dialer{
		Timeout: cfg.ConnectTimeout,
		Control: giveUpUnanswered,
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: keepIdle, Interval: keepEvery, Count: keepCount,
		},
	}
	cfg.DialFunc = dialer.DialContext
}

// Connect opens a single session.
func Connect(ctx context.Context, databaseURL string, limits Limits) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(databaseURL)
	if err != nil {
		return nil, err
	}
	Configure(cfg, limits)
	return pgx.ConnectConfig(ctx, cfg)
}
