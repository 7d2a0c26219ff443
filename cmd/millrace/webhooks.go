package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"millrace/api/types"
)

// webhooksCmd holds the verbs of webhooks.
type webhooksCmd struct {
	Add        webhookAddCmd        `cmd:"" help:"Have events posted to an address; prints the secret that signs them, this once."`
	List       webhookListCmd       `cmd:"" help:"List the workspace's webhooks, newest first, and how each goes."`
	Show       webhookShowCmd       `cmd:"" help:"Print a webhook as JSON."`
	Pause      webhookPauseCmd      `cmd:"" help:"Deliver nothing to a webhook until it is resumed."`
	Resume     webhookResumeCmd     `cmd:"" help:"Have a webhook that is paused, dead or gone continue where it was."`
	Rotate     webhookRotateCmd     `cmd:"" help:"Give a webhook another secret and print it, this once; the old one signs too for a while."`
	Test       webhookTestCmd       `cmd:"" help:"Send a test message."`
	Deliveries webhookDeliveriesCmd `cmd:"" help:"List the newest messages of a webhook, and how the attempts at them went."`
	Redeliver  webhookRedeliverCmd  `cmd:"" help:"Send a message again."`
	Rm         webhookRmCmd         `cmd:"" help:"Delete a webhook and its deliveries."`
}

type webhookAddCmd struct {
	clientFlags
	Address     string   `arg:"" name:"address" help:"Where to post to."`
	Topics      []string `placeholder:"TOPIC,…" help:"Only events of these topics."`
	Types       []string `placeholder:"TYPE,…" help:"Only events of these types, whole or up to .* at the end."`
	Entity      string   `placeholder:"ID" help:"Only events of this tune, walk-forward, …"`
	Label       string   `placeholder:"TAG" help:"Only events of what has this tag."`
	Description string   `placeholder:"TEXT" help:"What it is for."`
}

// Run makes the webhook. Only the secret goes to standard output, so that a script can take it.
func (c *webhookAddCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	made, err := api.CreateWebhook(ctx, types.WebhookRequest{
		URL: c.Address, Description: c.Description, Topics: c.Topics, Types: c.Types, EntityID: c.Entity, Label: c.Label,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "webhook %s; its secret is shown this once:\n", made.WebhookID)
	_, err = fmt.Fprintln(env.stdout, printable(made.Secret))
	return err
}

type webhookListCmd struct {
	clientFlags
	rowFlags
}

// Run lists the webhooks; a workspace has few.
func (c *webhookListCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	found, err := api.Webhooks(ctx, listQuery(200, nil))
	if err != nil {
		return err
	}
	rows := make([][]string, len(found.Items))
	for i, w := range found.Items {
		rows[i] = []string{w.WebhookID, string(w.State), w.URL, strconv.FormatInt(w.Delivered, 10), strconv.Itoa(w.Attempts), orNone(w.LastError), moment(w.LastDeliveredAt)}
	}
	return c.print(env.stdout, []string{"id", "state", "address", "delivered", "failures", "last error", "last delivered"}, rows, found.Items)
}

func orNone(text *string) string {
	if text == nil {
		return "–"
	}
	return *text
}

// oneWebhook names a webhook.
type oneWebhook struct {
	clientFlags
	ID string `arg:"" help:"Id of the webhook."`
}

type webhookShowCmd struct{ oneWebhook }

// Run prints the webhook.
func (c *webhookShowCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	w, err := api.Webhook(ctx, c.ID)
	if err != nil {
		return err
	}
	return printJSON(env.stdout, w)
}

// become gives the webhook a state.
func (c *oneWebhook) become(ctx context.Context, env *environment, state types.WebhookState) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	w, err := api.ChangeWebhook(ctx, c.ID, types.WebhookChange{State: &state})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "webhook %s is %s\n", w.WebhookID, printable(w.State))
	return err
}

type webhookPauseCmd struct{ oneWebhook }

// Run pauses the webhook.
func (c *webhookPauseCmd) Run(ctx context.Context, env *environment) error {
	return c.become(ctx, env, "paused")
}

type webhookResumeCmd struct{ oneWebhook }

// Run resumes the webhook.
func (c *webhookResumeCmd) Run(ctx context.Context, env *environment) error {
	return c.become(ctx, env, "active")
}

type webhookRotateCmd struct {
	oneWebhook
	Overlap time.Duration `default:"24h" help:"How long the old secret signs too; 0s for one that leaked."`
}

// Run rotates the secret. Only the new one goes to standard output.
func (c *webhookRotateCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	seconds := int(c.Overlap.Seconds())
	w, err := api.RotateWebhook(ctx, c.ID, types.RotateRequest{OverlapSeconds: &seconds})
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stderr, "webhook %s; the old secret signs too until %s; the new one is shown this once:\n", w.WebhookID, moment(w.OldSecretUntil))
	_, err = fmt.Fprintln(env.stdout, printable(w.Secret))
	return err
}

type webhookTestCmd struct{ oneWebhook }

// Run sends a test.
func (c *webhookTestCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	d, err := api.TestWebhook(ctx, c.ID)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "delivery %s is %s\n", printable(d.DeliveryID), printable(d.State))
	return err
}

type webhookDeliveriesCmd struct {
	oneWebhook
	rowFlags
	State string `placeholder:"STATE" help:"Only those in a state: pending, delivered, retrying or failed."`
	Limit int    `default:"50" help:"Messages to list, from 1 to 200."`
}

// Run lists the deliveries.
func (c *webhookDeliveriesCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	found, err := api.Deliveries(ctx, c.ID, listQuery(c.Limit, map[string]string{"state": c.State}))
	if err != nil {
		return err
	}
	rows := make([][]string, len(found.Items))
	for i, d := range found.Items {
		rows[i] = []string{d.DeliveryID, string(d.State), d.Type, d.EntityID, strconv.Itoa(d.Attempts), orNone(d.Error), moment(d.AttemptedAt)}
	}
	return c.print(env.stdout, []string{"id", "state", "type", "entity", "attempts", "error", "attempted"}, rows, found.Items)
}

type webhookRedeliverCmd struct {
	oneWebhook
	Delivery string `arg:"" help:"Id of the message, which is its header webhook-id."`
}

// Run sends the message again.
func (c *webhookRedeliverCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	d, err := api.Redeliver(ctx, c.ID, c.Delivery)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "delivery %s is %s\n", printable(d.DeliveryID), printable(d.State))
	return err
}

type webhookRmCmd struct{ oneWebhook }

// Run deletes the webhook.
func (c *webhookRmCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	if err := api.DeleteWebhook(ctx, c.ID); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.stdout, "webhook %s is deleted\n", printable(c.ID))
	return err
}
