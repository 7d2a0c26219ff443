package eventlog

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// Blocker is a transaction that has written events and has not ended: later events wait for it.
type Blocker struct {
	PID         int    // its session; 0: it is prepared
	GID         string // of a prepared transaction
	Login       string
	Application string    // application_name
	State       string    // of the session, as in pg_stat_activity, or prepared
	Since       time.Time // the transaction began, or was prepared
}

// End is the statement that ends the transaction; its work is rolled back whole.
func (b Blocker) End() string {
	if b.GID != "" {
		return "rollback prepared " + quoteLiteral(b.GID)
	}
	return fmt.Sprintf("select pg_terminate_backend(%d)", b.PID)
}

// String names the transaction.
func (b Blocker) String() string {
	if b.GID != "" {
		return fmt.Sprintf("prepared transaction %s of %s", quoteLiteral(b.GID), b.Login)
	}
	return fmt.Sprintf("session %d of %s (%s, %s)", b.PID, b.Login, b.Application, b.State)
}

// State is whether the log's events are passed on.
type State struct {
	Waiting  time.Duration // of the oldest event that is committed and not yet readable; zero: none
	Relayed  bool          // the fleet has a relay
	Blockers []Blocker     // what it waits for, the oldest first; empty while Waiting is zero
}

// waitingSQL is for how many seconds the oldest event at or behind the bound has been there.
const waitingSQL = `
	select coalesce(extract(epoch from max(clock_timestamp() - at)), 0)::float8
	  from event_log where (xid, id) >= ($1, $2)`

// State reads the state, by the database's clock.
func (s *Store) State(ctx context.Context) (state State, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		bound, err := readBound(ctx, tx)
		if err != nil {
			return err
		}
		var seconds float64
		batch := &pgx.Batch{}
		batch.Queue(waitingSQL, bound.xid, bound.id).QueryRow(func(row pgx.Row) error { return row.Scan(&seconds) })
		batch.Queue(`
			select exists (select from pg_locks l join pg_database d on d.oid = l.database
			                where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and d.datname = current_database()
			                  and l.classid::bigint << 32 | l.objid::bigint = $1)`, relayLock).
			QueryRow(func(row pgx.Row) error { return row.Scan(&state.Relayed) })
		if err := tx.SendBatch(ctx, batch).Close(); err != nil {
			return fmt.Errorf("read the event log: %w", err)
		}
		state.Waiting = time.Duration(seconds * float64(time.Second))
		if seconds == 0 {
			return nil
		}
		rows, err := tx.Query(ctx, `
			select coalesce(pid, 0), coalesce(gid, ''), coalesce(login, ''), coalesce(application, ''), coalesce(state, ''),
			       coalesce(since, clock_timestamp()) from event_log_blockers()`)
		if err != nil {
			return fmt.Errorf("read what holds the event log up: %w", err)
		}
		if state.Blockers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Blocker]); err != nil {
			return fmt.Errorf("read what holds the event log up: %w", err)
		}
		return nil
	})
	return state, err
}

// quoteLiteral is text as SQL writes it.
func quoteLiteral(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
