// Package ops holds what lets people run Millrace: the metrics, the log format and the error
// reports. Metric names, alert rules, runbooks and health checks share one vocabulary.
package ops
