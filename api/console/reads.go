package console

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/google/uuid"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
)

// Reads are what the pages show and no route of the API answers: the fleet's workers and jobs, and the
// stored trials that charts are drawn of. The API implements them; an error of it becomes its answer.
type Reads interface {
	// Who is who signed in; false when nobody has.
	Who(ctx context.Context) (Who, bool)
	// Workspaces lists those that who signed in may see: all, or the one of the key.
	Workspaces(ctx context.Context) ([]Workspace, error)
	// Workers lists the worker processes that are alive, the longest-lived first. Only an admin of the server
	// sees any: what they run is everybody's.
	Workers(ctx context.Context) ([]Worker, error)
	// Running counts the jobs of a workspace that workers run now.
	Running(ctx context.Context, workspace uuid.UUID) (int, error)
	// FailedJobs lists the jobs that were given up since a time, newest first.
	FailedJobs(ctx context.Context, workspace uuid.UUID, since time.Time, limit int) ([]Job, error)
	// Jobs lists the newest jobs that name id in their argument of, which is tune_id or wfo_id.
	Jobs(ctx context.Context, workspace uuid.UUID, of string, id uuid.UUID, limit int) ([]Job, error)
	// IngestionJobs maps ids of ingestions to the River job of each that has one.
	IngestionJobs(ctx context.Context, workspace uuid.UUID, ids []string) (map[string]int64, error)
	Topics() []string
	// RecentEvents lists the newest events of the topics, newest first, and returns the cursor after which
	// the stream continues.
	RecentEvents(ctx context.Context, workspace uuid.UUID, topics []string, limit int) (recent []Event, cursor string, err error)
	StoredTune(ctx context.Context, workspace, id uuid.UUID) (*StoredTune, error)
	// EachShard opens the finished shards of a tune in order, a few at a time.
	EachShard(ctx context.Context, t *StoredTune, add func(*sweep.Columns)) error
	// Bind finds the strategy that the tune's search names, as running it again needs.
	Bind(ctx context.Context, t *StoredTune) error
	// Series reads the bars that a tune runs on.
	Series(ctx context.Context, t *StoredTune) ([]sweep.Series, error)
	// Bars reads the bars of a version of a dataset.
	Bars(ctx context.Context, workspace, id uuid.UUID) (*backtest.Bars, error)
	// Trial reads a trial of the tune that has ended.
	Trial(ctx context.Context, t *StoredTune, index int) (*types.Trial, error)
	// Run reads a single backtest without what RunSeries reads.
	Run(ctx context.Context, workspace, id uuid.UUID) (*StoredRun, error)
	// RunSeries reads the bars that the run ran on, its trades and its equity.
	RunSeries(ctx context.Context, run *StoredRun) error
}

// Workspace is a tenant that pages can be shown for.
type Workspace struct {
	ID        uuid.UUID
	Name      string
	TuneCap   int // tunes it may have running at once
	CreatedAt time.Time
}

// Worker is a worker process that is alive.
type Worker struct {
	Host      string
	PID       int
	Queues    map[string]int // slots
	Running   int            // jobs it runs now
	StartedAt time.Time
}

// Job is a River job.
type Job struct {
	ID          int64
	Kind        string
	State       string
	Attempt     int
	LastError   string
	CreatedAt   time.Time // zero in FailedJobs
	FinalizedAt *time.Time
}

// Event is an event of the log.
type Event struct {
	At       time.Time
	Topic    string
	Type     string
	EntityID string
	Payload  json.RawMessage
}

// StoredTune is a tune as its search was stored, which its trials are read and run again by.
type StoredTune struct {
	ID, WorkspaceID, DatasetID uuid.UUID
	Dataset                    string
	Bars                       int // of the first dataset
	Spec                       sweep.Spec
	Status                     types.TuneStatus
	Reasons                    map[string]int // why trials are not on the leaderboard; nil until completed
}

// StoredRun is a single backtest as it was stored.
type StoredRun struct {
	ID, WorkspaceID, DatasetID uuid.UUID
	Dataset, Strategy          string
	Spec                       json.RawMessage // the request with its defaults filled in
	CreatedAt                  time.Time
	ArchivedAt                 *time.Time
	Cash                       float64
	Params                     map[string]float64
	Metrics                    backtest.Metrics
	Bound                      backtest.Strategy // nil: its script is deleted
	Config                     backtest.Config
	// The next are read by RunSeries.
	Bars     *backtest.Bars
	Calendar backtest.Calendar
	Window   backtest.Window
	Trades   []backtest.Trade
	Equity   []float64
}

// NothingThere is what is said where an address names nothing and more is not known of it.
const NothingThere = "This workspace has nothing under that id or name."

// notFound is the answer to an address that names nothing.
func notFound() error {
	return &Problem{
		Title: http.StatusText(http.StatusNotFound), Status: http.StatusNotFound, Detail: NothingThere,
	}
}
