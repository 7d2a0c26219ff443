package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"millrace/api/types"
	"millrace/jobs/worker/webhook"
	"millrace/store/webhooks"
)

// listenCmd is the verb `listen`: webhooks for development, without an address that the server reaches.
type listenCmd struct {
	clientFlags
	Forward string   `required:"" placeholder:"URL" help:"Where to post to, as in http://127.0.0.1:9000/hooks."`
	Topics  []string `placeholder:"TOPIC,…" help:"Only events of these topics."`
	Secret  string   `env:"WEBHOOK_SECRET" help:"Secret that signs, whsec_ and base64. Default: one is made and printed."`
}

// Run follows the event stream and posts each event as a webhook would. An event that is not accepted is not sent again.
func (c *listenCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	to, err := url.Parse(c.Forward)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
		return configError{errors.New("--forward: want an address such as http://127.0.0.1:9000/hooks")}
	}
	if c.Secret == "" {
		raw := make([]byte, 24)
		_, _ = rand.Read(raw) // never fails: crypto/rand ends the process instead
		c.Secret = webhooks.SecretPrefix + base64.StdEncoding.EncodeToString(raw)
		fmt.Fprintf(env.stderr, "messages are signed with this secret:\n")
		fmt.Fprintln(env.stdout, c.Secret)
	}
	if _, err := webhook.Sign([]string{c.Secret}, "check", time.Now(), nil); err != nil {
		return configError{errors.New("--secret (WEBHOOK_SECRET): want whsec_ and base64")}
	}
	client := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	opened := func(context.Context) error {
		fmt.Fprintln(env.stderr, "listening")
		return nil
	}
	err = api.Events(c.Topics...).Run(ctx, opened, func(e types.Event) error {
		answer := c.post(ctx, client, e)
		fmt.Fprintf(env.stderr, "%s  %s  %s\n", printable(e.Type), printable(e.EntityID), answer)
		return ctx.Err()
	})
	if ctx.Err() != nil {
		return nil // a signal
	}
	return err
}

// post sends one event and says what came of it.
func (c *listenCmd) post(ctx context.Context, client *http.Client, e types.Event) string {
	body, err := json.Marshal(map[string]any{"type": e.Type, "timestamp": e.At, "data": e})
	if err != nil {
		return err.Error()
	}
	id, now := "evt_"+e.Cursor, time.Now()
	signature, err := webhook.Sign([]string{c.Secret}, id, now, body)
	if err != nil {
		return err.Error()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.Forward, bytes.NewReader(body))
	if err != nil {
		return "the address cannot be read"
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("webhook-id", id)
	req.Header.Set("webhook-timestamp", strconv.FormatInt(now.Unix(), 10))
	req.Header.Set("webhook-signature", signature)
	resp, err := client.Do(req)
	if err != nil {
		return "the receiver could not be reached"
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	return resp.Status
}
