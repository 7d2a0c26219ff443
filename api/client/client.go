package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
)

// Options make a Client.
type Options struct {
	URL       string // of the server: http or https
	Key       string // of the workspace, or the admin token for the Admin methods
	Workspace string // id that the key must belong to; "": whichever it is
	UserAgent string // "millrace-go" when empty

	Transport http.RoundTripper // nil: a copy of the default one
	Timeout   time.Duration     // of one attempt; default 5 min
	Attempts  int               // of a request that may be repeated; default 8
	Backoff   time.Duration     // before the first repetition, doubled for each further one; default 250 ms

	// Waiting is called before the client waits because the server asked it to (Retry-After), with why.
	Waiting func(wait time.Duration, why error)
}

// Client speaks to one server with one key.
type Client struct {
	opts   Options
	base   *url.URL
	http   *http.Client // for requests that end
	stream *http.Client // for streams: no limit on the whole
}

// New makes a client. It sends nothing.
func New(opts Options) (*Client, error) {
	base, err := url.Parse(opts.URL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, fmt.Errorf("%q is not an http or https address", opts.URL)
	}
	if opts.Transport == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.ResponseHeaderTimeout = 60 * time.Second
		// By default two are kept, and of more requests at once each would open a connection of its own again.
		transport.MaxIdleConnsPerHost = transport.MaxIdleConns
		opts.Transport = transport
	}
	if opts.Timeout == 0 {
		opts.Timeout = 5 * time.Minute
	}
	if opts.Attempts == 0 {
		opts.Attempts = 8
	}
	if opts.Backoff == 0 {
		opts.Backoff = 250 * time.Millisecond
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "millrace-go"
	}
	return &Client{
		opts: opts, base: base,
		http: &http.Client{Transport: opts.Transport, Timeout: opts.Timeout}, stream: &http.Client{Transport: opts.Transport},
	}, nil
}

// maxBackoff bounds the wait between two attempts unless the server asks for more.
const maxBackoff = 8 * time.Second

// IdempotencyHeader is the header that makes a request that creates work safe to repeat.
const IdempotencyHeader = "X-Idempotency-Key"

// call is one request, which may be sent several times.
type call struct {
	method, path string
	query        url.Values
	key          string                        // idempotency key; "" for none
	contentType  string                        // of the body
	body         func() (io.ReadCloser, error) // opens the body again for each attempt; nil for none
	length       int64                         // of the body
	once         bool                          // repeating it might do it twice
}

// Get reads any resource, for what has no method of its own; into may be a *json.RawMessage. The path
// may hold a query.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	at, err := url.Parse(path)
	if err != nil {
		return fmt.Errorf("path %q: %w", path, err)
	}
	return c.do(ctx, call{method: http.MethodGet, path: at.Path, query: at.Query()}, into)
}

// Create sends what creates something, for what has no method of its own: once for an idempotency key, and "" makes one.
func (c *Client) Create(ctx context.Context, path, key string, body, into any) error {
	made, err := create[json.RawMessage](ctx, c, path, key, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(*made, into)
}

// Post sends what creates nothing, for what has no method of its own; a nil body is none.
func (c *Client) Post(ctx context.Context, path string, body, into any) error {
	answer, err := send[json.RawMessage](ctx, c, call{method: http.MethodPost, path: path, once: true}, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(*answer, into)
}

// get reads a resource.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (*T, error) {
	var found T
	if err := c.do(ctx, call{method: http.MethodGet, path: path, query: query}, &found); err != nil {
		return nil, err
	}
	return &found, nil
}

// create sends what creates work, under an idempotency key.
func create[T any](ctx context.Context, c *Client, path, key string, body any) (*T, error) {
	if key == "" {
		key = uuid.NewString()
	}
	return send[T](ctx, c, call{method: http.MethodPost, path: path, key: key}, body)
}

// send sends a JSON body; nil is none.
func send[T any](ctx context.Context, c *Client, req call, body any) (*T, error) {
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		req.contentType, req.length = "application/json", int64(len(raw))
		req.body = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil }
	}
	var answer T
	if err := c.do(ctx, req, &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}

// do sends a request until it is answered, and decodes the answer.
func (c *Client) do(ctx context.Context, req call, into any) error {
	attempts := c.opts.Attempts
	if req.once {
		attempts = 1
	}
	for attempt := 1; ; attempt++ {
		body, err := c.attempt(ctx, req)
		switch {
		case err == nil && (into == nil || len(body) == 0):
			return nil
		case err == nil:
			if err := json.Unmarshal(body, into); err != nil {
				return fmt.Errorf("the answer of %s %s is not the JSON of a Millrace server: %w", req.method, req.path, err)
			}
			return nil
		case !Temporary(err) || attempt == attempts:
			return err
		}
		wait := backoff(c.opts.Backoff, maxBackoff, attempt-1)
		var answered *Error
		if errors.As(err, &answered) {
			if wait = max(wait, answered.RetryAfter); answered.RetryAfter > 0 && c.opts.Waiting != nil {
				c.opts.Waiting(wait, answered)
			}
		}
		if ended := pause(ctx, wait); ended != nil {
			return fmt.Errorf("%w (%w)", ended, err)
		}
	}
}

// attempt sends a request once and returns the body of a success.
func (c *Client) attempt(ctx context.Context, req call) ([]byte, error) {
	var body io.ReadCloser
	if req.body != nil {
		var err error
		if body, err = req.body(); err != nil {
			return nil, err
		}
	}
	out, err := c.request(ctx, req.method, req.path, req.query, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		out.ContentLength = req.length
		out.Header.Set("Content-Type", req.contentType)
	}
	if req.key != "" {
		out.Header.Set(IdempotencyHeader, req.key)
	}
	if req.length > 1<<20 {
		out.Header.Set("Expect", "100-continue") // a server that refuses says so before the body is sent
	}
	resp, err := c.http.Do(out)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, &unreachableError{fmt.Errorf("reach the server: %w", err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, readError(resp)
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, &unreachableError{fmt.Errorf("read the answer: %w", err)}
	}
	return answer, nil
}

func (c *Client) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	at := c.base.JoinPath(path)
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, at.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.opts.Key)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.opts.UserAgent)
	if c.opts.Workspace != "" {
		req.Header.Set("X-Workspace-Id", c.opts.Workspace)
	}
	return req, nil
}

// backoff is the time before the next attempt: doubled for each failure, then spread over its second
// half, so that the clients of a server that restarts do not return at once.
func backoff(first, most time.Duration, failures int) time.Duration {
	base := min(first<<min(failures, 10), most)
	return base/2 + rand.N(base/2+1)
}

// pause waits, or returns ctx's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// Fetch reads what is not JSON, such as a file of export.
func (c *Client) Fetch(ctx context.Context, path string) ([]byte, error) {
	for attempt := 1; ; attempt++ {
		body, err := c.attempt(ctx, call{method: http.MethodGet, path: path})
		if err == nil || !Temporary(err) || attempt >= c.opts.Attempts {
			return body, err
		}
		if ended := pause(ctx, backoff(c.opts.Backoff, maxBackoff, attempt-1)); ended != nil {
			return nil, fmt.Errorf("%w (%w)", ended, err)
		}
	}
}
