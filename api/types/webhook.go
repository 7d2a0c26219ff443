package types

import "time"

// WebhookState is whether a webhook delivers: active, paused, dead (its receiver failed for three days) or gone (its receiver answered 410).
type WebhookState string

// DeliveryState is where a message is: pending, delivered, retrying or failed.
type DeliveryState string

// WebhookRequest is the body of POST /webhooks. What is left out does not narrow what is sent.
type WebhookRequest struct {
	URL         string   `json:"url"`         // http or https, on the public internet; at most 1000 characters
	Description string   `json:"description"` // at most 200 characters on one line
	Topics      []string `json:"topics"`      // of the event stream
	Types       []string `json:"types"`       // of events, whole or up to .* at the end, as in backtest.tune.*; at most 50
	EntityID    string   `json:"entity_id"`   // of what events are about
	Label       string   `json:"label"`       // a tag of what events are about
}

// WebhookChange is the body of PATCH /webhooks/{id}: what is left out stays.
type WebhookChange struct {
	URL         *string       `json:"url"`
	Description *string       `json:"description"`
	Topics      *[]string     `json:"topics"` // an empty list: all
	Types       *[]string     `json:"types"`
	EntityID    *string       `json:"entity_id"`
	Label       *string       `json:"label"`
	State       *WebhookState `json:"state"` // active or paused; active resumes one that is dead or gone, where it was
}

// RotateRequest is the body of POST /webhooks/{id}/rotate.
type RotateRequest struct {
	OverlapSeconds *int `json:"overlap_seconds"` // how long the old secret signs too, from 0 to 604800; by default 86400
}

// Webhook is a subscription to events that are posted to an address, and how it goes.
type Webhook struct {
	WebhookID       string       `json:"webhook_id"`
	WorkspaceID     string       `json:"workspace_id"`
	URL             string       `json:"url"`
	Description     string       `json:"description"`
	Topics          []string     `json:"topics"` // empty: all
	Types           []string     `json:"types"`  // empty: all
	EntityID        string       `json:"entity_id"`
	Label           string       `json:"label"`
	State           WebhookState `json:"state"`
	OldSecretUntil  *time.Time   `json:"old_secret_until"` // until when the secret before signs too; null: it does not
	Attempts        int          `json:"attempts"`         // that failed in a row
	FailingSince    *time.Time   `json:"failing_since"`    // null while it does not fail
	RetryAt         *time.Time   `json:"retry_at"`         // when the next attempt is due; null while none failed
	LastError       *string      `json:"last_error"`       // why the last failed attempt failed
	LastStatus      *int         `json:"last_status"`      // what its receiver answered; null: nothing
	LastDeliveredAt *time.Time   `json:"last_delivered_at"`
	Delivered       int64        `json:"delivered"` // messages that were accepted
	CreatedAt       time.Time    `json:"created_at"`
	UpdatedAt       time.Time    `json:"updated_at"`
}

// NewWebhook is a webhook with the secret that signs its messages, which nobody can show again.
type NewWebhook struct {
	Webhook
	Secret string `json:"secret"` // whsec_ and base64
}

// Delivery is a message of a webhook, and how the attempts at it went.
type Delivery struct {
	DeliveryID  string        `json:"delivery_id"` // the header webhook-id, by which receivers know repeats
	Kind        string        `json:"kind"`        // event, reset or test
	Topic       string        `json:"topic"`
	Type        string        `json:"type"`
	EntityID    string        `json:"entity_id"`
	EventAt     time.Time     `json:"event_at"` // when it happened
	State       DeliveryState `json:"state"`
	Attempts    int           `json:"attempts"`
	Status      *int          `json:"status"` // of the last answer; null: there was none
	Error       *string       `json:"error"`
	TookMS      *int          `json:"took_ms"` // milliseconds of the last attempt
	AttemptedAt *time.Time    `json:"attempted_at"`
}
