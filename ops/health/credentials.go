package health

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"millrace/ops"
	"millrace/store/tenants"
)

// How long before their end credentials are listed, and reported as a fault.
const (
	credentialSoon  = 14 * 24 * time.Hour
	credentialFault = 3 * 24 * time.Hour
	certificateSoon = 14 * 24 * time.Hour
)

func (c checks) credentials(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "platform.md#credentials"}
	soon, err := c.Store.Tenants.Expiring(ctx, credentialSoon, lostNamed)
	if err != nil {
		return failed(r, err)
	}
	totals := map[tenants.CredentialKind]int{}
	for _, e := range soon {
		totals[e.Kind] = e.Total
		if e.Left > credentialFault {
			continue
		}
		what, advice := fmt.Sprintf("the key %q of workspace %s", e.Name, e.Workspace), "Create another (millrace admin key create), have its users take it, then revoke this one."
		if e.Kind == tenants.CredentialAdminToken {
			what, advice = fmt.Sprintf("the token of the admin %q", e.Name), "Create another (millrace admin token create), move its users, then revoke this one."
		}
		r.Raise(ops.StatusDegraded, fmt.Sprintf("%s is in use and ends in %v", what, e.Left.Round(time.Minute)), advice)
	}
	r.Add("keys_ending", totals[tenants.CredentialKey])
	r.Add("admin_tokens_ending", totals[tenants.CredentialAdminToken])
	if c.CertificateEnds != nil {
		ends := c.CertificateEnds()
		r.Add("certificate_ends", ends.UTC().Format(time.RFC3339))
		const advice = "Replace the files of MILLRACE_TLS_CERT and MILLRACE_TLS_KEY; they are taken within 10 seconds."
		switch left := time.Until(ends); {
		case left <= 0:
			r.Raise(ops.StatusError, "the certificate has ended: clients refuse this server", advice)
		case left < certificateSoon:
			r.Raise(ops.StatusDegraded, fmt.Sprintf("the certificate ends in %v", left.Round(time.Minute)), advice)
		}
	}
	r.Raise(ops.StatusOK, "no credential in use ends within three days", "")
	return r
}

var (
	credentialEnds  = desc("credential_expires_in_seconds", "Until the first credential of a kind ends that is in use; without one that ends within 14 days, 14 days.", "kind")
	certificateEnds = desc("certificate_expires_in_seconds", "Until the certificate ends that this process serves TLS with; negative: it has.")
)

// credentialMetrics are the first to end of each kind.
func credentialMetrics(soon []tenants.Expiring) []prometheus.Metric {
	var metrics []prometheus.Metric
	for kind, label := range map[tenants.CredentialKind]string{tenants.CredentialKey: "key", tenants.CredentialAdminToken: "admin_token"} {
		left := credentialSoon
		for _, e := range soon {
			if e.Kind == kind {
				left = min(left, e.Left)
			}
		}
		metrics = append(metrics, gauge(credentialEnds, left.Seconds(), label))
	}
	return metrics
}

// CertificateMetrics measure the certificate that a process serves TLS with.
func CertificateMetrics(ends func() time.Time) prometheus.Collector { return certificateMetrics{ends} }

type certificateMetrics struct{ ends func() time.Time }

// Describe implements prometheus.Collector.
func (m certificateMetrics) Describe(to chan<- *prometheus.Desc) { to <- certificateEnds }

// Collect implements prometheus.Collector.
func (m certificateMetrics) Collect(to chan<- prometheus.Metric) {
	to <- gauge(certificateEnds, time.Until(m.ends()).Seconds())
}
