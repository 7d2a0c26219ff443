package client

import (
	"context"
	"net/http"
	"net/url"

	"millrace/api/types"
)

// CreateWebhook has events posted to an address. The answer holds the secret that signs them, this once.
func (c *Client) CreateWebhook(ctx context.Context, webhook types.WebhookRequest) (*types.NewWebhook, error) {
	return create[types.NewWebhook](ctx, c, "/webhooks", "", webhook)
}

// Webhooks lists the webhooks, newest first; query may hold cursor and limit.
func (c *Client) Webhooks(ctx context.Context, query url.Values) (*types.List[types.Webhook], error) {
	return get[types.List[types.Webhook]](ctx, c, "/webhooks", query)
}

// Webhook reads a webhook, and how it goes.
func (c *Client) Webhook(ctx context.Context, id string) (*types.Webhook, error) {
	return get[types.Webhook](ctx, c, webhookPath(id), nil)
}

// ChangeWebhook changes what is named of a webhook; the state "active" resumes it.
func (c *Client) ChangeWebhook(ctx context.Context, id string, change types.WebhookChange) (*types.Webhook, error) {
	return send[types.Webhook](ctx, c, call{method: http.MethodPatch, path: webhookPath(id)}, change)
}

// DeleteWebhook deletes a webhook and its deliveries.
func (c *Client) DeleteWebhook(ctx context.Context, id string) error {
	return c.do(ctx, call{method: http.MethodDelete, path: webhookPath(id)}, nil)
}

// RotateWebhook gives a webhook another secret, which the answer holds this once.
func (c *Client) RotateWebhook(ctx context.Context, id string, rotation types.RotateRequest) (*types.NewWebhook, error) {
	return create[types.NewWebhook](ctx, c, webhookPath(id)+"/rotate", "", rotation)
}

// TestWebhook has a test message sent.
func (c *Client) TestWebhook(ctx context.Context, id string) (*types.Delivery, error) {
	return create[types.Delivery](ctx, c, webhookPath(id)+"/test", "", nil)
}

// Deliveries lists the newest messages of a webhook; query may hold state, cursor and limit.
func (c *Client) Deliveries(ctx context.Context, id string, query url.Values) (*types.List[types.Delivery], error) {
	return get[types.List[types.Delivery]](ctx, c, webhookPath(id)+"/deliveries", query)
}

// Redeliver has a message sent again.
func (c *Client) Redeliver(ctx context.Context, id, delivery string) (*types.Delivery, error) {
	return create[types.Delivery](ctx, c, webhookPath(id)+"/deliveries/"+url.PathEscape(delivery)+"/redeliver", "", nil)
}

func webhookPath(id string) string { return "/webhooks/" + url.PathEscape(id) }
