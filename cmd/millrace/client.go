package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// clientFlags say which server the client verbs talk to, and as whom.
type clientFlags struct {
	URL       string `name:"url" env:"MILLRACE_URL" help:"Address of the API."`
	APIKey    string `name:"api-key" env:"MILLRACE_API_KEY" help:"Key of the workspace."`
	Workspace string `name:"workspace" env:"MILLRACE_WORKSPACE_ID" help:"Workspace that the key must belong to."`
	EnvFile   string `name:"env-file" placeholder:"FILE" help:"Settings for what neither flag nor environment gives (by default ./.millrace/dev.env if it is there)."`
}

// defaultEnvFile is where `millrace dev` leaves its settings.
const defaultEnvFile = ".millrace/dev.env"

// open returns a client from the flags, the environment and the settings file, in this order.
func (f clientFlags) open() (*client, error) {
	if err := f.fill(); err != nil {
		return nil, err
	}
	if f.APIKey == "" && f.URL != "" {
		return nil, configError{errors.New("MILLRACE_API_KEY is not set: name a key of the workspace")}
	}
	return f.connect()
}

// connect returns a client of what is set.
func (f clientFlags) connect() (*client, error) {
	if f.URL == "" {
		return nil, configError{errors.New("MILLRACE_URL is not set: start `millrace dev`, or name the server")}
	}
	base, err := url.Parse(f.URL)
	if err != nil || (base.Scheme != "http" && base.Scheme != "https") || base.Host == "" {
		return nil, configError{fmt.Errorf("MILLRACE_URL: %q is not an http or https address", f.URL)}
	}
	return newClient(base, f.APIKey, f.Workspace), nil
}

// settings reads the settings file; there is none by default.
func (f clientFlags) settings() (map[string]string, error) {
	file := f.EnvFile
	if file == "" {
		file = defaultEnvFile
	}
	values, err := readEnvFile(file)
	if errors.Is(err, fs.ErrNotExist) && f.EnvFile == "" {
		return nil, nil
	}
	if err != nil {
		return nil, configError{fmt.Errorf("--env-file: %w", err)}
	}
	return values, nil
}

// fill takes what is missing from the settings file. The file that is found by itself gives its key
// only to its own server.
func (f *clientFlags) fill() error {
	values, err := f.settings()
	if err != nil || values == nil {
		return err
	}
	if f.URL != "" && f.APIKey == "" && f.EnvFile == "" && strings.TrimSuffix(f.URL, "/") != values["MILLRACE_URL"] {
		return nil
	}
	if f.APIKey == "" {
		f.APIKey = values["MILLRACE_API_KEY"]
		if f.Workspace == "" {
			f.Workspace = values["MILLRACE_WORKSPACE_ID"]
		}
	}
	if f.URL == "" {
		f.URL = values["MILLRACE_URL"]
	}
	return nil
}

// client speaks to the API.
type client struct {
	base      *url.URL
	key       string
	workspace string
	http      *http.Client  // for requests that end
	stream    *http.Client  // for streams: no limit on the whole
	backoff   time.Duration // wait before a first retry
}

func newClient(base *url.URL, key, workspace string) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = 60 * time.Second
	return &client{
		base: base, key: key, workspace: workspace,
		http: &http.Client{Transport: transport, Timeout: 5 * time.Minute}, stream: &http.Client{Transport: transport},
		backoff: 250 * time.Millisecond,
	}
}

// request makes a request for a path, which may hold a query.
func (c *client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	path, query, _ := strings.Cut(path, "?")
	at := c.base.JoinPath(path)
	at.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, method, at.String(), body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "millrace-cli")
	if c.workspace != "" {
		req.Header.Set("X-Workspace-Id", c.workspace)
	}
	return req, nil
}

// awayError is a failure that may pass: the server cannot be reached, or is not able to answer.
type awayError struct{ error }

func (e *awayError) Unwrap() error { return e.error }

// send does one request and returns the body of a 2xx answer; any other is a *problem. after is
// how long the server asks to wait.
func (c *client) send(req *http.Request) (body []byte, after time.Duration, err error) {
	resp, err := c.http.Do(req)
	if err != nil {
		if req.Context().Err() != nil {
			return nil, 0, err
		}
		return nil, 0, &awayError{fmt.Errorf("reach the server: %w", err)}
	}
	defer resp.Body.Close()
	after = retryAfter(resp)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		err := readProblem(resp)
		if retriable(resp) {
			err = &awayError{err}
		}
		return nil, after, err
	}
	body, err = io.ReadAll(resp.Body)
	if err != nil {
		return nil, 0, &awayError{fmt.Errorf("read the answer: %w", err)}
	}
	return body, 0, nil
}

// get reads a resource.
func (c *client) get(ctx context.Context, path string) ([]byte, error) {
	return c.retry(ctx, func() (*http.Request, error) { return c.request(ctx, http.MethodGet, path, nil) })
}

// post sends v as JSON. With a key, repeating the request has no further effect, so it is retried.
func (c *client) post(ctx context.Context, path, key string, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	return c.retry(ctx, func() (*http.Request, error) {
		req, err := c.request(ctx, http.MethodPost, path, bytes.NewReader(body))
		if err == nil {
			req.Header.Set("Content-Type", "application/json")
			req.Header.Set("X-Idempotency-Key", key)
		}
		return req, err
	})
}

// retry sends a request that may safely be sent again until it is answered, eight times at most.
func (c *client) retry(ctx context.Context, make func() (*http.Request, error)) ([]byte, error) {
	const attempts = 8
	for attempt := 1; ; attempt++ {
		req, err := make()
		if err != nil {
			return nil, err
		}
		body, after, err := c.send(req)
		var away *awayError
		if err == nil || !errors.As(err, &away) || attempt == attempts {
			return body, err
		}
		backoff := eventStream{first: c.backoff, most: 8 * time.Second}
		if err := pause(ctx, max(after, backoff.wait(attempt-1))); err != nil {
			return nil, fmt.Errorf("%w (%w)", err, away)
		}
	}
}

// retriable reports whether the same request may succeed later: the server is overloaded, starting
// or still at work on the first copy.
func retriable(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusConflict:
		return resp.Header.Get("Retry-After") != ""
	}
	return false
}

// retryAfter reads the seconds a server asks to wait, a minute at most.
func retryAfter(resp *http.Response) time.Duration {
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 60)) * time.Second
}
