package main

import (
	"fmt"
	"net/netip"
	"time"

	"millrace/api"
	"millrace/store"
)

// limitFlags say how much the API takes from one caller, and whom it believes about who calls.
type limitFlags struct {
	LimitLogins    int      `default:"5" env:"LIMIT_LOGINS" help:"Tries to log in to the console, a minute and address; 0 is no limit."`
	TrustedProxies []string `env:"TRUSTED_PROXIES" placeholder:"CIDR,…" help:"Proxies whose X-Forwarded-For is believed. Default: none."`
}

func (f limitFlags) limits() api.Limits {
	return api.Limits{Login: perMinute(f.LimitLogins)}
}

// perMinute is the rate of so many a minute; none is no limit.
func perMinute(n int) store.Rate {
	if n < 1 {
		return store.Rate{}
	}
	return store.Rate{Most: n, Window: time.Minute}
}

func (f limitFlags) proxies() ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for _, text := range f.TrustedProxies {
		prefix, err := netip.ParsePrefix(text)
		if ip, alone := netip.ParseAddr(text); alone == nil {
			prefix, err = ip.Prefix(ip.BitLen())
		}
		if err != nil {
			return nil, configError{fmt.Errorf("--trusted-proxies (TRUSTED_PROXIES): %q is no address or CIDR range", text)}
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes, nil
}
