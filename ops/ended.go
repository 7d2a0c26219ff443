package ops

import "time"

// FoldEnded counts a fold of a walk-forward that has ended.
func (m *Metrics) FoldEnded(status string) { m.WFOFolds.WithLabelValues(status).Inc() }

// IngestionEnded counts an ingestion that has ended.
func (m *Metrics) IngestionEnded(sourceType, status string) {
	m.IngestJobs.WithLabelValues(sourceType, status).Inc()
	if status == "failed" {
		m.IngestFailures.WithLabelValues(sourceType).Inc()
	}
}

// RunPlanEnded counts a run plan that has ended other than well or by its user.
func (m *Metrics) RunPlanEnded(status string) {
	if status != "completed" && status != "canceled" {
		m.RunPlanFailures.Inc()
	}
}

// ScheduleSlot counts a slot of a schedule that has ended or was skipped.
func (m *Metrics) ScheduleSlot(kind, state string) {
	m.ScheduleSlots.WithLabelValues(kind, state).Inc()
}

// TuneEnded counts a tune that has ended, those of folds and variants included.
func (m *Metrics) TuneEnded(status string) { m.TuneRuns.WithLabelValues(status).Inc() }

// WalkForwardEnded counts a walk-forward that has ended, with how long after its start; 0 when it never
// started.
func (m *Metrics) WalkForwardEnded(status string, took time.Duration) {
	m.WFORuns.WithLabelValues(status).Inc()
	if took > 0 {
		m.WFORunDuration.Observe(took.Seconds())
	}
}
