package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
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

// Includes reports whether r may do what needs the other role.
func (r Role) Includes(needed Role) bool {
	order := []Role{RoleViewer, RoleMember, RoleAdmin, RoleOwner}
	return slices.Index(order, r) >= slices.Index(order, needed)
}

// Principal is who a request comes from.
type Principal struct {
	WorkspaceID uuid.UUID
	KeyID       uuid.UUID
	Role        Role
}

// CreateKey makes a key and returns its secret, which is stored only as a digest and never shown
// again.
func (s *Store) CreateKey(ctx context.Context, workspace uuid.UUID, name string, role Role) (secret string, err error) {
	var raw [24]byte
	_, _ = rand.Read(raw[:]) // never fails: crypto/rand ends the process instead
	secret = "mr_" + base64.RawURLEncoding.EncodeToString(raw[:])
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("key id: %w", err)
	}
	err = s.inFleet(ctx, func(tx pgx.Tx) error {
		digest := sha256.Sum256([]byte(secret))
		_, err := tx.Exec(ctx, `
			insert into api_keys (id, workspace_id, name, role, key_sha256) values ($1, $2, $3, $4, $5)`,
			id, workspace, name, role, digest[:])
		if pgCode(err) == foreignKeyViolation {
			return fmt.Errorf("workspace %s: %w", workspace, ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("create key: %w", err)
		}
		return nil
	})
	return secret, err
}

// KeyBySecret finds whose key a secret is. ErrNotFound when there is none or it was revoked.
func (s *Store) KeyBySecret(ctx context.Context, secret string) (Principal, error) {
	var p Principal
	digest := sha256.Sum256([]byte(secret))
	err := s.inFleet(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `
			select workspace_id, id, role from api_keys where key_sha256 = $1 and revoked_at is null`,
			digest[:]).Scan(&p.WorkspaceID, &p.KeyID, &p.Role)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("key: %w", ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("look up key: %w", err)
		}
		return nil
	})
	return p, err
}

// RevokeKey ends a key of the workspace, or ErrNotFound.
func (s *Store) RevokeKey(ctx context.Context, workspace, id uuid.UUID) error {
	return s.inFleet(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			update api_keys set revoked_at = coalesce(revoked_at, now()) where workspace_id = $1 and id = $2`, workspace, id)
		if err != nil {
			return fmt.Errorf("revoke key: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("key %s: %w", id, ErrNotFound)
		}
		return nil
	})
}
