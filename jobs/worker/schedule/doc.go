// Package schedule works the jobs of schedules: it fires the slots that are due, submits their work as the API does,
// and compares what it has found with the result before.
package schedule
