// Package telemetry exports traces and metrics to an OpenTelemetry collector, by OTLP over HTTP. Where
// nothing is configured nothing is made: no goroutine, no connection.
//
// A collector can be slow, away or hang: spans wait in a queue of bounded length and are dropped beyond it,
// an export has a deadline, and so has the last one when the process stops.
package telemetry
