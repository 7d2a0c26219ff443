package types

import "time"

// FleetDemand is what every queue could use of workers, for what starts and stops them.
type FleetDemand struct {
	Queues []QueueDemand `json:"queues"`
	AsOf   *time.Time    `json:"as_of"` // when the jobs were last counted; null before the first time
}

// QueueDemand is one queue's.
type QueueDemand struct {
	Queue       string `json:"queue"`
	SlotsWanted int64  `json:"slots_wanted"` // how many slots would have something to do at once
	Slots       int    `json:"slots"`        // of the live workers
	Workers     int    `json:"workers"`      // live ones that work the queue
	Waiting     int64  `json:"waiting"`      // jobs that could be worked now, or soon again
	Running     int64  `json:"running"`
	Backlog     int64  `json:"backlog"` // of trials: shards of running tunes that are not done, with a job or yet without
}
