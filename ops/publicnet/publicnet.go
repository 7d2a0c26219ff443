// Package publicnet makes connections for those who may name any address, so they must not be made to
// reach what only this machine can: loopback, private networks, cloud metadata. The address that is dialled
// is checked, after the name is resolved, at every connection: a name that resolves to something else at the
// second look, a redirect and an odd spelling of an address all come to the same check. The ranges are IANA's
// special-purpose registries, kept by code.dny.dev/ssrf.
package publicnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"code.dny.dev/ssrf"
)

// Options say what may be reached beside ports 80 and 443 of the public internet.
type Options struct {
	AllowNetworks []netip.Prefix // reached though they are not public
	AllowPorts    []uint16       // beside 80 and 443
	Resolver      *net.Resolver  // default: the system's
}

// The reasons why an address is not reached.
var (
	ErrPort   = errors.New("the address has a port that is not allowed")
	ErrPublic = errors.New("the address is not on the public internet")
	ErrNoHost = errors.New("there is no host of that name")
)

// Guard checks addresses. It is safe for concurrent use.
type Guard struct {
	safe     *ssrf.Guardian
	resolver *net.Resolver
}

// New makes a guard.
func New(opts Options) *Guard {
	var v4, v6 []netip.Prefix
	for _, prefix := range opts.AllowNetworks {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	return &Guard{resolver: opts.Resolver, safe: ssrf.New(
		ssrf.WithPorts(append([]uint16{80, 443}, opts.AllowPorts...)...),
		ssrf.WithAllowedV4Prefixes(v4...), ssrf.WithAllowedV6Prefixes(v6...),
	)}
}

// Dialer connects to addresses that pass the check, and to no other.
func (g *Guard) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, Control: g.safe.Safe, Resolver: g.resolver}
}

// Refusal is why an error of a connection says that the address is refused: ErrPort, ErrPublic or ErrNoHost;
// nil when it says something else.
func Refusal(err error) error {
	var dns *net.DNSError
	switch {
	case errors.Is(err, ErrPort), errors.Is(err, ssrf.ErrProhibitedPort):
		return ErrPort
	case errors.Is(err, ErrPublic), errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrInvalidHostPort):
		return ErrPublic
	case errors.As(err, &dns) && dns.IsNotFound:
		return ErrNoHost
	}
	return nil
}

// Check says early that an address would be refused when it is dialled: the reason, or nil. A name is resolved
// only if lookup is set, and one that does not resolve passes: that may be another later, and every connection
// is checked again.
func (g *Guard) Check(ctx context.Context, u *url.URL, lookup bool) error {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ErrPort
	}
	addresses := []netip.Addr{netip.AddrFrom4([4]byte{1, 1, 1, 1})} // public: the port alone is checked
	if literal, err := netip.ParseAddr(u.Hostname()); err == nil {
		addresses[0] = literal
	} else if lookup {
		resolver := g.resolver
		if resolver == nil {
			resolver = net.DefaultResolver
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if found, err := resolver.LookupNetIP(ctx, "ip", u.Hostname()); err == nil {
			addresses = append(addresses, found...)
		}
	}
	for _, address := range addresses {
		network := "tcp6"
		if address = address.Unmap(); address.Is4() {
			network = "tcp4"
		}
		if err := g.safe.Safe(network, netip.AddrPortFrom(address, uint16(number)).String(), nil); err != nil {
			if reason := Refusal(err); reason != nil {
				return reason
			}
			return fmt.Errorf("%w: %w", ErrPublic, err)
		}
	}
	return nil
}
