package tenants

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// AdminTokenPrefix is what the secret of every named admin's token begins with.
const AdminTokenPrefix = "ma_"

// AdminHolder is an admin, and the token that shows it.
type AdminHolder struct {
	ID   uuid.UUID  // of the token
	Name string     // of the admin
	Ends *time.Time // when the token expires, within 14 days; nil: later or never, or it is not known
}

// AdminToken is a token of a named admin, without its secret, which is nowhere. Of the tokens that work
// no two have one name.
type AdminToken struct {
	ID         uuid.UUID
	Name       string
	CreatedAt  time.Time
	ExpiresAt  *time.Time // nil: never
	LastUsedAt *time.Time // to the minute
	RevokedAt  *time.Time
}

const adminTokenColumns = `id, name, created_at, expires_at, last_used_at, revoked_at`

// IssueAdminToken makes a token for the admin of a name, once for the submission's idempotency key, and answers with
// its secret, which is stored only as a digest and under the submission's seal. ErrConflict when a token that works
// has the name.
func (s *Store) IssueAdminToken(
	ctx context.Context, sub store.Submission, name string, expires *time.Time, answer func(made AdminToken, secret string) (store.Response, error),
) (store.Response, error) {
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		err := unusedName(ctx, tx, "token of an admin", name, `
			select exists (select from admin_tokens where name = $1 and revoked_at is null and (expires_at is null or expires_at > now()))`)
		if err != nil {
			return store.Response{}, err
		}
		made, secret, err := insertAdminToken(ctx, tx, name, expires)
		if err != nil {
			return store.Response{}, err
		}
		return answer(made, secret)
	})
}

// insertAdminToken makes a token and its secret.
func insertAdminToken(ctx context.Context, tx *store.Tx, name string, expires *time.Time) (made AdminToken, secret string, err error) {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	secret = AdminTokenPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	id, err := uuid.NewV7()
	if err != nil {
		return AdminToken{}, "", fmt.Errorf("token id: %w", err)
	}
	digest := sha256.Sum256([]byte(secret))
	rows, err := tx.Query(ctx, `
		insert into admin_tokens (id, name, token_sha256, expires_at) values ($1, $2, $3, $4)
		returning `+adminTokenColumns, id, name, digest[:], expires)
	if err != nil {
		return AdminToken{}, "", fmt.Errorf("create admin token: %w", err)
	}
	if made, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[AdminToken]); err != nil {
		return AdminToken{}, "", fmt.Errorf("create admin token: %w", err)
	}
	store.AuditEntityOf(ctx, "admin_token", made.ID.String())
	store.AuditChange(ctx, nil, map[string]any{"name": made.Name, "expires_at": made.ExpiresAt})
	return made, secret, nil
}

// AdminBySecret finds the admin that a secret shows, and notes that the token was used. ErrNotFound when
// there is none, it was revoked or it has expired.
func (s *Store) AdminBySecret(ctx context.Context, secret string) (AdminHolder, error) {
	var holder AdminHolder
	digest := sha256.Sum256([]byte(secret))
	err := s.db.FleetRow(ctx, `
		with token as (
			select id, name, `+endsSoon+` as ends from admin_tokens
			 where token_sha256 = $1 and revoked_at is null and (expires_at is null or expires_at > now())
		), used as (
			-- Once a minute, and by the first that comes: the others do not wait.
			update admin_tokens set last_used_at = now()
			 where id = (select a.id from admin_tokens a join token on token.id = a.id
			              where a.last_used_at is null or a.last_used_at < now() - interval '1 minute'
			                for update of a skip locked)
		)
		select id, name, ends from token`, []any{digest[:]}, &holder.ID, &holder.Name, &holder.Ends)
	if errors.Is(err, pgx.ErrNoRows) {
		return holder, fmt.Errorf("admin token: %w", store.ErrNotFound)
	}
	if err != nil {
		return holder, fmt.Errorf("look up admin token: %w", err)
	}
	return holder, nil
}

// AdminTokens lists the tokens, revoked ones too, newest first, from after the page's place.
func (s *Store) AdminTokens(ctx context.Context, page store.Page, limit int) ([]AdminToken, error) {
	var tokens []AdminToken
	err := s.db.InFleet(ctx, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+adminTokenColumns+` from admin_tokens
			 where $2 = '00000000-0000-0000-0000-000000000000'::uuid or (created_at, id) < ($1, $2)
			 order by created_at desc, id desc limit $3`, page.Before, page.BeforeID, limit)
		if err != nil {
			return fmt.Errorf("list admin tokens: %w", err)
		}
		if tokens, err = pgx.CollectRows(rows, pgx.RowToStructByName[AdminToken]); err != nil {
			return fmt.Errorf("list admin tokens: %w", err)
		}
		return nil
	})
	return tokens, err
}

// RevokeAdminToken ends a token, its sessions and its streams, or ErrNotFound. One that has ended stays as
// it is.
func (s *Store) RevokeAdminToken(ctx context.Context, id uuid.UUID) error {
	return s.db.InFleet(ctx, func(tx *store.Tx) error {
		var name string
		err := tx.QueryRow(ctx, `update admin_tokens set revoked_at = coalesce(revoked_at, now()) where id = $1 returning name`, id).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("admin token %s: %w", id, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("revoke admin token: %w", err)
		}
		store.AuditChange(ctx, map[string]any{"name": name}, nil)
		return nil
	})
}
