package jobs

import (
	"github.com/google/uuid"
	"github.com/riverqueue/river"
)

// WFOCandidatesArgs gather the candidates of a walk-forward once its last fold has ended, and enqueue
// the scoring of them.
type WFOCandidatesArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	WFOID       uuid.UUID `json:"wfo_id"`
}

// Kind implements river.JobArgs.
func (WFOCandidatesArgs) Kind() string { return "wfo.candidates" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (WFOCandidatesArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueWFO, MaxAttempts: maxAttempts}
}

// WFOScoreArgs score all candidates on one fold's test window.
type WFOScoreArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	WFOID       uuid.UUID `json:"wfo_id"`
	Fold        int       `json:"fold"`
}

// Kind implements river.JobArgs.
func (WFOScoreArgs) Kind() string { return "wfo.score" }

// InsertOpts implements river.JobArgsWithInsertOpts. It is compute, so it takes a trial slot, behind
// the first shards of others.
func (WFOScoreArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueTrials, MaxAttempts: maxAttempts, Priority: PriorityShare}
}

// WFOCollectArgs judge the candidates of a walk-forward once its last fold has been scored.
type WFOCollectArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
	WFOID       uuid.UUID `json:"wfo_id"`
}

// Kind implements river.JobArgs.
func (WFOCollectArgs) Kind() string { return "wfo.collect" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (WFOCollectArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: QueueWFO, MaxAttempts: maxAttempts}
}
