package api

import (
	"fmt"
	"math"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/store/tenants"
)

// Limits are how often what may be done, across every API process of one database. A zero rate
// limits nothing. A workspace may have limits of its own, which stand in for those of workspaces.
type Limits struct {
	Login          tenants.Rate // tries to log in to the console, an address
	Uploads        tenants.Rate // of files, an address
	AddressQueries tenants.Rate // of the knowledge base, an address
	Queries        tenants.Rate // of the knowledge base, a workspace
	Submissions    tenants.Rate // requests to create work, a workspace
	QueueDepth     int          // work of a workspace that waits or is done; 0: any

	// Quotas are given to workspaces that are made without some of their own; nil is any.
	Quotas tenants.WorkspaceLimits
}

// metered takes a unit of each limit that the route is under.
func (s *Server) metered(c echo.Context, r route) error {
	limits, own := s.opts.Limits, principalOf(c).Limits
	workspace := workspaceOf(c).String()
	for _, limit := range []struct {
		on           traits
		name, caller string
		rate         tenants.Rate
	}{
		{uploadLimit, "uploads", address(c), limits.Uploads},
		{queries, "queries-address", address(c), limits.AddressQueries},
		{queries, "queries", workspace, ownRate(own.QueriesPerMinute, limits.Queries)},
		{creates, "submissions", workspace, ownRate(own.SubmissionsPerMinute, limits.Submissions)},
	} {
		if r.traits&limit.on == 0 || limit.on == uploadLimit && !sendsForm(c) {
			continue
		}
		if err := s.take(c, limit.name, limit.caller, limit.rate); err != nil {
			return err
		}
	}
	return nil
}

// sendsForm reports whether the request brings files, if it brings any.
func sendsForm(c echo.Context) bool {
	kind, _, _ := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	return kind == echo.MIMEMultipartForm
}

func ownRate(perMinute *int, def tenants.Rate) tenants.Rate {
	if perMinute == nil {
		return def
	}
	return tenants.Rate{Most: *perMinute, Window: time.Minute}
}

// queueDepth is how much work of the request's workspace may wait or be done; 0: any.
func (s *Server) queueDepth(c echo.Context) int {
	if own := principalOf(c).Limits.QueueDepth; own != nil {
		return *own
	}
	return s.opts.Limits.QueueDepth
}

// take asks for one unit of a rate, for a caller. The answer says how much is left, in the fields of
// draft-ietf-httpapi-ratelimit-headers; over the limit it is a 429.
func (s *Server) take(c echo.Context, name, caller string, rate tenants.Rate) error {
	if rate == (tenants.Rate{}) {
		return nil
	}
	key, now := name+" "+caller, time.Now()
	quota := tenants.Quota{Wait: s.refusals.wait(key, now)}
	if quota.Wait == 0 {
		var err error
		if quota, err = s.store.Tenants.Take(c.Request().Context(), key, rate); err != nil {
			return err
		}
		if !quota.Admitted {
			s.refusals.note(key, now, quota.Wait)
		}
	}
	wait := int(math.Ceil(quota.Wait.Seconds()))
	h := c.Response().Header()
	h.Add("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", name, rate.Most, int(rate.Window/time.Second)))
	h.Add("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", name, quota.Remaining, wait))
	if quota.Admitted {
		return nil
	}
	return overLimit(name, rate, quota.Wait)
}

func overLimit(name string, rate tenants.Rate, wait time.Duration) error {
	seconds := max(int(math.Ceil(wait.Seconds())), 1)
	return retryProblem(http.StatusTooManyRequests,
		fmt.Sprintf("Over the limit %q: %d in %s. Try again in %d s.", name, rate.Most, rate.Window, seconds), seconds)
}

// refusals are who was refused lately, and until when. Nothing that happens meanwhile brings a unit
// back earlier, so they are refused again without asking the database.
type refusals struct {
	mu    sync.Mutex
	keep  time.Duration // how long a raised limit may go unnoticed
	until map[string]refusal
}

type refusal struct{ over, forget time.Time }

const maxRefusals = 10_000

func newRefusals(keep time.Duration) *refusals {
	return &refusals{keep: keep, until: map[string]refusal{}}
}

// wait is how long a caller still has to wait; 0: the database has to be asked.
func (r *refusals) wait(key string, now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	refused, ok := r.until[key]
	if !ok || !now.Before(refused.forget) || !now.Before(refused.over) {
		return 0
	}
	return refused.over.Sub(now)
}

func (r *refusals) note(key string, now time.Time, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.until) >= maxRefusals {
		clear(r.until)
	}
	r.until[key] = refusal{over: now.Add(wait), forget: now.Add(r.keep)}
}

// ipExtractor finds the client's address: the peer's, unless the peer is a proxy that may name it.
func ipExtractor(trusted []netip.Prefix) echo.IPExtractor {
	if len(trusted) == 0 {
		return echo.ExtractIPDirect()
	}
	options := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range trusted {
		options = append(options, echo.TrustIPRange(&net.IPNet{
			IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen()),
		}))
	}
	return echo.ExtractIPFromXFFHeader(options...)
}

// address is the client's address as limits count it. Of IPv6 the network of 64 bits counts: a client with
// one address of it has them all.
func address(c echo.Context) string {
	ip, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return "unknown"
	}
	if ip = ip.Unmap().WithZone(""); ip.Is6() {
		network, _ := ip.Prefix(64) // 64 bits fit any IPv6 address
		return network.String()
	}
	return ip.String()
}
