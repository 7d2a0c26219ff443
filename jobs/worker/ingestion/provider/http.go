package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"millrace/jobs/knowledge"
)

// Endpoint is where a provider is, and as whom to call it.
type Endpoint struct {
	URL    string // base, without a trailing slash
	APIKey string // may be empty
	Model  string
}

// caller posts JSON to one provider.
type caller struct {
	part    string // for faults, as in "embedder openai"
	base    string
	headers map[string]string
	secret  string
	http    *http.Client
	most    int64 // bytes of an answer
}

func newCaller(part string, e Endpoint, most int64) (*caller, error) {
	base, err := url.Parse(strings.TrimSuffix(e.URL, "/"))
	switch {
	case err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https":
		return nil, errors.New("want an http or https address")
	case base.User != nil:
		return nil, errors.New("a URL is not the place for a password: use the API key")
	}
	c := &caller{part: part, base: base.String(), headers: map[string]string{}, secret: e.APIKey, most: most}
	if e.APIKey != "" {
		c.headers["Authorization"] = "Bearer " + e.APIKey
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
		},
		// A redirect would carry the texts, and perhaps the key, to somewhere nobody named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// post sends a request and decodes the answer into one.
func (c *caller) post(ctx context.Context, path string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return c.fault(knowledge.FaultRefused, 0, fmt.Errorf("encode request: %w", err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return c.fault(knowledge.FaultRefused, 0, err)
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range c.headers {
		req.Header.Set(name, value)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.failed(ctx, err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(io.LimitReader(resp.Body, c.most+1))
	switch {
	case err != nil:
		return c.failed(ctx, err)
	case resp.StatusCode != http.StatusOK:
		return c.refused(resp, content)
	case int64(len(content)) > c.most:
		return c.fault(knowledge.FaultProvider, resp.StatusCode, fmt.Errorf("the answer is longer than %d bytes", c.most))
	}
	if err := json.Unmarshal(content, answer); err != nil {
		return c.fault(knowledge.FaultProvider, resp.StatusCode, fmt.Errorf("the answer is not the JSON that it should be: %w", err))
	}
	return nil
}

// failed is the fault of a request that got no whole answer.
func (c *caller) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // without the address
	}
	fault := knowledge.AsFault(c.part, err)
	if fault.Kind == knowledge.FaultProvider && !errors.Is(err, context.Canceled) {
		fault.Kind = knowledge.FaultUnreachable // cut off, refused, no such host
	}
	return fault
}

// refused is the fault of an answer that is not 200.
func (c *caller) refused(resp *http.Response, content []byte) error {
	kind := knowledge.FaultProvider
	switch status := resp.StatusCode; {
	case status == http.StatusTooManyRequests:
		kind = knowledge.FaultRateLimit
	case status == http.StatusRequestTimeout || status == http.StatusGatewayTimeout:
		kind = knowledge.FaultTimeout
	case status < 500:
		kind = knowledge.FaultRefused
	}
	fault := c.fault(kind, resp.StatusCode, errors.New(c.excerpt(content)))
	fault.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	return fault
}

// excerpt is the beginning of what the provider says, for the log, without the key it may repeat.
func (c *caller) excerpt(content []byte) string {
	const most = 300
	text := string(content[:min(len(content), most+len(c.secret))]) // a key at the end is taken out whole
	if c.secret != "" {
		text = strings.ReplaceAll(text, c.secret, "[key]")
	}
	return strconv.Quote(strings.ToValidUTF8(text[:min(len(text), most)], "�"))
}

func (c *caller) fault(kind knowledge.FaultKind, status int, err error) *knowledge.Fault {
	return &knowledge.Fault{Kind: kind, Part: c.part, Status: status, Err: err}
}

// garbage is the fault of an answer that decodes but makes no sense.
func (c *caller) garbage(format string, args ...any) error {
	return c.fault(knowledge.FaultProvider, http.StatusOK, fmt.Errorf(format, args...))
}

// retryAfter reads seconds or a date; 0 for anything else, an hour at most.
func retryAfter(text string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 {
		wait = time.Duration(min(seconds, 3600) * float64(time.Second))
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), time.Hour)
}
