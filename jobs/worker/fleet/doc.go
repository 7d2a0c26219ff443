// Package fleet is a worker process: River's working client, the heartbeat that says which jobs
// this process holds, and the rescue of jobs whose process is gone.
package fleet
