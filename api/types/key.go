package types

import (
	"time"
)

// KeyRequest is the body of a request for a key.
type KeyRequest struct {
	Name      string     `json:"name"`
	Role      Role       `json:"role"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// Key is a key.
type Key struct {
	KeyID       string     `json:"key_id"`
	WorkspaceID string     `json:"workspace_id"`
	Name        string     `json:"name"`
	Role        Role       `json:"role"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   *time.Time `json:"expires_at"`
	LastUsedAt  *time.Time `json:"last_used_at"`
	RevokedAt   *time.Time `json:"revoked_at"`
}

// NewKey is a key with its secret, which nobody can show again.
type NewKey struct {
	Key
	Secret string `json:"secret"`
}
