package eventlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/store"
)

const (
	// eventChannel is where the relay notifies.
	eventChannel = "millrace_events"
	// relayLock is the session advisory lock that one relay of the fleet holds: "mill" in ASCII.
	relayLock = int64(0x6d696c6c)
	// sleepLock is the session advisory lock that the relay holds while it sleeps, and wakeChannel is where a
	// transaction that writes an event then notifies it: see migrations/sql, event_log_place.
	sleepLock   = relayLock + 1
	wakeChannel = "millrace_wake"
)

// Session is a connection of its own that sees the whole fleet's events. LISTEN and the
// relay's lock belong to a connection, so neither can live in the pool. It is not safe for
// concurrent use.
type Session struct {
	conn *pgx.Conn
	page []Event // that was read last
}

// OpenSession connects. Close it when done.
func (s *Store) OpenSession(ctx context.Context) (*Session, error) {
	cfg := s.db.Pool().Config().ConnConfig
	cfg.RuntimeParams["role"] = store.FleetRole
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open an event session: %w", err)
	}
	return &Session{conn: conn}, nil
}

// Close ends the session, and with it what it listens to and its lock.
func (s *Session) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx) // the socket is closed in any case
}

// Listen asks for the relay's hints. What is committed before it returns gives none.
func (s *Session) Listen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	if _, err := s.conn.Exec(ctx, `listen `+eventChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// Hint waits at most so long for a hint that there are events after a place. To get none is not an error; hints
// of what the place has passed when they come are not counted.
func (s *Session) Hint(ctx context.Context, place func() Cursor, within time.Duration) (bool, error) {
	wait, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		n, err := s.conn.WaitForNotification(wait)
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err != nil && wait.Err() != nil:
			return false, nil
		case err != nil:
			return false, fmt.Errorf("wait for a notification: %w", err)
		}
		if upTo, err := ParseCursor(n.Payload); err != nil || place().Before(upTo) {
			return true, nil
		}
	}
}

// followRows is how many rows of the log are read at once.
const followRows = 200

// Events reads readable events after the cursor, in order, at most limit; more says that there may
// be more. The next call overwrites them.
func (s *Session) Events(ctx context.Context, after Cursor, limit int) (events []Event, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	row, passed := after.row()
	rows, err := s.conn.Query(ctx, `
		select xid, id, at, workspace_id, topic, type, entity_id, job_ids, payload from event_log_next($1, $2, $3, $4)`,
		after.XID, row, followRows, int64(limit)+passed)
	if err != nil {
		return nil, false, fmt.Errorf("follow events: %w", err)
	}
	clear(s.page) // else what nobody wants is kept while nothing comes
	events, read, err := collectEvents(rows, s.page[:0], after, limit)
	if err != nil {
		return nil, false, fmt.Errorf("follow events: %w", err)
	}
	s.page = events
	return events, read == followRows || len(events) == limit, nil
}

// Bounds reads the bounds of the log, and for how long the oldest committed event has been waiting
// for transactions that may yet write before it; zero when none waits.
func (s *Session) Bounds(ctx context.Context) (b Bounds, waiting time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	bound, err := readBound(ctx, s.conn)
	if err != nil {
		return b, 0, err
	}
	var seconds float64
	batch := &pgx.Batch{}
	batch.Queue(waitingSQL, bound.xid, bound.id).QueryRow(func(row pgx.Row) error { return row.Scan(&seconds) })
	batch.Queue(boundsSQL).QueryRow(b.scan)
	if err := s.conn.SendBatch(ctx, batch).Close(); err != nil {
		return b, 0, fmt.Errorf("read the event log's bounds: %w", err)
	}
	return b, time.Duration(seconds * float64(time.Second)), nil
}

// Elect tries to become the fleet's relay for the rest of the session.
func (s *Session) Elect(ctx context.Context) (elected bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	if err := s.conn.QueryRow(ctx, `select pg_try_advisory_lock($1)`, relayLock).Scan(&elected); err != nil {
		return false, fmt.Errorf("stand for relay: %w", err)
	}
	return elected, nil
}

// Relayed reports whether the fleet has a relay.
func (s *Session) Relayed(ctx context.Context) (relayed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	err = s.conn.QueryRow(ctx, `
		select exists (select from pg_locks
		                where locktype = 'advisory' and granted and objsubid = 1 and classid = 0 and objid = $1
		                  and database = (select oid from pg_database where datname = current_database()))`,
		relayLock).Scan(&relayed)
	if err != nil {
		return false, fmt.Errorf("look for the relay: %w", err)
	}
	return relayed, nil
}

// Newest is the cursor of the last readable event after the given one; ok is false when there is
// none.
func (s *Session) Newest(ctx context.Context, after Cursor) (newest Cursor, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	newest = Cursor{Epoch: after.Epoch}
	bound, err := readBound(ctx, s.conn)
	if err != nil {
		return after, false, err
	}
	err = s.conn.QueryRow(ctx, `
		select xid, id + coalesce(cardinality(job_ids), 1) - 1 from event_log
		 where (xid, id) > ($1, $2) and (xid, id) < ($3, $4)
		 order by xid desc, id desc limit 1`, after.XID, after.ID, bound.xid, bound.id).Scan(&newest.XID, &newest.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return after, false, nil
	}
	if err != nil {
		return after, false, fmt.Errorf("look for new events: %w", err)
	}
	return newest, true, nil
}

// AwaitWaking asks to be woken while it sleeps, see Sleep.
func (s *Session) AwaitWaking(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	if _, err := s.conn.Exec(ctx, `listen `+wakeChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return nil
}

// Sleep has every event that is written from now on wake this session. It fails while transactions that have
// written events without doing so are open. What they committed before shows in a look at the log after it.
func (s *Session) Sleep(ctx context.Context) (asleep bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	if err := s.conn.QueryRow(ctx, `select pg_try_advisory_lock($1)`, sleepLock).Scan(&asleep); err != nil {
		return false, fmt.Errorf("ask to be woken: %w", err)
	}
	for now := done(ctx); asleep; { // what was committed by now shows in the look that follows
		if _, err := s.conn.WaitForNotification(now); err != nil {
			break
		}
	}
	return asleep, nil
}

// done is a context that has ended.
func done(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

// Wake ends what Sleep began: events wake nobody, as this session looks by itself.
func (s *Session) Wake(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	if _, err := s.conn.Exec(ctx, `select pg_advisory_unlock($1)`, sleepLock); err != nil {
		return fmt.Errorf("ask not to be woken: %w", err)
	}
	return nil
}

// Woken waits until an event that was written wakes this session, at most so long, and reports whether one did.
func (s *Session) Woken(ctx context.Context, within time.Duration) (bool, error) {
	wait, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, err := s.conn.WaitForNotification(wait)
	if err != nil && wait.Err() == nil {
		return false, fmt.Errorf("wait for an event: %w", err)
	}
	return err == nil, ctx.Err()
}

// Notify hints to every listener that there are events up to the cursor.
func (s *Session) Notify(ctx context.Context, upTo Cursor) error {
	ctx, cancel := context.WithTimeout(ctx, store.AnswerWithin)
	defer cancel()
	if _, err := s.conn.Exec(ctx, `select pg_notify($1, $2)`, eventChannel, upTo.String()); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}
