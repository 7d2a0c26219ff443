package health

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"millrace/ops"
	"millrace/ops/routine"
	"millrace/store/stores"
	"millrace/store/upkeep"
)

const (
	// figuresFresh is how long figures are served before they are measured again, so that several
	// scrapers cost no more than one.
	figuresFresh = 10 * time.Second
	// figuresWithin bounds what a scrape waits for the database.
	figuresWithin = 2 * time.Second
)

// PoolMetrics measure a process's own pool.
func PoolMetrics(st *stores.Set) prometheus.Collector { return poolMetrics{st} }

type poolMetrics struct{ store *stores.Set }

var (
	poolSize      = desc("db_pool_size", "Connections of this process's pool that are open.")
	poolAvailable = desc("db_pool_available", "Connections that a caller would get at once.")
)

// Describe implements prometheus.Collector.
func (p poolMetrics) Describe(to chan<- *prometheus.Desc) { to <- poolSize; to <- poolAvailable }

// Collect implements prometheus.Collector.
func (p poolMetrics) Collect(to chan<- prometheus.Metric) {
	state := p.store.PoolState()
	to <- gauge(poolSize, float64(state.Size))
	to <- gauge(poolAvailable, float64(state.Available))
}

// FleetMetrics measure the fleet as a whole, from the database: every API process exports the same
// figures, so rules take the maximum over instances, never the sum.
type FleetMetrics struct {
	store   *stores.Set
	vectors *Vectors // nil: this process has none
	ready   *ops.Health
	logger  *slog.Logger
	mu      sync.Mutex
	taken   time.Time
	last    []prometheus.Metric
}

// NewFleetMetrics makes the collector. It uses the store and the vectors of the options.
func NewFleetMetrics(opts Options, ready *ops.Health, logger *slog.Logger) *FleetMetrics {
	return &FleetMetrics{store: opts.Store, vectors: opts.Vectors, ready: ready, logger: logger}
}

var (
	figuresUp       = desc("fleet_figures_up", "Whether the figures of the fleet could be taken; if 0, the others are missing.")
	partReady       = desc("ready", "Whether a part that requests need is there, as /readyz reports.", "part")
	riverJobs       = desc("river_jobs", "Jobs by queue and state.", "queue", "state")
	workersHeard    = desc("worker_heartbeats", "Worker processes heard lately.")
	workerSilent    = desc("worker_silent_seconds", "How long a worker that did not sign off has not been heard.", "worker")
	relayPresent    = desc("sse_relay_present", "Whether the fleet has a relay, which notifies of new events.")
	queueAge        = desc("queue_oldest_waiting_seconds", "How long the oldest job of a queue that could be worked has been waiting.", "queue")
	queueWorkers    = desc("queue_live_workers", "Worker processes heard lately that work a queue.", "queue")
	slotsWanted     = desc("queue_slots_wanted", "Slots of a queue that would have something to do at once.", "queue")
	queueSlots      = desc("queue_slots", "Slots of a queue that live workers have.", "queue")
	clockSkew       = desc("worker_clock_skew_seconds", "By how much the clock of the live worker that is furthest off differs from the database's.")
	withoutJob      = desc("work_without_job", "Pieces of active work that no job carries on, counted up to 1000.", "work")
	writeProbe      = desc("database_write_probe", "Whether the database took the last probe's row.")
	tableSize       = desc("pg_table_size_bytes", "Bytes of a table with its indexes and partitions.", "table")
	vectorsMissing  = desc("qdrant_vectors_missing", "Chunks without a vector in a collection of the vector index, over the workspaces that use it.", "collection")
	ingestPending   = desc("ingest_queue_pending", "Ingestion jobs queued, running or to be tried again.")
	keysTotal       = desc("idempotency_keys", "Idempotency keys kept; the planner's figure.")
	keysExpired     = desc("idempotency_expired_pending", "Expired keys that await the retention job, counted up to 1001.")
	keysPending     = desc("idempotency_pending_requests", "Requests that hold their idempotency key.")
	keysOldest      = desc("idempotency_oldest_pending_age_seconds", "How long the oldest of them has been.")
	schedulesBad    = desc("schedules_failing", "Schedules whose last runs have failed each time, counted up to 1000.")
	slotsMissed     = desc("schedule_slots_missed", "Slots of the last hour that were missed and are not made up for.")
	slotLateBy      = desc("schedule_late_seconds", "How long the slot that is due the longest has been due.")
	webhooksDead    = desc("webhooks_dead", "Webhooks that are dead because their receivers failed for days, counted up to 1000.")
	webhookFailing  = desc("webhook_failing_seconds", "How long the active webhook that has been failing the longest has been.")
	webhookBehind   = desc("webhook_behind_seconds", "How long an event has waited for an active webhook that does not fail.")
	retentionRuns   = desc("retention_job_runs_total", "Runs of a retention job by status, dry runs left out.", "job_name", "status")
	retentionRows   = desc("retention_rows_deleted_total", "Rows deleted by retention.", "table")
	retentionLastOK = desc("retention_job_last_run_timestamp",
		"When a retention job last ended well, in Unix seconds; before its first run, when it came to be.", "job_name")
)

// Describe implements prometheus.Collector.
func (m *FleetMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		figuresUp, partReady, riverJobs, workersHeard, workerSilent, relayPresent, queueAge, queueWorkers, slotsWanted, queueSlots, clockSkew, withoutJob, writeProbe, tableSize, vectorsMissing, ingestPending, keysTotal, keysExpired, keysPending,
		keysOldest, schedulesBad, slotsMissed, slotLateBy, webhooksDead, webhookFailing, webhookBehind, retentionRuns, retentionRows, retentionLastOK, credentialEnds,
		auditUnsealed, auditBehind,
	} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (m *FleetMetrics) Collect(to chan<- prometheus.Metric) {
	for _, metric := range m.figures() {
		to <- metric
	}
}

func (m *FleetMetrics) figures() []prometheus.Metric {
	m.mu.Lock() // scrapes at once share one look
	defer m.mu.Unlock()
	if time.Since(m.taken) < figuresFresh {
		return m.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), figuresWithin)
	defer cancel()
	parts := make(chan ops.Overview, 1)
	routine.Go(func() error { parts <- m.ready.Look(ctx); return nil }, func(err error) {
		if err != nil {
			m.logger.Error("the readiness checks failed", "error", err)
		}
		close(parts)
	})
	figures, err := m.store.Upkeep.FleetFigures(ctx)
	slots, slotsErr := m.store.Schedules.Troubled(ctx, 0)
	hooks, hooksErr := m.store.Webhooks.Troubled(ctx, 0)
	soon, soonErr := m.store.Tenants.Expiring(ctx, credentialSoon, 1)
	sealing, sealingErr := m.store.DB.AuditSealing(ctx)
	err = errors.Join(err, slotsErr, hooksErr, soonErr, sealingErr)
	m.last = nil
	for _, part := range (<-parts).Components {
		m.last = append(m.last, gauge(partReady, truth(part.Status != ops.StatusError), part.Name))
	}
	m.last = append(m.last, gauge(figuresUp, truth(err == nil)))
	_, probe := m.store.Upkeep.ProbeWrite(ctx)
	m.last = append(m.last, gauge(writeProbe, truth(probe == nil)))
	if feed, err := m.store.EventLog.State(ctx); err == nil {
		m.last = append(m.last, gauge(relayPresent, truth(feed.Relayed)))
	}
	for collection, n := range m.missing(ctx) {
		m.last = append(m.last, gauge(vectorsMissing, float64(n), collection))
	}
	if err != nil {
		m.logger.Warn("the fleet's figures could not be taken", "error", err)
	} else {
		m.last = append(m.last, figureMetrics(figures)...)
		m.last = append(m.last, credentialMetrics(soon)...)
		m.last = append(m.last, auditMetrics(sealing)...)
		m.last = append(m.last,
			gauge(schedulesBad, float64(slots.Failing)), gauge(slotsMissed, float64(slots.Missed)), gauge(slotLateBy, slots.Late.Seconds()),
			gauge(webhooksDead, float64(hooks.Dead.Count)), gauge(webhookFailing, hooks.Failing.For.Seconds()), gauge(webhookBehind, hooks.Behind.For.Seconds()))
	}
	m.taken = time.Now()
	return m.last
}

func figureMetrics(f upkeep.FleetFigures) []prometheus.Metric {
	metrics := []prometheus.Metric{
		gauge(workersHeard, float64(f.Workers)),
		gauge(ingestPending, float64(f.IngestPending)),
		gauge(keysTotal, float64(f.Keys.Total)),
		gauge(keysExpired, float64(f.Keys.Expired)),
		gauge(keysPending, float64(f.Keys.Pending)),
		gauge(keysOldest, f.Keys.OldestAge.Seconds()),
	}
	for _, j := range f.Jobs {
		metrics = append(metrics, gauge(riverJobs, float64(j.Jobs), j.Queue, j.State))
	}
	for _, q := range f.Fleet.Queues {
		metrics = append(metrics, gauge(queueAge, q.Oldest.Seconds(), q.Queue), gauge(queueWorkers, float64(q.Workers), q.Queue))
	}
	for _, q := range f.Demand {
		metrics = append(metrics, gauge(slotsWanted, float64(q.Wanted()), q.Queue), gauge(queueSlots, float64(q.Slots), q.Queue))
	}
	for _, w := range f.Fleet.Silent {
		metrics = append(metrics, gauge(workerSilent, w.For.Seconds(), w.Worker))
	}
	skew := 0.0
	if len(f.Fleet.Clocks) > 0 { // the worst first
		skew = f.Fleet.Clocks[0].Ahead.Abs().Seconds()
	}
	metrics = append(metrics, gauge(clockSkew, skew))
	lost := map[string]int{"tune": 0, "wfo": 0, "run_plan": 0, "ingestion": 0, "reembed": 0, "strategy": 0, "schedule": 0, "deletion": 0}
	for _, work := range f.Lost {
		lost[work.What]++
	}
	for what, n := range lost {
		metrics = append(metrics, gauge(withoutJob, float64(n), what))
	}
	for _, t := range f.Tables {
		metrics = append(metrics, gauge(tableSize, float64(t.Bytes), t.Table))
	}
	deleted := map[string]int64{} // a table may have two jobs
	for _, r := range f.Retention {
		deleted[r.Table] += r.Deleted
		metrics = append(metrics,
			counter(retentionRuns, float64(r.OK), r.Job, "completed"),
			counter(retentionRuns, float64(r.Failed), r.Job, "failed"),
			gauge(retentionLastOK, float64(r.LastOK.UnixMilli())/1000, r.Job))
	}
	for table, rows := range deleted {
		metrics = append(metrics, counter(retentionRows, float64(rows), table))
	}
	return metrics
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

func gauge(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func counter(d *prometheus.Desc, value float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
}

func truth(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
