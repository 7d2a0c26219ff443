package api

import (
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"millrace/store"
)

// Limits are how often what may be done, across every API process of one database. A zero rate
// limits nothing.
type Limits struct {
	Login store.Rate // tries to log in to the console, an address
}

// take asks for one unit of a rate, for a caller. The answer says how much is left, in the fields of
// draft-ietf-httpapi-ratelimit-headers; over the limit it is a 429.
func (s *Server) take(c echo.Context, name, caller string, rate store.Rate) error {
	if rate == (store.Rate{}) {
		return nil
	}
	quota, err := s.store.Take(c.Request().Context(), name+" "+caller, rate)
	if err != nil {
		return err
	}
	wait := int(math.Ceil(quota.Wait.Seconds()))
	h := c.Response().Header()
	h.Add("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", name, rate.Most, int(rate.Window/time.Second)))
	h.Add("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", name, quota.Remaining, wait))
	if quota.Admitted {
		return nil
	}
	return &problemError{
		Type: "about:blank", Title: http.StatusText(http.StatusTooManyRequests), Status: http.StatusTooManyRequests,
		Detail:     fmt.Sprintf("Over the limit %q: %d in %s. Try again in %d s.", name, rate.Most, rate.Window, max(wait, 1)),
		retryAfter: strconv.Itoa(max(wait, 1)),
	}
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

// address is the client's address as limits count it. Of IPv6 the network of 64 bits counts: whoever
// has one address of it has them all.
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
