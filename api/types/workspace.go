package types

import (
	"time"
)

// WorkspaceRequest is the body of POST and PATCH /admin/workspaces. What is left out is the default
// in one, and stays as it is in the other.
type WorkspaceRequest struct {
	Name    *string       `json:"name"`
	TuneCap *int          `json:"tune_cap"`
	Limits  LimitsRequest `json:"limits"`
}

// LimitsRequest are limits as they are set; null leaves one alone.
type LimitsRequest struct {
	SubmissionsPerMinute *int `json:"submissions_per_minute"`
	QueriesPerMinute     *int `json:"queries_per_minute"`
	QueueDepth           *int `json:"queue_depth"`
}

// Workspace is a workspace.
type Workspace struct {
	WorkspaceID string    `json:"workspace_id"`
	Name        string    `json:"name"`
	TuneCap     int       `json:"tune_cap"`
	Limits      Limits    `json:"limits"`
	CreatedAt   time.Time `json:"created_at"`
}

// Limits are the limits of one workspace; where it is null the server's own holds.
type Limits struct {
	SubmissionsPerMinute *int `json:"submissions_per_minute"`
	QueriesPerMinute     *int `json:"queries_per_minute"`
	QueueDepth           *int `json:"queue_depth"`
}

// OwnWorkspace is a workspace as its own keys see it.
type OwnWorkspace struct {
	Workspace
	Role Role `json:"role"` // of the key that asks
}
