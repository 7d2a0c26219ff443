package types

import (
	"time"
)

// LoginRequest is the body of POST /admin/login, as JSON or as a form.
type LoginRequest struct {
	Token string `json:"token"` // an admin's, or a workspace's key
	Next  string `json:"next"`  // where a browser goes then
}

// Session says how long a session lasts, and of a workspace's key, what it opens; its secret is in the cookie only.
type Session struct {
	ExpiresAt   time.Time `json:"expires_at"`
	WorkspaceID string    `json:"workspace_id,omitempty"`
	Role        Role      `json:"role,omitempty"`
}

// TicketRequest is the body of POST /admin/events/ticket.
type TicketRequest struct {
	WorkspaceID string `json:"workspace_id"`
}

// Ticket says what a ticket opens and for how long; its secret is in the cookie only.
type Ticket struct {
	WorkspaceID string    `json:"workspace_id"`
	Stream      string    `json:"stream"`
	ExpiresAt   time.Time `json:"expires_at"`
}
