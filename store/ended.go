package store

import "time"

// Recorder records what has ended, once that is committed. Durations count from the
// start, and are 0 for what never started.
type Recorder interface {
	FoldEnded(status string)
	IngestionEnded(sourceType, status string)
	RunPlanEnded(status string)
	// ScheduleSlot is a slot of a schedule that ended, or was skipped.
	ScheduleSlot(kind, state string)
	TuneEnded(status string)
	WalkForwardEnded(status string, took time.Duration)
}

// SetRecorder sets the recorder. Set it before the database is used.
func (s *DB) SetRecorder(r Recorder) { s.recorder = r }

// Recorder is the one that is set; call it after the commit, see Tx.AfterCommit.
func (s *DB) Recorder() Recorder { return s.recorder }

type nobody struct{}

func (nobody) FoldEnded(string)                       {}
func (nobody) IngestionEnded(string, string)          {}
func (nobody) RunPlanEnded(string)                    {}
func (nobody) ScheduleSlot(string, string)            {}
func (nobody) TuneEnded(string)                       {}
func (nobody) WalkForwardEnded(string, time.Duration) {}
