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
	TrialsPerDay         *int `json:"trials_per_day"`
	Bytes                *int `json:"bytes"`
	Datasets             *int `json:"datasets"`
	Documents            *int `json:"documents"`
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
	TrialsPerDay         *int `json:"trials_per_day"` // quotas, here and below; null: any
	Bytes                *int `json:"bytes"`
	Datasets             *int `json:"datasets"`
	Documents            *int `json:"documents"`
}

// Usage is what a workspace has of that which its quotas limit.
type Usage struct {
	TrialsToday int64 `json:"trials_today"` // submitted since midnight UTC
	Bytes       int64 `json:"bytes"`        // of bars, of the passages of documents, and of files that wait to be ingested
	Datasets    int64 `json:"datasets"`     // by name
	Documents   int64 `json:"documents"`
}

// WorkspaceUsage is a workspace with what it has.
type WorkspaceUsage struct {
	Workspace
	Usage Usage `json:"usage"`
}

// OwnWorkspace is a workspace as its own keys see it.
type OwnWorkspace struct {
	WorkspaceUsage
	Role Role `json:"role"` // of the key that asks
}
