package main

import (
	"fmt"
	"math"
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
	QuotaTrials         uint     `default:"0" name:"quota-trials-per-day" env:"QUOTA_TRIALS_PER_DAY" help:"Trials a day of a workspace that is made without a quota of its own; 0: any, here and below. Workspaces that are there keep theirs."`
	QuotaBytes          uint     `default:"0" env:"QUOTA_BYTES" help:"Bytes that it may store."`
	QuotaDatasets       uint     `default:"0" env:"QUOTA_DATASETS" help:"Datasets, by name, that it may have."`
	QuotaDocuments      uint     `default:"0" env:"QUOTA_DOCUMENTS" help:"Documents that it may have."`
	TrustedProxies      []string `env:"TRUSTED_PROXIES" placeholder:"CIDR,…" help:"Proxies whose X-Forwarded-For is believed. Default: none."`
}

func (f limitFlags) limits() api.Limits {
	return api.Limits{
		Login: perMinute(f.LimitLogins), Uploads: perMinute(f.LimitUploads),
		AddressQueries: perMinute(f.LimitAddressQueries), Queries: perMinute(f.LimitQueries),
		Submissions: perMinute(f.LimitSubmissions), QueueDepth: max(f.LimitQueueDepth, 0),
		Quotas: tenants.WorkspaceLimits{
			TrialsPerDay: quota(f.QuotaTrials), Bytes: quota(f.QuotaBytes), Datasets: quota(f.QuotaDatasets), Documents: quota(f.QuotaDocuments),
		},
	}
}

// quota is one of new workspaces; 0 is any.
func quota(n uint) *int {
	if n == 0 {
		return nil
	}
	most := int(min(n, math.MaxInt))
	return &most
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
