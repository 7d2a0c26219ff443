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

// Session is who signed in to the console, and until when. Without a Person it is an admin's.
type Session struct {
	Digest  [32]byte
	Expires time.Time
	Person  *Principal   // who signed in with a workspace's key
	Admin   *AdminHolder // who signed in with a token of admin_tokens; nil with a Person, and for ADMIN_TOKEN
}

// liveSessions are the sessions that open something now: of a key that works and has the role it had at
// sign-in, of an admin's token that works, or of ADMIN_TOKEN. It is the only place that says so.
const liveSessions = `(
	select s.digest, least(s.expires_at, k.expires_at, a.expires_at) as expires_at, s.key_id, s.admin_token_id, a.name as admin_name
	  from admin_sessions s
	  left join api_keys k on k.id = s.key_id
	  left join admin_tokens a on a.id = s.admin_token_id
	 where s.expires_at > now()
	   and (s.key_id is null or k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) and k.role = s.role)
	   and (s.admin_token_id is null or a.revoked_at is null and (a.expires_at is null or a.expires_at > now())))`

// BeginSession begins a session of the console, and forgets those that have expired. The digest stands for
// its secret. ErrNotFound when the key or token that it is for has gone meanwhile.
func (s *Store) BeginSession(ctx context.Context, session Session, lasts time.Duration) (expires time.Time, err error) {
	var key, token *uuid.UUID
	var role *Role
	if session.Person != nil {
		key, role = &session.Person.KeyID, &session.Person.Role
	}
	if session.Admin != nil {
		token = &session.Admin.ID
	}
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from admin_sessions where expires_at < now()`); err != nil {
			return fmt.Errorf("forget expired sessions: %w", err)
		}
		_, err := tx.Exec(ctx, `
			insert into admin_sessions (digest, expires_at, key_id, role, admin_token_id)
			values ($1, now() + make_interval(secs => $2), $3, $4, $5)`, session.Digest[:], lasts.Seconds(), key, role, token)
		if store.SQLState(err) == store.ForeignKeyViolation {
			return fmt.Errorf("session: %w", store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("create session: %w", err)
		}
		err = tx.QueryRow(ctx, `select expires_at from `+liveSessions+` s where digest = $1`, session.Digest[:]).Scan(&expires)
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

// SessionOf finds the session that one of the digests stands for; ErrNotFound when it has ended, or never
// began.
func (s *Store) SessionOf(ctx context.Context, digests [][]byte) (Session, error) {
	var session Session
	var digest []byte
	var key, workspace, token uuid.NullUUID
	var role, keyName, admin *string
	var limits WorkspaceLimits
	err := s.db.FleetRow(ctx, `
		select s.digest, s.expires_at, s.key_id, k.workspace_id, k.role, k.name, s.admin_token_id, s.admin_name,
		       w.submissions_per_minute, w.queries_per_minute, w.queue_depth
		  from `+liveSessions+` s
		  left join api_keys k on k.id = s.key_id
		  left join workspaces w on w.id = k.workspace_id
		 where s.digest = any($1)`, []any{digests},
		&digest, &session.Expires, &key, &workspace, &role, &keyName, &token, &admin,
		&limits.SubmissionsPerMinute, &limits.QueriesPerMinute, &limits.QueueDepth)
	if errors.Is(err, pgx.ErrNoRows) {
		return Session{}, fmt.Errorf("session: %w", store.ErrNotFound)
	}
	if err != nil {
		return Session{}, fmt.Errorf("read session: %w", err)
	}
	session.Digest = [32]byte(digest)
	if key.Valid {
		session.Person = &Principal{WorkspaceID: workspace.UUID, KeyID: key.UUID, KeyName: *keyName, Role: Role(*role), Limits: limits}
	}
	if token.Valid {
		session.Admin = &AdminHolder{ID: token.UUID, Name: *admin}
	}
	return session, nil
}

// EndSession ends a session and its tickets, if it is still there.
func (s *Store) EndSession(ctx context.Context, digests [][]byte) error {
	return s.db.InFleet(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from admin_sessions where digest = any($1)`, digests); err != nil {
			return fmt.Errorf("end session: %w", err)
		}
		return nil
	})
}

// EventTicket lets its holder follow one workspace's events for a while.
type EventTicket struct {
	Digest    [32]byte
	Workspace uuid.UUID
	Expires   time.Time
}

// liveTickets are the tickets that open a stream now: a ticket ends with the session it was made in.
const liveTickets = `(
	select t.digest, t.workspace_id, t.expires_at from event_tickets t
	 where t.expires_at > now()
	   and exists (select from workspaces w where w.id = t.workspace_id)
	   and (t.session is null or exists (select from ` + liveSessions + ` s where s.digest = t.session))
	   and (t.admin_token_id is null or exists (
	       select from admin_tokens a where a.id = t.admin_token_id and a.revoked_at is null and (a.expires_at is null or a.expires_at > now()))))`

// TicketMaker is what a ticket is made with, and ends with: a session, a named admin's token, or with
// neither ADMIN_TOKEN.
type TicketMaker struct {
	Session    *[32]byte // its digest
	AdminToken *uuid.UUID
}

// CreateEventTicket makes a ticket for a workspace, which ends with what it is made with,
// and forgets those that have expired. ErrNotFound when there is no such workspace.
func (s *Store) CreateEventTicket(ctx context.Context, digest [32]byte, with TicketMaker, workspace uuid.UUID, lasts time.Duration) (EventTicket, error) {
	ticket := EventTicket{Digest: digest, Workspace: workspace}
	var parent []byte
	if with.Session != nil {
		parent = with.Session[:]
	}
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from event_tickets where expires_at < now()`); err != nil {
			return fmt.Errorf("forget expired tickets: %w", err)
		}
		err := tx.QueryRow(ctx, `
			insert into event_tickets (digest, session, admin_token_id, workspace_id, expires_at)
			select $1, $2, $3, w.id, now() + make_interval(secs => $5) from workspaces w where w.id = $4
			returning expires_at`, digest[:], parent, with.AdminToken, workspace, lasts.Seconds()).Scan(&ticket.Expires)
		if store.SQLState(err) == store.ForeignKeyViolation || errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("workspace %s: %w", workspace, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("create ticket: %w", err)
		}
		return nil
	})
	return ticket, err
}

// EventTicketOf finds the ticket that one of the digests stands for; ErrNotFound when it has expired, its
// session has ended, or it never was.
func (s *Store) EventTicketOf(ctx context.Context, digests [][]byte) (EventTicket, error) {
	var ticket EventTicket
	var digest []byte
	err := s.db.FleetRow(ctx, `select t.digest, t.workspace_id, t.expires_at from `+liveTickets+` t where t.digest = any($1)`,
		[]any{digests}, &digest, &ticket.Workspace, &ticket.Expires)
	if errors.Is(err, pgx.ErrNoRows) {
		return ticket, fmt.Errorf("ticket: %w", store.ErrNotFound)
	}
	if err != nil {
		return ticket, fmt.Errorf("read ticket: %w", err)
	}
	ticket.Digest = [32]byte(digest)
	return ticket, nil
}
