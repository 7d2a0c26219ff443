package jobs

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// WebhookArgs deliver the events that a webhook is behind by. They name no workspace: the job's own events
// would else be the workspace's, and each delivery would make more to deliver.
type WebhookArgs struct {
	WebhookID uuid.UUID `json:"webhook_id"`
}

// Kind implements river.JobArgs.
func (WebhookArgs) Kind() string { return "webhook.deliver" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (WebhookArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueWebhooks, MaxAttempts: maxAttempts, Priority: 2}
}

// WebhookSendArgs send one message of a webhook because somebody asked for it: a test, or one that was
// delivered before.
type WebhookSendArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	WebhookID   uuid.UUID `json:"webhook_id"`
	MessageID   string    `json:"message_id"`
}

// Kind implements river.JobArgs.
func (WebhookSendArgs) Kind() string { return "webhook.send" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (WebhookSendArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueWebhooks, MaxAttempts: maxAttempts, Priority: 1}
}
