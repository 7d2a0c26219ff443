package main

import (
	"fmt"
	"net/netip"
	"time"

	"millrace/api"
	"millrace/store/tenants"
)

// limitFlags say how much the API takes from one caller, and whom it believes about who calls. The
// limits hold for all API processes of a database together.
type limitFlags struct {
	LimitSubmissions    int      `default:"60" env:"LIMIT_SUBMISSIONS" help:"Requests to create work, a minute and workspace; 0 lifts the limit, here and below."`
	LimitQueueDepth     int      `default:"1000" env:"LIMIT_QUEUE_DEPTH" help:"Pieces of work of a workspace that may wait or run."`
	LimitUploads        int      `default:"5" env:"LIMIT_UPLOADS" help:"Uploads of files, a minute and address."`
	LimitQueries        int      `default:"30" env:"LIMIT_QUERIES" help:"Queries of the knowledge base, a minute and workspace."`
	LimitAddressQueries int      `default:"60" env:"LIMIT_ADDRESS_QUERIES" help:"Queries of the knowledge base, a minute and address."`
	LimitLogins         int      `default:"5" env:"LIMIT_LOGINS" help:"Tries to log in to the console, a minute and address."`
	TrustedProxies      []string `env:"TRUSTED_PROXIES" placeholder:"CIDR,…" help:"Proxies whose X-Forwarded-For is believed. Default: none."`
}

func (f limitFlags) limits() api.Limits {
	return api.Limits{
		Login: perMinute(f.LimitLogins), Uploads: perMinute(f.LimitUploads),
		AddressQueries: perMinute(f.LimitAddressQueries), Queries: perMinute(f.LimitQueries),
		Submissions: perMinute(f.LimitSubmissions), QueueDepth: max(f.LimitQueueDepth, 0),
	}
}

// perMinute is the rate of so many a minute; none means without limit.
func perMinute(n int) tenants.Rate {
	if n < 1 {
		return tenants.Rate{}
	}
	return tenants.Rate{Most: n, Window: time.Minute}
}

func (f limitFlags) proxies() ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range f.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if ip, alone := netip.ParseAddr(text); alone == nil {
			prefix, err = ip.Prefix(ip.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies (TRUSTED_PROXIES): %q is not an address or CIDR range", text)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}
