package jobs

import "github.com/riverqueue/river"

// UpkeepArgs keep the tables of the fleet in shape: event log partitions, silent workers.
type UpkeepArgs struct{}

// Kind implements river.JobArgs.
func (UpkeepArgs) Kind() string { return "maintenance.upkeep" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (UpkeepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueMaintenance, MaxAttempts: 3}
}
