package lifecycle

import (
	"slices"

	"github.com/google/uuid"

	"millrace/store"
	"millrace/store/schedules"
	"millrace/store/tuning"
	"millrace/store/walkforward"
)

// Kind is what something is.
type Kind string

// The kinds. A schedule is deleted here only with the datasets that it names; the last two are archived here and
// deleted by the packages that they belong to.
const (
	Tune        Kind = "tune"
	WalkForward Kind = "wfo"
	RunPlan     Kind = "run_plan"
	Run         Kind = "run"
	Dataset     Kind = "dataset"
	Schedule    Kind = "schedule"
	Document    Kind = "document"
	Strategy    Kind = "strategy"
)

// Kinds are those that a deletion may name.
func Kinds() []Kind { return []Kind{Tune, WalkForward, RunPlan, Run, Dataset} }

// AllKinds are all kinds.
func AllKinds() []Kind {
	return []Kind{Tune, WalkForward, RunPlan, Run, Dataset, Schedule, Document, Strategy}
}

// Deletable are those that a deletion, or a look at what it would take, is of.
func Deletable() []Kind {
	return slices.DeleteFunc(AllKinds(), func(k Kind) bool { return k == Schedule })
}

// table is where rows of a kind are.
func (k Kind) table() string {
	return map[Kind]string{
		Tune: "tunes", WalkForward: "wfo_runs", RunPlan: "run_plans", Run: "backtest_runs", Dataset: "datasets",
		Schedule: "schedules", Document: "documents", Strategy: "strategies",
	}[k]
}

// event is the beginning of the types of a kind's events, and their topic.
func (k Kind) event() (topic, prefix string) {
	switch k {
	case WalkForward:
		return "wfo", "wfo.run."
	case Schedule:
		return "schedules", "schedule."
	}
	return "backtests", "backtest." + string(k) + "."
}

// ended reports whether nothing more happens to what has the status; what has none never runs.
func ended(status string) bool {
	return !slices.Contains([]string{"queued", "pending", "running"}, status)
}

// Ref is one thing, as messages name it.
type Ref struct {
	Kind   Kind
	ID     uuid.UUID
	Name   string // of a dataset or run plan; else the strategy's
	Status string // "" of what has none
}

// Store deletes and archives. It is safe for concurrent use.
type Store struct {
	db          *store.DB
	tuning      *tuning.Store
	walkforward *walkforward.Store
	schedules   *schedules.Store
}

// New makes the store on the database.
func New(db *store.DB, tunes *tuning.Store, wfo *walkforward.Store, planned *schedules.Store) *Store {
	return &Store{db: db, tuning: tunes, walkforward: wfo, schedules: planned}
}
