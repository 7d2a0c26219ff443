package ops

import (
	"strings"
	"time"
)

// Ended counts what has come to its end: a "wfo", a "fold" of one, or a "run_plan".
func (m *Metrics) Ended(what, status string, took time.Duration) {
	if source, ok := strings.CutPrefix(what, "ingest "); ok {
		m.IngestJobs.WithLabelValues(source, status).Inc()
		if status == "failed" {
			m.IngestFailures.WithLabelValues(source).Inc()
		}
	}
	switch what {
	case "wfo":
		m.WFORuns.WithLabelValues(status).Inc()
		if took > 0 {
			m.WFORunDuration.Observe(took.Seconds())
		}
	case "fold":
		m.WFOFolds.WithLabelValues(status).Inc()
	case "run_plan":
		if status != "completed" && status != "canceled" {
			m.RunPlanFailures.Inc()
		}
	}
}
