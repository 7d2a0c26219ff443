package tenants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// CreateAdminSession begins a session of the console, and forgets those that have expired. The
// digest stands for its secret.
func (s *Store) CreateAdminSession(ctx context.Context, digest [32]byte, lasts time.Duration) (expires time.Time, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from admin_sessions where expires_at < now()`); err != nil {
			return fmt.Errorf("forget expired sessions: %w", err)
		}
		err := tx.QueryRow(ctx, `
			insert into admin_sessions (digest, expires_at) values ($1, now() + make_interval(secs => $2))
			returning expires_at`, digest[:], lasts.Seconds()).Scan(&expires)
		if err != nil {
			return fmt.Errorf("create session: %w", err)
		}
		return nil
	})
	return expires, err
}

// AdminSession is when a session ends; ErrNotFound when it has, or never began.
func (s *Store) AdminSession(ctx context.Context, digest [32]byte) (expires time.Time, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `
			select expires_at from admin_sessions where digest = $1 and expires_at > now()`, digest[:]).Scan(&expires)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("session: %w", store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read session: %w", err)
		}
		return nil
	})
	return expires, err
}

// EndAdminSession ends a session and its tickets, if it is still there.
func (s *Store) EndAdminSession(ctx context.Context, digest [32]byte) error {
	return s.db.InFleet(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from admin_sessions where digest = $1`, digest[:]); err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		return nil
	})
}

// EventTicket lets its holder follow one workspace's events for a while.
type EventTicket struct {
	Workspace uuid.UUID
	Expires   time.Time
}

// CreateEventTicket makes a ticket for a workspace, which ends with the session when one is given,
// and forgets those that have expired. ErrNotFound when there is no such workspace.
func (s *Store) CreateEventTicket(ctx context.Context, digest [32]byte, session *[32]byte, workspace uuid.UUID, lasts time.Duration) (EventTicket, error) {
	ticket := EventTicket{Workspace: workspace}
	var parent []byte
	if session != nil {
		parent = session[:]
	}
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from event_tickets where expires_at < now()`); err != nil {
			return fmt.Errorf("forget expired tickets: %w", err)
		}
		err := tx.QueryRow(ctx, `
			insert into event_tickets (digest, session, workspace_id, expires_at)
			values ($1, $2, $3, now() + make_interval(secs => $4))
			returning expires_at`, digest[:], parent, workspace, lasts.Seconds()).Scan(&ticket.Expires)
		if store.SQLState(err) == store.ForeignKeyViolation {
			return fmt.Errorf("workspace %s: %w", workspace, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("create ticket: %w", err)
		}
		return nil
	})
	return ticket, err
}

// EventTicket reads a ticket; ErrNotFound when it has expired, its session has ended, or it never was.
func (s *Store) EventTicket(ctx context.Context, digest [32]byte) (EventTicket, error) {
	var ticket EventTicket
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `
			select t.workspace_id, t.expires_at
			  from event_tickets t left join admin_sessions s on s.digest = t.session
			 where t.digest = $1 and t.expires_at > now() and (t.session is null or s.expires_at > now())`,
			digest[:]).Scan(&ticket.Workspace, &ticket.Expires)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("ticket: %w", store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read ticket: %w", err)
		}
		return nil
	})
	return ticket, err
}
