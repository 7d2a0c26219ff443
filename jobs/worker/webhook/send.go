package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/ops/publicnet"
	"millrace/store/eventlog"
	"millrace/store/webhooks"
)

const (
	// answerWithin bounds one message, from the look-up of the name to the answer's head.
	answerWithin = 10 * time.Second
	// maxBody is the most bytes of a message; of a longer one the payload is left out.
	maxBody = 256 << 10
	// drained is what is read of an answer's body, if it comes within drainWithin, so that its connection can be used
	// again; the rest is not.
	drained     = 4 << 10
	drainWithin = 100 * time.Millisecond
	// maxRetryAfter bounds what a receiver may ask to wait.
	maxRetryAfter = time.Hour
	userAgent     = "millrace (webhooks)"
)

// body is a message as its receiver gets it.
type body struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      any       `json:"data"`
}

// eventData is an event as the stream shows it.
type eventData struct {
	Cursor      string          `json:"cursor"`
	Topic       string          `json:"topic"`
	Type        string          `json:"type"`
	WorkspaceID string          `json:"workspace_id"`
	EntityID    string          `json:"entity_id"`
	At          time.Time       `json:"at"`
	Payload     json.RawMessage `json:"payload"`
	Omitted     bool            `json:"payload_omitted,omitempty"` // it was too long: read the entity
}

// message is one that is to be sent.
type message struct {
	webhooks.Message
	body  []byte
	place eventlog.Cursor // of the event
}

func ofEvent(e eventlog.Event) (message, error) {
	m := message{place: e.Cursor, Message: webhooks.Message{
		MessageID: messageID(e.Cursor), Kind: webhooks.OfEvent, Topic: e.Topic, Type: e.Type, EntityID: e.EntityID, EventAt: e.At.UTC(),
	}}
	data := eventData{
		Cursor: e.Cursor.String(), Topic: e.Topic, Type: e.Type, WorkspaceID: e.Workspace.UUID.String(), EntityID: e.EntityID,
		At: m.EventAt, Payload: e.Payload,
	}
	var err error
	m.body, err = json.Marshal(body{e.Type, m.EventAt, data})
	if err == nil && len(m.body) > maxBody {
		data.Payload, data.Omitted = nil, true
		m.body, err = json.Marshal(body{e.Type, m.EventAt, data})
	}
	if err != nil {
		return m, fmt.Errorf("encode event %s: %w", m.MessageID, err)
	}
	return m, nil
}

// eventPrefix is what the id of an event's message begins with; its cursor follows.
const eventPrefix = "evt_"

func messageID(at eventlog.Cursor) string { return eventPrefix + at.String() }

// note is a message that is not of an event.
func note(kind webhooks.Kind, id, typ string, at time.Time, said map[string]string) (message, error) {
	m := message{Message: webhooks.Message{MessageID: id, Kind: kind, Type: typ, EventAt: at.UTC()}}
	var err error
	if m.body, err = json.Marshal(body{typ, m.EventAt, said}); err != nil {
		return m, fmt.Errorf("encode message %s: %w", id, err)
	}
	return m, nil
}

func ofReset(run webhooks.Run, at time.Time) (message, error) {
	return note(webhooks.Reset, run.ResetID, "webhook.reset", at, map[string]string{
		"webhook_id": run.ID.String(), "workspace_id": run.WorkspaceID.String(),
		"message": "Events were lost to this webhook: they are not in the event log any more. Read what you follow again; deliveries continue with what happens from now on.",
	})
}

func ofTest(run webhooks.Run, d webhooks.Delivery) (message, error) {
	return note(webhooks.Test, d.MessageID, d.Type, d.EventAt, map[string]string{
		"webhook_id": run.ID.String(), "workspace_id": run.WorkspaceID.String(), "message": "This is a test.",
	})
}

// newClient makes a client that reaches what the guard admits, follows no redirect and ignores proxy settings of
// the environment. It is for the messages of one webhook: a connection that was checked for one is not used for
// another.
func newClient(guard *publicnet.Guard) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: nil, DialContext: guard.Dialer(answerWithin).DialContext,
			TLSHandshakeTimeout: answerWithin, MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 1,
			IdleConnTimeout: answerWithin, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// outcome is what a receiver made of a message.
type outcome struct {
	webhooks.Attempt
	gone       bool
	retryAfter time.Duration
}

// post sends a message once. It never fails: what went wrong is part of the outcome. Reasons hold no address, as
// an address may hold a secret.
func post(ctx context.Context, client *http.Client, address string, secrets []string, m message, now time.Time) outcome {
	began := time.Now()
	out := outcome{Attempt: webhooks.Attempt{Message: m.Message}}
	status, header, err := ask(ctx, client, address, secrets, m, now)
	out.Took = time.Since(began)
	if status != 0 {
		out.Status = &status
	}
	var reason string
	switch {
	case err != nil:
		reason = because(err)
	case status >= 200 && status < 300:
		out.OK = true
		return out
	case status >= 300 && status < 400:
		reason = fmt.Sprintf("the receiver answered %d: redirects are not followed", status)
	case status == http.StatusGone:
		out.gone, reason = true, "the receiver answered 410 Gone"
	default:
		reason = strings.TrimSpace(fmt.Sprintf("the receiver answered %d %s", status, http.StatusText(status)))
		if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
			out.retryAfter = retryAfter(header.Get("Retry-After"), now)
		}
	}
	out.Error = &reason
	return out
}

func ask(ctx context.Context, client *http.Client, address string, secrets []string, m message, now time.Time) (status int, header http.Header, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return 0, nil, errors.New("the address cannot be read")
	}
	if err := extract.CheckAddress(u); err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), strings.NewReader(string(m.body)))
	if err != nil {
		return 0, nil, errors.New("the address cannot be read")
	}
	signature, err := Sign(secrets, m.MessageID, now, m.body)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set(standardwebhooks.HeaderWebhookID, m.MessageID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	defer time.AfterFunc(drainWithin, cancel).Stop()
	_, _ = io.CopyN(io.Discard, resp.Body, drained) // its head has said all
	return resp.StatusCode, resp.Header, nil
}

// Sign signs a message with every secret; a receiver takes any of them.
func Sign(secrets []string, id string, at time.Time, body []byte) (string, error) {
	signatures := make([]string, 0, len(secrets))
	for _, secret := range secrets {
		hook, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return "", errors.New("the secret cannot be read") // the library's error may hold it
		}
		signature, err := hook.Sign(id, at, body)
		if err != nil {
			return "", fmt.Errorf("sign message %s: %w", id, err)
		}
		signatures = append(signatures, signature)
	}
	return strings.Join(signatures, " "), nil
}

// because is why no answer came.
func because(err error) string {
	var refused *knowledge.FetchError
	var network net.Error
	switch {
	case errors.As(err, &refused):
		return refused.Reason
	case publicnet.Refusal(err) != nil:
		return publicnet.Refusal(err).Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("the receiver did not answer within %d s", int(answerWithin.Seconds()))
	}
	return "the receiver could not be reached"
}

// retryAfter reads seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(time.Duration(min(max(seconds, 0), 1<<20))*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
