package tenants

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/store"
)

// Role is what a key may do in its workspace; each role includes those before it.
type Role string

// The roles, from the least to the most.
const (
	RoleViewer Role = "viewer"
	RoleMember Role = "member"
	RoleAdmin  Role = "admin"
	RoleOwner  Role = "owner"
)

// Roles lists them, from the least to the most.
func Roles() []Role { return []Role{RoleViewer, RoleMember, RoleAdmin, RoleOwner} }

// Includes reports whether r may do what needs the other role.
func (r Role) Includes(needed Role) bool {
	return slices.Index(Roles(), r) >= slices.Index(Roles(), needed)
}

// Principal is who a request comes from.
type Principal struct {
	WorkspaceID uuid.UUID
	KeyID       uuid.UUID
	KeyName     string
	Role        Role
	Limits      WorkspaceLimits
	Ends        *time.Time // when the key expires, within 14 days; nil: later or never, or it is not known
}

// endsSoon is the SQL of an Ends.
const endsSoon = `case when expires_at < now() + interval '14 days' then expires_at end`

// KeyPrefix is what the secret of every key begins with.
const KeyPrefix = "mr_"

// Key is a key of a workspace, without its secret, which is nowhere.
type Key struct {
	ID          uuid.UUID
	WorkspaceID uuid.UUID
	Name        string
	Role        Role
	CreatedAt   time.Time
	ExpiresAt   *time.Time // nil: never
	LastUsedAt  *time.Time // to the minute
	RevokedAt   *time.Time
}

const keyColumns = `id, workspace_id, name, role, created_at, expires_at, last_used_at, revoked_at`

// CreateKey makes a key that does not expire and returns its secret.
func (s *Store) CreateKey(ctx context.Context, workspace uuid.UUID, name string, role Role) (secret string, err error) {
	err = s.db.InFleet(ctx, func(tx *store.Tx) error {
		_, secret, err = insertKey(ctx, tx, Key{WorkspaceID: workspace, Name: name, Role: role})
		return err
	})
	return secret, err
}

// IssueKey makes a key, once for the submission's idempotency key, and answers with its secret, which is stored only
// as a digest and under the submission's seal. ErrNotFound when there is no such workspace, ErrConflict when a key
// that works has the name.
func (s *Store) IssueKey(ctx context.Context, sub store.Submission, key Key, answer func(made Key, secret string) (store.Response, error)) (store.Response, error) {
	sub.Fleet = true
	return s.db.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		err := unusedName(ctx, tx, "key of "+key.WorkspaceID.String(), key.Name, `
			select exists (select from api_keys where workspace_id = $2 and name = $1
			                and revoked_at is null and (expires_at is null or expires_at > now()))`, key.WorkspaceID)
		if err != nil {
			return store.Response{}, err
		}
		made, secret, err := insertKey(ctx, tx, key)
		if err != nil {
			return store.Response{}, err
		}
		return answer(made, secret)
	})
}

// unusedName returns ErrConflict when something that works has the name. Two that ask for one name at once ask one
// after the other. exists takes the name as $1 and more after it.
func unusedName(ctx context.Context, tx *store.Tx, of, name, exists string, more ...any) error {
	if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended($1, 0))`, of+" "+name); err != nil {
		return fmt.Errorf("lock the name of a %s: %w", of, err)
	}
	var taken bool
	if err := tx.QueryRow(ctx, exists, append([]any{name}, more...)...).Scan(&taken); err != nil {
		return fmt.Errorf("look up the name of a %s: %w", of, err)
	}
	if taken {
		return fmt.Errorf("%s named %q: %w", of, name, store.ErrConflict)
	}
	return nil
}

// insertKey makes a key and its secret.
func insertKey(ctx context.Context, tx *store.Tx, key Key) (made Key, secret string, err error) {
	var raw [24]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	secret = KeyPrefix + base64.RawURLEncoding.EncodeToString(raw[:])
	id, err := uuid.NewV7()
	if err != nil {
		return Key{}, "", fmt.Errorf("key id: %w", err)
	}
	digest := sha256.Sum256([]byte(secret))
	rows, err := tx.Query(ctx, `
		insert into api_keys (id, workspace_id, name, role, key_sha256, expires_at)
		select $1, w.id, $3, $4, $5, $6 from workspaces w where w.id = $2
		returning `+keyColumns, id, key.WorkspaceID, key.Name, key.Role, digest[:], key.ExpiresAt)
	if err != nil {
		return Key{}, "", fmt.Errorf("create key: %w", err)
	}
	made, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Key])
	if errors.Is(err, pgx.ErrNoRows) {
		return Key{}, "", fmt.Errorf("workspace %s: %w", key.WorkspaceID, store.ErrNotFound)
	}
	if err != nil {
		return Key{}, "", fmt.Errorf("create key: %w", err)
	}
	store.AuditEntityOf(ctx, "key", made.ID.String())
	store.AuditChange(ctx, nil, map[string]any{"name": made.Name, "role": made.Role, "expires_at": made.ExpiresAt})
	return made, secret, nil
}

// KeyBySecret finds whose key a secret is, and notes that it was used. ErrNotFound when there is
// none or it was revoked, KeyExpiredError when it has expired: both hold from the next request on.
func (s *Store) KeyBySecret(ctx context.Context, secret string) (Principal, error) {
	var p Principal
	var due bool
	var used float64
	digest := sha256.Sum256([]byte(secret))
	err := s.db.FleetRow(ctx, `
		select k.workspace_id, k.id, k.name, k.role, w.submissions_per_minute, w.queries_per_minute, w.queue_depth,
		       `+endsSoon+`, `+noteDue+`, coalesce(extract(epoch from now() - k.last_used_at), 0)::float8
		  from api_keys k join workspaces w on w.id = k.workspace_id
		 where k.key_sha256 = $1 and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())`, []any{digest[:]},
		&p.WorkspaceID, &p.KeyID, &p.KeyName, &p.Role, &p.Limits.SubmissionsPerMinute, &p.Limits.QueriesPerMinute, &p.Limits.QueueDepth, &p.Ends, &due, &used)
	if errors.Is(err, pgx.ErrNoRows) {
		s.seen.forget(digest)
		return Principal{}, s.whyNoKey(ctx, digest[:])
	}
	if err == nil && due {
		used, err = 0, s.uses.note(ctx, p.KeyID)
	}
	if err != nil {
		return Principal{}, fmt.Errorf("look up key: %w", err)
	}
	s.seen.note(digest, p, time.Duration(used*float64(time.Second)))
	return p, nil
}

// noteDue is whether the use of a key is to be noted: once a minute, as most requests then only read.
const noteDue = `(k.last_used_at is null or k.last_used_at < now() - interval '1 minute')`

// KeyExpiredError is a key that was valid until a time. It wraps ErrNotFound: it opens nothing.
type KeyExpiredError struct{ At time.Time }

// Error implements error.
func (e *KeyExpiredError) Error() string { return "key expired at " + e.At.UTC().Format(time.RFC3339) }

// Unwrap implements the interface of errors.Is.
func (e *KeyExpiredError) Unwrap() error { return store.ErrNotFound }

// whyNoKey is the error for a secret that opens nothing. Only the holder of a secret learns that it
// was valid once.
func (s *Store) whyNoKey(ctx context.Context, digest []byte) error {
	var at time.Time
	err := s.db.FleetRow(ctx, `
		select expires_at from api_keys where key_sha256 = $1 and revoked_at is null and expires_at <= now()`, []any{digest}, &at)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("key: %w", store.ErrNotFound)
	case err != nil:
		return fmt.Errorf("look up key: %w", err)
	}
	return &KeyExpiredError{At: at}
}

// Keys lists the workspace's keys, revoked ones too, newest first, from after the page's place.
func (s *Store) Keys(ctx context.Context, workspace uuid.UUID, page store.Page, limit int) ([]Key, error) {
	var keys []Key
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select `+keyColumns+` from api_keys
			 where workspace_id = $1
			   and ($3 = '00000000-0000-0000-0000-000000000000'::uuid or (created_at, id) < ($2, $3))
			 order by created_at desc, id desc limit $4`, workspace, page.Before, page.BeforeID, limit)
		if err != nil {
			return fmt.Errorf("list keys: %w", err)
		}
		if keys, err = pgx.CollectRows(rows, pgx.RowToStructByName[Key]); err != nil {
			return fmt.Errorf("list keys: %w", err)
		}
		return nil
	})
	return keys, err
}

// Key reads one key of the workspace, or ErrNotFound.
func (s *Store) Key(ctx context.Context, workspace, id uuid.UUID) (Key, error) {
	var key Key
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `select `+keyColumns+` from api_keys where workspace_id = $1 and id = $2`, workspace, id)
		if err != nil {
			return fmt.Errorf("read key %s: %w", id, err)
		}
		key, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Key])
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("key %s: %w", id, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read key %s: %w", id, err)
		}
		return nil
	})
	return key, err
}

// RevokeKey ends a key of the workspace for good, or ErrNotFound. One that has ended stays as it is.
func (s *Store) RevokeKey(ctx context.Context, workspace, id uuid.UUID) error {
	return s.db.InFleet(ctx, func(tx *store.Tx) error {
		var name string
		var role Role
		err := tx.QueryRow(ctx, `
			update api_keys set revoked_at = coalesce(revoked_at, now()) where workspace_id = $1 and id = $2
			returning name, role`, workspace, id).Scan(&name, &role)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("key %s: %w", id, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("revoke key: %w", err)
		}
		store.AuditChange(ctx, map[string]any{"name": name, "role": role}, nil)
		return nil
	})
}
