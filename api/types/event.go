package types

import (
	"encoding/json"
	"time"
)

// EventPage is a piece of the log.
type EventPage struct {
	Items      []Event `json:"items"`
	NextCursor string  `json:"next_cursor"` // always there: ask again with it for what comes
}

// Event is an event as streams and lists show it.
type Event struct {
	Cursor      string          `json:"cursor"`
	Topic       string          `json:"topic"`
	Type        string          `json:"type"`
	WorkspaceID *string         `json:"workspace_id"`
	EntityID    string          `json:"entity_id"`
	At          time.Time       `json:"at"`
	Payload     json.RawMessage `json:"payload"`
}
