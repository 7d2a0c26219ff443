// Package schedules keeps work that is submitted again and again: by a cron line in a time zone, or at every new
// version of a dataset; its slots, and what changed from one result to the next.
//
// A slot is there once: a unique index refuses the second. Three jobs carry it, each of which is inserted in the
// transaction of the step before it, and every step is fenced and under the schedule's lock:
//
//	schedule.fire ─► (slot due) schedule.submit ─► (slot running) tune, walk-forward or ingestion
//	      │                                              └─► its end: schedule.compare ─► (slot completed)
//	      └─► schedule.fire of the next slot
//
// Which slots are due is computed by package calendar from the database's time.
package schedules

import (
	"millrace/store"
)

const (
	// MostSchedules is how many schedules a workspace may have.
	MostSchedules = 1000
	// MostOpen is how many runs of a schedule may wait or be running before another is asked for.
	MostOpen = 100
	// Failing is how many runs in a row fail until that is reported.
	Failing = 3
	// mostKept is how many slots of a schedule are kept.
	mostKept = 1000
)

// Store keeps schedules. It is safe for concurrent use.
type Store struct {
	db  *store.DB
	now string // SQL of the time
}

// New returns the store of a database.
func New(db *store.DB) *Store { return &Store{db: db, now: "clock_timestamp()"} }
