package ops

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics is every metric the binary exports. Each process makes one and passes it to
// the code that measures; nothing else registers a metric.
type Metrics struct {
	Registry *prometheus.Registry

	HTTPRequests *prometheus.CounterVec   // route, method, status; route is the template
	HTTPDuration *prometheus.HistogramVec // route, method

	DBAcquire          prometheus.Histogram
	DBConnectionErrors prometheus.Counter

	TuneRuns        *prometheus.CounterVec // status
	TuneRunDuration prometheus.Histogram
	TuneTrials      *prometheus.CounterVec // status

	SSESubscribers     *prometheus.GaugeVec   // topic
	SSEEventsPublished *prometheus.CounterVec // topic
	SSEQueueDrops      prometheus.Counter
	SSERelayLag        prometheus.Gauge

	WFORuns        *prometheus.CounterVec // status
	WFOFolds       *prometheus.CounterVec // status
	WFORunDuration prometheus.Histogram
	WFOEligible    prometheus.Histogram // candidates of one walk-forward

	RunPlanFailures prometheus.Counter
	ScheduleSlots   *prometheus.CounterVec // kind, state

	StrategyChecks *prometheus.CounterVec // status

	Deletions *prometheus.CounterVec // status

	WorkspaceDeletions *prometheus.CounterVec // status

	Knowledge KnowledgeMetrics

	IngestJobs     *prometheus.CounterVec // source_type, status
	IngestFailures *prometheus.CounterVec // source_type

	IdempotencyReplays prometheus.Counter

	InternalErrors *prometheus.CounterVec // kind

	RiverJobWait *prometheus.HistogramVec // queue
	RiverJobRun  *prometheus.HistogramVec // kind, status
	JobsRescued  prometheus.Counter

	WorkReconciled *prometheus.CounterVec // work

	SignIns *prometheus.CounterVec // status: of those through the OpenID provider

	TelemetryFailures     *prometheus.CounterVec // signal: exports that failed
	TelemetrySpansDropped prometheus.Counter
	WebhookDeliveries     *prometheus.CounterVec // status
	WebhookDuration       prometheus.Histogram
}

// NewMetrics makes and registers every metric, with the Go runtime's and the process's own.
func NewMetrics() *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),

		HTTPRequests: counters("http_requests_total", "HTTP requests by route template.", "route", "method", "status"),
		HTTPDuration: histograms("http_request_duration_seconds", "Time to answer a request; streams are left out.",
			exponential(0.001, 14), "route", "method"),

		DBAcquire: histogram("db_pool_acquire_seconds", "Time to get a connection from the pool.",
			exponential(0.0001, 16)),
		DBConnectionErrors: counter("db_connection_errors_total", "Failed connection attempts to Postgres."),

		TuneRuns:        counters("tune_runs_total", "Tunes that ended, by status.", "status"),
		TuneRunDuration: histogram("tune_run_duration_seconds", "Time from a tune's start to its end.", exponential(0.1, 18)),
		TuneTrials:      counters("tune_trials_total", "Trials that ended, by status.", "status"),

		SSESubscribers:     gauges("sse_subscribers", "Open event streams that carry the topic.", "topic"),
		SSEEventsPublished: counters("sse_events_published_total", "Events read from the log and offered to subscribers.", "topic"),
		SSEQueueDrops:      counter("sse_queue_drops_total", "Subscribers disconnected because their queue was full."),
		SSERelayLag: gauge("sse_relay_lag_seconds",
			"Age of the newest event when this process saw it."),

		WFORuns:        counters("wfo_runs_total", "Walk-forwards that ended, by status.", "status"),
		WFOFolds:       counters("wfo_folds_total", "Folds that ended, by status.", "status"),
		WFORunDuration: histogram("wfo_run_duration_seconds", "Time from a walk-forward's start to its end.", exponential(0.1, 18)),
		WFOEligible: histogram("wfo_candidates_eligible", "Candidates of a walk-forward that are eligible.",
			[]float64{0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}),

		StrategyChecks: counters("strategy_checks_total", "Uploaded scripts that were examined, by the status that they got.", "status"),

		Deletions: counters("deletions_total", "Deletions that ended, by status.", "status"),

		WorkspaceDeletions: counters("workspace_deletions_total", "Deletions of whole workspaces that ended, by status.", "status"),

		RunPlanFailures: counter("run_plan_failures_total", "Run plans with a variant that failed."),
		ScheduleSlots:   counters("schedule_slots_total", "Slots of schedules that ended or were skipped.", "kind", "state"),

		Knowledge: newKnowledgeMetrics(),

		IngestJobs:     counters("ingest_jobs_total", "Ingestion jobs that ended, by status.", "source_type", "status"),
		IngestFailures: counters("ingest_failures_total", "Ingestion jobs that failed for good.", "source_type"),

		IdempotencyReplays: counter("idempotency_replays_total", "Submissions answered with a stored response."),

		InternalErrors: counters("internal_errors_total", "Errors of ours in requests, jobs and loops, by kind: error or panic.", "kind"),

		RiverJobWait: histograms("river_job_wait_seconds", "Time a job waited between being due and being worked.",
			exponential(0.001, 20), "queue"),
		RiverJobRun: histograms("river_job_run_seconds", "Time a job's attempt took.",
			exponential(0.001, 20), "kind", "status"),
		JobsRescued:    counter("worker_jobs_rescued_total", "Jobs run again because no live worker held them."),
		WorkReconciled: counters("work_reconciled_total", "Pieces of active work taken up after their job was lost.", "work"),

		SignIns:               counters("sign_ins_total", "Sign-ins through the OpenID provider, by status: ok, refused, or away, when the provider cannot be used.", "status"),
		TelemetryFailures:     counters("telemetry_export_failures_total", "Exports to the OpenTelemetry collector that failed, by signal: traces or metrics.", "signal"),
		TelemetrySpansDropped: counter("telemetry_spans_dropped_total", "Spans that were dropped because too many waited for the collector."),
		WebhookDeliveries:     counters("webhook_deliveries_total", "Attempts to deliver to receivers of webhooks, by status.", "status"),
		WebhookDuration:       histogram("webhook_delivery_duration_seconds", "Time until a receiver of a webhook answered, or did not.", exponential(0.001, 15)),
	}
	m.Registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.HTTPRequests, m.HTTPDuration, m.DBAcquire, m.DBConnectionErrors,
		m.TuneRuns, m.TuneRunDuration, m.TuneTrials,
		m.SSESubscribers, m.SSEEventsPublished, m.SSEQueueDrops, m.SSERelayLag,
		m.WFORuns, m.WFOFolds, m.WFORunDuration, m.WFOEligible, m.RunPlanFailures, m.ScheduleSlots, m.StrategyChecks, m.Deletions, m.WorkspaceDeletions,
		m.IngestJobs, m.IngestFailures,
		m.IdempotencyReplays, m.InternalErrors, m.RiverJobWait, m.RiverJobRun, m.JobsRescued, m.WorkReconciled,
		m.SignIns, m.TelemetryFailures, m.TelemetrySpansDropped,
		m.WebhookDeliveries, m.WebhookDuration,
	)
	m.Registry.MustRegister(m.Knowledge.collectors()...)
	m.begin()
	return m
}

// begin makes the series of every known status start at zero: a counter that appears with its first
// failure has no increase to alert on.
func (m *Metrics) begin() {
	ended := []string{"completed", "failed", "canceled"}
	each(m.TuneRuns, ended)
	each(m.TuneTrials, []string{"completed", "failed", "skipped"})
	each(m.WFORuns, append([]string{"partial"}, ended...))
	each(m.WFOFolds, ended)
	each(m.StrategyChecks, []string{"ready", "refused", "unstable"})
	each(m.Deletions, []string{"completed", "failed"})
	each(m.WorkspaceDeletions, []string{"completed", "failed"})
	for _, source := range []string{"article", "dataset", "pdf", "pine", "text", "youtube"} {
		each(m.IngestFailures, []string{source})
		each(m.IngestJobs, []string{source}, ended)
	}
	each(m.WebhookDeliveries, []string{"delivered", "failed"})
	each(m.InternalErrors, []string{"error", "panic"})
	each(m.SignIns, []string{"ok", "refused", "away"})
	each(m.TelemetryFailures, []string{"traces", "metrics"})
	m.Knowledge.begin()
}

// each makes the series of every combination of label values.
func each(of *prometheus.CounterVec, values ...[]string) {
	combined := [][]string{{}}
	for _, choices := range values {
		var longer [][]string
		for _, begun := range combined {
			for _, choice := range choices {
				longer = append(longer, append(slices.Clone(begun), choice))
			}
		}
		combined = longer
	}
	for _, labels := range combined {
		of.WithLabelValues(labels...)
	}
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
}

func histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// exponential returns n buckets, each twice the one before it, in seconds.
func exponential(first float64, n int) []float64 {
	return prometheus.ExponentialBuckets(first, 2, n)
}
