package walkforward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"millrace/jobs/sweep"
	"millrace/store"
)

// Status is where a walk-forward is in its life; the last four are final.
type Status string

// The statuses of a walk-forward.
const (
	Pending   Status = "pending"
	Running   Status = "running"
	Completed Status = "completed"
	Partial   Status = "partial" // some folds failed, enough did not
	Failed    Status = "failed"
	Canceled  Status = "canceled"
)

// Statuses lists the statuses.
func Statuses() []Status {
	return []Status{Pending, Running, Completed, Partial, Failed, Canceled}
}

// Ended reports whether the status is final.
func (s Status) Ended() bool { return s != Pending && s != Running }

// running is nil for a walk-forward that is running, or else ErrEnded.
func (w *Run) running() error {
	if w.Status == Running {
		return nil
	}
	return fmt.Errorf("walk-forward %s is %s and no longer running: %w", w.ID, w.Status, store.ErrEnded)
}

// Run is one walk-forward: its configuration, how far it is, and what it found.
type Run struct {
	ID          uuid.UUID
	WorkspaceID uuid.UUID
	DatasetID   uuid.UUID
	Dataset     string      // name
	Several     []uuid.UUID // of a walk-forward over several datasets, in the order of Spec.Datasets; the first is DatasetID
	Spec        sweep.Spec
	Config      sweep.WFOConfig
	Status      Status
	Admitted    bool // false: waits for the workspace's cap
	Folds       int
	Trials      int // of each fold
	Warnings    []string
	Error       string
	Outcome     json.RawMessage // sweep.WFOOutcome; nil until it has ended well
	Evidence    json.RawMessage // sweep.Evidence of the stitched returns; nil until then, and of an older version's
	CreatedAt   time.Time
	StartedAt   *time.Time
	CompletedAt *time.Time
	ArchivedAt  *time.Time // nil: it is in the lists
	Retries     int        // how often it was taken up again after it had failed or was cancelled
	Final       bool       // it failed of what another attempt would meet again
	FoldsDone   int        // ended, whatever their status
	FoldsFailed int        // of them
	TrialsDone  int        // of folds that have not failed
	TrialsKept  int        // of them, from before the last retry
	ScoresDone  int        // folds on whose test window all candidates were scored
	AsOf        time.Time  // when it was read, by the database's clock
}

// DatasetIDs are the ids of the datasets that it runs over, in order.
func (w *Run) DatasetIDs() []uuid.UUID {
	if len(w.Several) > 0 {
		return w.Several
	}
	return []uuid.UUID{w.DatasetID}
}

// Datasets are the names of the datasets that it runs over, in order.
func (w *Run) Datasets() []string {
	if len(w.Spec.Datasets) > 0 {
		return w.Spec.Datasets
	}
	return []string{w.Dataset}
}

// TrialsTotal is how many trials the folds that have not failed have.
func (w *Run) TrialsTotal() int { return w.Trials * (w.Folds - w.FoldsFailed) }

// ETA estimates the seconds a running walk-forward still needs from its mean pace since it started, or was taken up again;
// nil while there is nothing to go by.
func (w *Run) ETA(now time.Time) *float64 {
	ran := w.TrialsDone - w.TrialsKept
	if w.Status != Running || w.StartedAt == nil || ran <= 0 {
		return nil
	}
	eta := now.Sub(*w.StartedAt).Seconds() / float64(ran) * float64(w.TrialsTotal()-w.TrialsDone)
	return &eta
}

// FoldStatus is where a fold is: that of its tune, with pending for one that is queued.
type FoldStatus string

// The statuses of a fold.
const (
	FoldPending   FoldStatus = "pending"
	FoldRunning   FoldStatus = "running"
	FoldCompleted FoldStatus = "completed"
	FoldFailed    FoldStatus = "failed"
	FoldCanceled  FoldStatus = "canceled"
)

// Fold is one fold of a walk-forward.
type Fold struct {
	sweep.Fold
	TuneID *uuid.UUID // nil when it cannot be run
	Status FoldStatus
	Error  string
	Top    []float64 // parameters of its candidates, one after the other; nil until completed
}

const wfoColumns = `
	r.id, r.workspace_id, r.dataset_id, d.name as dataset,
	(select array_agg(x.dataset_id order by x.position) from wfo_datasets x where x.wfo_id = r.id) as several, r.spec, r.config, r.status, r.admitted, r.n_folds as folds, r.n_trials as trials,
	r.warnings, coalesce(r.error, '') as error, r.outcome, r.evidence, r.created_at, r.started_at, r.completed_at, r.archived_at, r.retries, r.final,
	p.folds_done, p.folds_failed, p.trials_done, p.trials_kept, p.scores_done, clock_timestamp() as as_of`

const wfoTables = `
	from wfo_runs r
	join datasets d on d.id = r.dataset_id
	join wfo_progress p on p.wfo_id = r.id`

// Get reads one walk-forward of the workspace, or ErrNotFound.
func (s *Store) Get(ctx context.Context, workspace, id uuid.UUID) (*Run, error) {
	var wfo *Run
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		wfo, err = readWFO(ctx, tx, workspace, id)
		return err
	})
	return wfo, err
}

func readWFO(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (*Run, error) {
	var wfo *Run
	batch := &pgx.Batch{}
	queueWFO(batch, workspace, id, &wfo)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read walk-forward %s: %w", id, err)
	}
	if wfo == nil {
		return nil, fmt.Errorf("walk-forward %s: %w", id, store.ErrNotFound)
	}
	return wfo, nil
}

// queueWFO has a batch read a walk-forward; into stays nil when it is not there.
func queueWFO(batch *pgx.Batch, workspace, id uuid.UUID, into **Run) {
	batch.Queue(`select `+wfoColumns+wfoTables+` where r.workspace_id = $1 and r.id = $2`, workspace, id).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[Run])
		if len(found) > 0 {
			*into = found[0]
		}
		return err
	})
	// Done within shards of running folds that have not ended.
	batch.Queue(`
		select coalesce(sum(s.trials_done), 0)
		  from wfo_runs r join tunes t on t.wfo_id = r.id join tune_shards s on s.tune_id = t.id
		 where r.id = $1 and r.status = 'running' and t.status = 'running' and s.job_id is not null and not s.done`, id).QueryRow(func(row pgx.Row) error {
		var open int
		err := row.Scan(&open)
		if *into != nil {
			(*into).TrialsDone += open
		}
		return err
	})
}

// Filter narrows a list of walk-forwards; zero fields do not.
type Filter struct {
	Status   Status
	Strategy string
	Archived *bool // nil: both
}

// List lists the workspace's walk-forwards, newest first, from after the page's place.
func (s *Store) List(ctx context.Context, workspace uuid.UUID, filter Filter, page store.Page, limit int) ([]*Run, error) {
	var list []*Run
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		list, err = store.ReadAll(ctx, tx, "walk-forwards", pgx.RowToAddrOfStructByName[Run], `select `+wfoColumns+wfoTables+`
			where r.workspace_id = @workspace
			  and (@status = '' or r.status = @status)
			  and (@strategy = '' or r.strategy = @strategy)
			  and (@archived::boolean is null or (r.archived_at is not null) = @archived)
			  and (@before_id = '00000000-0000-0000-0000-000000000000'::uuid
			       or (r.created_at, r.id) < (@before, @before_id))
			order by r.created_at desc, r.id desc
			limit @limit`,
			pgx.NamedArgs{
				"workspace": workspace, "status": string(filter.Status), "strategy": filter.Strategy, "archived": filter.Archived,
				"before": page.Before, "before_id": page.BeforeID, "limit": limit,
			})
		return err
	})
	return list, err
}

// Folds reads the folds of a walk-forward, in order.
func (s *Store) Folds(ctx context.Context, workspace, id uuid.UUID) ([]Fold, error) {
	var folds []Fold
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		folds, err = readFolds(ctx, tx, id)
		return err
	})
	return folds, err
}

func readFolds(ctx context.Context, tx pgx.Tx, id uuid.UUID) ([]Fold, error) {
	return store.ReadAll(ctx, tx, "folds of walk-forward "+id.String(), scanFold, foldsQuery, id)
}

const (
	foldColumns = `
	       fold as index, train_start, train_end, test_end, train_bars, test_bars, tune_id, status, coalesce(error, '') as error, top, set_bars as sets`
	foldsQuery = `select ` + foldColumns + ` from wfo_folds where wfo_id = $1 order by fold`
)

// scanFold is lax because a stored fold has no Problem: its error says why it was not run.
func scanFold(row pgx.CollectableRow) (Fold, error) {
	f, err := pgx.RowToStructByNameLax[Fold](row)
	f.TrainStart, f.TrainEnd, f.TestEnd = f.TrainStart.UTC(), f.TrainEnd.UTC(), f.TestEnd.UTC()
	return f, err
}

// Candidates reads the candidates of a walk-forward from after a rank, best first, as
// sweep.Candidate encodes them.
func (s *Store) Candidates(ctx context.Context, workspace, id uuid.UUID, after, limit int) ([]json.RawMessage, error) {
	entries := []json.RawMessage{}
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		rows, err := tx.Query(ctx, `
			select entry from wfo_candidates where wfo_id = $1 and rank > $2 order by rank limit $3`, id, after, limit)
		if err != nil {
			return fmt.Errorf("read candidates of walk-forward %s: %w", id, err)
		}
		if entries, err = pgx.AppendRows(entries, rows, pgx.RowTo[json.RawMessage]); err != nil {
			return fmt.Errorf("read candidates of walk-forward %s: %w", id, err)
		}
		return nil
	})
	return entries, err
}

// Curve reads the stitched out-of-sample curve; it is empty until the walk-forward has ended well.
func (s *Store) Curve(ctx context.Context, workspace, id uuid.UUID) (sweep.Curve, error) {
	var curve sweep.Curve
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) error {
		err := tx.QueryRow(ctx, `select curve_bars, curve_equity, curve_parts, together_at, together_equity from wfo_runs where workspace_id = $1 and id = $2`, workspace, id).
			Scan(&curve.Bars, &curve.Equity, &curve.Parts, &curve.At, &curve.Together)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("walk-forward %s: %w", id, store.ErrNotFound)
		}
		if err != nil {
			return fmt.Errorf("read curve of walk-forward %s: %w", id, err)
		}
		return nil
	})
	return curve, err
}
