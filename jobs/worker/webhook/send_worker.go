package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/webhooks"
)

// sendAttempts is how often one message that somebody asked for is tried.
const sendAttempts = 3

// sendWorker sends one message: a test, or one that was sent before.
type sendWorker struct {
	river.WorkerDefaults[jobs.WebhookSendArgs]
	all *Workers
}

// Timeout implements river.Worker.
func (*sendWorker) Timeout(*river.Job[jobs.WebhookSendArgs]) time.Duration { return time.Minute }

// Work implements river.Worker.
func (w *sendWorker) Work(ctx context.Context, job *river.Job[jobs.WebhookSendArgs]) error {
	lease := store.Lease{Workspace: job.Args.WorkspaceID, JobID: job.ID, Attempt: job.Attempt}
	run, d, err := w.all.opts.Webhooks.BeginSend(ctx, job.Args.WebhookID, job.Args.MessageID, w.all.opts.Keys)
	if errors.Is(err, store.ErrNotFound) {
		return nil // deleted meanwhile
	}
	if errors.Is(err, webhooks.ErrSealed) {
		return w.all.refuse(ctx, lease, job.Args, webhooks.ErrSealed.Error())
	}
	if err != nil {
		return err
	}
	m, err := w.all.again(ctx, run, d)
	if errors.Is(err, eventlog.ErrCursorGone) {
		return w.all.refuse(ctx, lease, job.Args, "the event is not in the event log any more")
	}
	if err != nil {
		return err
	}
	client := newClient(w.all.opts.Guard)
	defer client.CloseIdleConnections()
	out := post(ctx, client, run.URL, run.Secrets, m, w.all.opts.DB.Clock().Now())
	if ctx.Err() != nil && !out.OK {
		return ctx.Err()
	}
	w.all.opts.Metrics.Webhooks(out.OK, out.Took)
	again := !out.OK && !out.gone && job.Attempt < sendAttempts
	if err := w.all.opts.Webhooks.FinishSend(ctx, lease, run.ID, out.Attempt, again); err != nil {
		return err
	}
	if again {
		return fmt.Errorf("webhook %s: %s", run.ID, *out.Error) // River retries it
	}
	return nil
}

// refuse ends a delivery that cannot be sent.
func (w *Workers) refuse(ctx context.Context, lease store.Lease, args jobs.WebhookSendArgs, reason string) error {
	attempt := webhooks.Attempt{Message: webhooks.Message{MessageID: args.MessageID}, Error: &reason}
	return w.opts.Webhooks.FinishSend(ctx, lease, args.WebhookID, attempt, false)
}

// again is a message as it was sent before.
func (w *Workers) again(ctx context.Context, run webhooks.Run, d webhooks.Delivery) (message, error) {
	switch d.Kind {
	case webhooks.Test:
		return ofTest(run, d)
	case webhooks.Reset:
		run.ResetID = d.MessageID
		return ofReset(run, d.EventAt)
	}
	at, err := eventlog.ParseCursor(strings.TrimPrefix(d.MessageID, eventPrefix))
	if err != nil {
		return message{}, fmt.Errorf("message %s: %w", d.MessageID, err)
	}
	before := at
	before.ID--
	scope := eventlog.Scope{Workspace: uuid.NullUUID{UUID: run.WorkspaceID, Valid: true}}
	events, err := w.opts.Log.Events(ctx, scope, before, 1)
	if err != nil {
		return message{}, err
	}
	if len(events) == 0 || events[0].Cursor != at {
		return message{}, fmt.Errorf("message %s: %w", d.MessageID, eventlog.ErrCursorGone)
	}
	return ofEvent(events[0])
}
