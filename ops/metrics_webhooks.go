package ops

import "time"

// Webhooks counts one attempt to deliver to a receiver, and how long its answer took.
func (m *Metrics) Webhooks(accepted bool, took time.Duration) {
	status := "failed"
	if accepted {
		status = "delivered"
	}
	m.WebhookDeliveries.WithLabelValues(status).Inc()
	m.WebhookDuration.Observe(took.Seconds())
}
