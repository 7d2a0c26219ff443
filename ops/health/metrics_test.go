package health_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/ops/health"
)

func TestFleetMetricsAreTrueAndBounded(t *testing.T) {
	w := newWorld(t)
	w.exec(run("job_runs", true, "1 hour"))
	w.exec(run("job_runs", false, "30 minutes"))
	w.exec(`update retention_job_log set rows_deleted = 7`)
	w.exec(keys(3))
	w.exec(ingested("queued", "1 minute", 4))
	w.exec(job("trials", "available", "1 minute"))
	require.Eventually(t, func() bool {
		counts, err := w.main.EventLog.Counters(t.Context(), uuid.NullUUID{})
		return err == nil && counts.Depth("trials", "available") == 1
	}, 10*time.Second, 20*time.Millisecond)
	w.exec(`update workers set beat_at = clock_timestamp()`) // the wait may have been longer than a heartbeat lasts
	logger := slog.New(slog.DiscardHandler)
	fresh := func() prometheus.Collector {
		return health.NewFleetMetrics(w.opts, health.Ready(w.opts), logger)
	}
	var runs strings.Builder // of every job: one of them ran
	for _, job := range jobs.Retentions() {
		n := 0
		if job.Name == "job_runs" {
			n = 1
		}
		fmt.Fprintf(&runs, "retention_job_runs_total{job_name=%q,status=\"completed\"} %d\nretention_job_runs_total{job_name=%q,status=\"failed\"} %d\n", job.Name, n, job.Name, n)
	}
	require.NoError(t, testutil.CollectAndCompare(fresh(), strings.NewReader(`
# HELP retention_job_runs_total Runs of a retention job by status, dry runs left out.
# TYPE retention_job_runs_total counter
`+runs.String()+`# HELP idempotency_expired_pending Expired keys that await the retention job, counted up to 1001.
# TYPE idempotency_expired_pending gauge
idempotency_expired_pending 3
# HELP ingest_queue_pending Ingestion jobs queued, running or to be tried again.
# TYPE ingest_queue_pending gauge
ingest_queue_pending 4
# HELP worker_heartbeats Worker processes heard lately.
# TYPE worker_heartbeats gauge
worker_heartbeats 1
# HELP river_jobs Jobs by queue and state.
# TYPE river_jobs gauge
river_jobs{queue="trials",state="available"} 1
# HELP fleet_figures_up Whether the figures of the fleet could be taken; if 0, the others are missing.
# TYPE fleet_figures_up gauge
fleet_figures_up 1
`), "retention_job_runs_total", "idempotency_expired_pending", "ingest_queue_pending", "worker_heartbeats", "river_jobs", "fleet_figures_up"))
	require.Positive(t, testutil.CollectAndCount(fresh(), "pg_table_size_bytes"))

	w.wire.set(hang, 0)
	began := time.Now()
	require.NoError(t, testutil.CollectAndCompare(fresh(), strings.NewReader(`
# HELP fleet_figures_up Whether the figures of the fleet could be taken; if 0, the others are missing.
# TYPE fleet_figures_up gauge
fleet_figures_up 0
`), "fleet_figures_up", "river_jobs", "worker_heartbeats"))
	require.Less(t, time.Since(began), 3*time.Second)
}
