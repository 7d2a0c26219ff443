package jobs

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// TunePlanArgs cut a tune into shards and enqueue the first of them.
type TunePlanArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	TuneID      uuid.UUID `json:"tune_id"`
	// Own has the job work the tune to its end where it plans one shard: it is of a fold, takes a trial slot, and is the
	// shard's job, with its kind and arguments, from when the fold has begun.
	Own bool `json:"own,omitempty"`
}

// Kind implements river.JobArgs.
func (TunePlanArgs) Kind() string { return "tune.plan" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (a TunePlanArgs) InsertOpts() river.InsertOpts {
	opts := river.InsertOpts{Queue: QueueTunes, MaxAttempts: maxAttempts, Priority: PriorityShare}
	if a.Own {
		opts.Queue = QueueTrials
	}
	return opts
}

// TuneShardArgs run one contiguous range of a tune's trials.
type TuneShardArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	TuneID      uuid.UUID `json:"tune_id"`
	Shard       int       `json:"shard"`
}

// Kind implements river.JobArgs.
func (TuneShardArgs) Kind() string { return "tune.shard" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (TuneShardArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueTrials, MaxAttempts: maxAttempts, Priority: PriorityShare}
}

// TuneAdvanceArgs plan the trials of a tune's next round once the last shard of the one before has ended.
type TuneAdvanceArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	TuneID      uuid.UUID `json:"tune_id"`
	Round       int       `json:"round"` // to be planned, from 1
}

// Kind implements river.JobArgs.
func (TuneAdvanceArgs) Kind() string { return "tune.advance" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (TuneAdvanceArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueTunes, MaxAttempts: maxAttempts}
}

// TuneCollectArgs rank a tune's trials once its last shard has ended.
type TuneCollectArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	TuneID      uuid.UUID `json:"tune_id"`
}

// Kind implements river.JobArgs.
func (TuneCollectArgs) Kind() string { return "tune.collect" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (TuneCollectArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueTunes, MaxAttempts: maxAttempts, Priority: PriorityShare}
}
