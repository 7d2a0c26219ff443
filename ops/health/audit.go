package health

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"millrace/ops"
	"millrace/store"
)

// How long an entry of the audit log may wait to be sealed into its chain. Workers seal once a second.
const (
	sealingLate  = time.Minute
	sealingFault = 15 * time.Minute
)

func (c checks) audit(ctx context.Context) ops.Report {
	r := ops.Report{Runbook: "audit.md#audit"}
	sealing, err := c.Store.DB.AuditSealing(ctx)
	if err != nil {
		return failed(r, err)
	}
	r.Add("unsealed", sealing.Waiting)
	r.Add("behind_s", int(sealing.Behind.Seconds()))
	status := ops.StatusOK
	switch {
	case sealing.Behind > sealingFault:
		status = ops.StatusError
	case sealing.Behind > sealingLate:
		status = ops.StatusDegraded
	}
	if status != ops.StatusOK {
		r.Raise(status, fmt.Sprintf("an entry has waited %v to be sealed into its chain", sealing.Behind.Round(time.Second)),
			"Workers seal once a second: start one, or look for \"the audit log is not sealed\" in their logs.")
	}
	r.Raise(ops.StatusOK, "what is committed is sealed", "")
	return r
}

var (
	auditUnsealed = desc("audit_unsealed_entries", "Entries of the audit log that are not sealed into their chains, counted up to 100,000.")
	auditBehind   = desc("audit_sealing_behind_seconds", "How long the oldest of them has waited.")
)

func auditMetrics(sealing store.AuditSealing) []prometheus.Metric {
	return []prometheus.Metric{gauge(auditUnsealed, float64(sealing.Waiting)), gauge(auditBehind, sealing.Behind.Seconds())}
}
