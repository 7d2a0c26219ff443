package types

import "time"

// AdminTokenRequest is the body of a request for an admin's token.
type AdminTokenRequest struct {
	Name      string     `json:"name"` // of the admin, who may have several tokens
	ExpiresAt *time.Time `json:"expires_at"`
}

// AdminToken is a token of a named admin.
type AdminToken struct {
	TokenID    string     `json:"token_id"`
	Name       string     `json:"name"`
	CreatedAt  time.Time  `json:"created_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	RevokedAt  *time.Time `json:"revoked_at"`
}

// NewAdminToken is a token with its secret, which nobody can show again.
type NewAdminToken struct {
	AdminToken
	Secret string `json:"secret"`
}
