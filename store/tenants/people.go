package tenants

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// SignedIn is a person whom the OpenID provider signed in, and what that opens: everything, or a workspace.
type SignedIn struct {
	Subject   string // the provider's issuer and its id of the person
	Name      string // for people to read
	Admin     bool
	Workspace string // its name; "" of an admin
	Role      Role
}

// AdmitPerson makes the key or admin's token that stands for a person for a while, or has the one that there is last as
// long and have the role of now; what else the person had is revoked. Nobody has its secret; who revokes it ends the
// person's sessions. The session has no digest yet. ErrNotFound of an unknown workspace.
func (s *Store) AdmitPerson(ctx context.Context, p SignedIn, lasts time.Duration) (Session, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return Session{}, fmt.Errorf("id of a person: %w", err)
	}
	var digest [32]byte // of no secret
	_, _ = rand.Read(digest[:])
	var session Session
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		if err := closeTo(ctx, tx, p); err != nil {
			return err
		}
		if p.Admin {
			holder := AdminHolder{Name: p.Name}
			session.Admin = &holder
			return tx.QueryRow(ctx, `
				insert into admin_tokens (id, name, token_sha256, subject, expires_at, last_used_at)
				values ($1, $2, $3, $4, now() + make_interval(secs => $5), now())
				on conflict (subject) where subject is not null and revoked_at is null
				do update set name = excluded.name, expires_at = greatest(admin_tokens.expires_at, excluded.expires_at), last_used_at = now()
				returning id`, id, p.Name, digest[:], p.Subject, lasts.Seconds()).Scan(&holder.ID)
		}
		person := Principal{KeyName: p.Name, Role: p.Role}
		session.Person = &person
		return tx.QueryRow(ctx, `
			insert into api_keys (id, workspace_id, name, role, key_sha256, subject, expires_at, last_used_at)
			select $1, w.id, $3, $4, $5, $6, now() + make_interval(secs => $7), now() from workspaces w where w.name = $2
			on conflict (workspace_id, subject) where subject is not null and revoked_at is null
			do update set name = excluded.name, role = excluded.role, expires_at = greatest(api_keys.expires_at, excluded.expires_at), last_used_at = now()
			returning id, workspace_id`, id, p.Workspace, p.Name, p.Role, digest[:], p.Subject, lasts.Seconds()).Scan(&person.KeyID, &person.WorkspaceID)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Session{}, fmt.Errorf("workspace %q: %w", p.Workspace, store.ErrNotFound)
	}
	if err != nil {
		return Session{}, fmt.Errorf("admit a person: %w", err)
	}
	return session, nil
}

// DismissPerson revokes whatever a person had, to whom the provider opens nothing any more.
func (s *Store) DismissPerson(ctx context.Context, subject string) error {
	return s.db.InFleet(ctx, func(tx *store.Tx) error { return closeTo(ctx, tx, SignedIn{Subject: subject}) })
}

// closeTo revokes what a person has beside what is opened now: it ends sessions in other browsers.
func closeTo(ctx context.Context, tx *store.Tx, p SignedIn) error {
	_, err := tx.Exec(ctx, `update admin_tokens set revoked_at = clock_timestamp() where subject = $1 and revoked_at is null and not $2`, p.Subject, p.Admin)
	if err == nil {
		_, err = tx.Exec(ctx, `
			update api_keys set revoked_at = clock_timestamp()
			 where subject = $1 and revoked_at is null and ($2 or workspace_id not in (select w.id from workspaces w where w.name = $3))`,
			p.Subject, p.Admin, p.Workspace)
	}
	if err != nil {
		return fmt.Errorf("revoke what a person had before: %w", err)
	}
	return nil
}

// BeginSignIn keeps where a sign-in that begins at the provider continues, and forgets those that were given up. The digest is
// of what the browser keeps and of what the provider gives back.
func (s *Store) BeginSignIn(ctx context.Context, digest [32]byte, next string, lasts time.Duration) error {
	return s.db.InFleet(ctx, func(tx *store.Tx) error {
		if _, err := tx.Exec(ctx, `delete from sign_ins where expires_at < now()`); err != nil {
			return fmt.Errorf("forget sign-ins: %w", err)
		}
		_, err := tx.Exec(ctx, `insert into sign_ins (digest, next, expires_at) values ($1, $2, now() + make_interval(secs => $3))`, digest[:], next, lasts.Seconds())
		if err != nil {
			return fmt.Errorf("begin sign-in: %w", err)
		}
		return nil
	})
}

// TakeSignIn is where a sign-in continues, once: ErrNotFound when it was taken, has expired or never began.
func (s *Store) TakeSignIn(ctx context.Context, digest [32]byte) (next string, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		return tx.QueryRow(ctx, `delete from sign_ins where digest = $1 and expires_at > now() returning next`, digest[:]).Scan(&next)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("sign-in: %w", store.ErrNotFound)
	}
	if err != nil {
		return "", fmt.Errorf("take sign-in: %w", err)
	}
	return next, nil
}
