// Package fetch gets sources from the network for those who may name any address. Package publicnet checks
// each one that is dialled.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/ops/publicnet"
)

// Options configure a Fetcher. Zero fields take their defaults.
type Options struct {
	AllowNetworks []netip.Prefix // reached though they are not public
	AllowPorts    []uint16       // beside 80 and 443
	Timeout       time.Duration  // of a fetch with its redirects; default 60 s
	Resolver      *net.Resolver  // default: the system's
}

const (
	maxRedirects = 5
	// smallBody is what every fetch may hold in memory; a longer body waits until no other is held.
	smallBody = 4 << 20
	// maxRetryAfter bounds what a source may ask to wait.
	maxRetryAfter = time.Hour
	userAgent     = "millrace (research ingestion)"
)

// Fetcher implements knowledge.Fetcher over HTTP. It keeps no cookies, sends no credentials, follows
// few redirects and ignores proxy settings of the environment.
type Fetcher struct {
	client *http.Client
	large  *semaphore.Weighted // of bodies over smallBody, of which one is held at a time
}

// New makes a fetcher.
func New(opts Options) *Fetcher {
	if opts.Timeout == 0 {
		opts.Timeout = 60 * time.Second
	}
	dialer := publicnet.New(publicnet.Options{AllowNetworks: opts.AllowNetworks, AllowPorts: opts.AllowPorts, Resolver: opts.Resolver}).Dialer(10 * time.Second)
	return &Fetcher{large: semaphore.NewWeighted(1), client: &http.Client{
		Timeout: opts.Timeout,
		Transport: &http.Transport{
			Proxy: nil, DialContext: dialer.DialContext,
			// A connection that was checked for one fetch is not kept for another.
			DisableKeepAlives:      true,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  30 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			ForceAttemptHTTP2:      true,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return refuse("the address redirects more than %d times", maxRedirects)
			}
			req.Header.Del("Referer")
			return extract.CheckAddress(req.URL)
		},
	}}
}

// refuse is a permanent failure.
func refuse(format string, args ...any) *knowledge.FetchError {
	return &knowledge.FetchError{Reason: fmt.Sprintf(format, args...), Permanent: true}
}

// Fetch implements knowledge.Fetcher. Bodies over most bytes, after decompression, are refused. Release a
// body as soon as it is no longer needed: a large one keeps other large ones waiting.
func (f *Fetcher) Fetch(ctx context.Context, address string, most int64) (knowledge.Fetched, error) {
	u, err := url.Parse(address)
	if err != nil {
		return knowledge.Fetched{}, refuse("the address cannot be read")
	}
	if err := extract.CheckAddress(u); err != nil {
		return knowledge.Fetched{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return knowledge.Fetched{}, refuse("the address cannot be read")
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept", "text/html, application/pdf, text/plain, */*;q=0.5")
	req.Header.Set("Accept-Language", "en, *;q=0.5")
	resp, err := f.client.Do(req)
	if err != nil {
		return knowledge.Fetched{}, failure(ctx, err)
	}
	defer resp.Body.Close()
	if err := checkStatus(resp, time.Now()); err != nil {
		return knowledge.Fetched{}, err
	}
	if resp.ContentLength > most {
		return knowledge.Fetched{}, refuse("the source has %d bytes: the limit is %d", resp.ContentLength, most)
	}
	body, done, err := f.read(ctx, resp, most)
	if err != nil {
		return knowledge.Fetched{}, err
	}
	return knowledge.Fetched{URL: resp.Request.URL.String(), ContentType: resp.Header.Get("Content-Type"), Body: body, Done: done}, nil
}

// read reads the body. done gives back the place of a large one.
func (f *Fetcher) read(ctx context.Context, resp *http.Response, most int64) (body []byte, done func(), err error) {
	body, err = io.ReadAll(io.LimitReader(resp.Body, min(most+1, smallBody)))
	if err != nil {
		return nil, nil, failure(ctx, err)
	}
	if len(body) == smallBody {
		if err := f.large.Acquire(ctx, 1); err != nil {
			return nil, nil, err
		}
		done = sync.OnceFunc(func() { f.large.Release(1) })
		if body, err = readLarge(resp, body, most+1); err != nil {
			done()
			return nil, nil, failure(ctx, err)
		}
	}
	if int64(len(body)) > most {
		if done != nil {
			done()
		}
		return nil, nil, refuse("the source has over %d bytes, which is the limit", most)
	}
	return body, done, nil
}

// readLarge continues where a small body ended. The buffer is made once: one that grows takes thrice as much.
func readLarge(resp *http.Response, begun []byte, most int64) ([]byte, error) {
	size := most
	if resp.ContentLength > 0 {
		size = min(most, resp.ContentLength)
	}
	body := make([]byte, max(size, int64(len(begun))))
	at := copy(body, begun)
	n, err := io.ReadFull(resp.Body, body[at:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return body[:at+n], err
}

// failure says why a request came to nothing.
func failure(ctx context.Context, err error) error {
	var refused *knowledge.FetchError
	var network net.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &refused):
		return refused
	case publicnet.Refusal(err) != nil:
		return &knowledge.FetchError{Reason: publicnet.Refusal(err).Error(), Permanent: true, Err: err}
	case errors.As(err, &network) && network.Timeout():
		return &knowledge.FetchError{Reason: "the source took too long to answer", Err: err}
	}
	return &knowledge.FetchError{Reason: "the source could not be reached", Err: err}
}

// checkStatus distinguishes an answer that may be another later from one that will not.
func checkStatus(resp *http.Response, now time.Time) error {
	status := resp.StatusCode
	failed := &knowledge.FetchError{Reason: fmt.Sprintf("the source answered %d %s", status, http.StatusText(status))}
	switch {
	case status == http.StatusOK:
		return nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		failed.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
		if status == http.StatusTooManyRequests {
			failed.Reason = "the source asks to wait: too many requests"
			failed.RetryAfter = max(failed.RetryAfter, 30*time.Second)
		}
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
	default:
		failed.Permanent = true
	}
	return failed
}

// retryAfter reads seconds or a date.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return min(max(time.Duration(min(max(seconds, 0), 1<<20))*time.Second, 0), maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
