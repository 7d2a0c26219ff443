package types

import (
	"time"
)

// ReembedRequest is the body of POST /admin/workspaces/:id/reembed.
type ReembedRequest struct {
	Provider string `json:"provider"` // hash, or the one that the server is set up with; by default the latter
}

// Reembed is a workspace's move to another embedding model.
type Reembed struct {
	ReembedID      string        `json:"reembed_id"`
	WorkspaceID    string        `json:"workspace_id"`
	Status         ReembedStatus `json:"status"`
	Reason         *string       `json:"reason"` // why it failed, or what it waits for
	Provider       string        `json:"provider"`
	Model          string        `json:"model"`
	Dimensions     int           `json:"dimensions"`
	Collection     string        `json:"collection"`
	FromCollection string        `json:"from_collection"`
	Done           int           `json:"done"` // chunks
	Total          int           `json:"total"`
	CreatedAt      time.Time     `json:"created_at"`
	StartedAt      *time.Time    `json:"started_at"`
	CompletedAt    *time.Time    `json:"completed_at"`
}
