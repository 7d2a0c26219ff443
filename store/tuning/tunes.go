package tuning

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/store"
)

// Status is where a tune is in its life; the last three are final.
type Status string

// The statuses of a tune.
const (
	Queued    Status = "queued"
	Running   Status = "running"
	Completed Status = "completed"
	Failed    Status = "failed"
	Canceled  Status = "canceled"
)

// Ended reports whether the status is final.
func (s Status) Ended() bool {
	return s == Completed || s == Failed || s == Canceled
}

// still is nil when the tune has the status that a step begins at, or else ErrEnded: the tune, or at
// least that step of it, has ended.
func (t *Tune) still(status Status) error {
	if t.Status == status {
		return nil
	}
	return fmt.Errorf("tune %s is %s and no longer %s: %w", t.ID, t.Status, status, store.ErrEnded)
}

// Tune is one parameter sweep: its configuration, how far it is, and what it found.
type Tune struct {
	ID          uuid.UUID
	WorkspaceID uuid.UUID
	DatasetID   uuid.UUID
	Dataset     string // name
	Spec        sweep.Spec
	Status      Status
	Admitted    bool // false: waits for the workspace's cap
	Trials      int
	Warnings    []string
	Error       string
	Outcome     json.RawMessage // sweep.Outcome without leaderboard, ranking and regime; nil until completed
	Regime      *sweep.Regime   // nil until completed
	CreatedAt   time.Time
	StartedAt   *time.Time
	CompletedAt *time.Time
	// TrialsDroppedAt is when retention dropped the trials; nil: they are there.
	TrialsDroppedAt *time.Time
	ArchivedAt      *time.Time     // nil: it is in the lists
	Progress        Progress       `db:"-"`
	Fold            *FoldOf        `db:"-"` // nil: it is not a fold of a walk-forward
	Leaders         int            // rows of the leaderboard that are kept
	Planned         bool           // it has shards, also when it waits to run again
	Retries         int            // how often it was taken up again after it had failed or was cancelled
	Final           bool           // it failed of what another attempt would meet again
	Stamp           backtest.Stamp `db:"-"` // of the rules it is worked by; unknown until it is planned
	// RestartedFrom is the engine whose shards were given up; nil: none were. "": not known.
	RestartedFrom *string
	// LeftBy is the later engine whose workers left the tune to those of its own; nil: none did.
	LeftBy     *string
	BestParams json.RawMessage // of the leaderboard's first; nil until completed, and when no trial passed
}

// Datasets are the names of the datasets that the tune runs over.
func (t *Tune) Datasets() []string {
	if len(t.Spec.Datasets) > 0 {
		return t.Spec.Datasets
	}
	return []string{t.Dataset}
}

// Progress counts the trials of a tune that have ended.
type Progress struct {
	Completed int
	Skipped   int
	Failed    int
	Running   int      `db:"-"` // done within shards that have not ended
	InFlight  int      `db:"-"` // trials of shards now running, done or not
	Work      float64  // of all rounds, in units of a trial on all of its bars
	WorkDone  float64  // of shards that have ended
	WorkOpen  float64  `db:"-"` // of shards that have not
	WorkKept  float64  // of WorkDone, from before the last retry
	BestScore *float64 // nil until a trial passes its gates
	BestTrial *int
}

// Done is the number of trials computed so far.
func (p Progress) Done() int { return p.Completed + p.Skipped + p.Failed + p.Running }

// NewTune is what a submission asks for, checked and with its defaults filled in.
type NewTune struct {
	DatasetID uuid.UUID // the first of several
	Dataset   string
	Several   []uuid.UUID // of a tune over several, in the order of Spec.Datasets
	Spec      sweep.Spec
	Trials    int
	Names     []store.DatasetName // of its datasets, in their order, where they were found in memory
}

// Create stores a tune and its plan job in the transaction of the submission; render makes the
// response that is kept with the idempotency key. Over the workspace's cap the plan job is held
// back until another tune ends.
func (s *Store) Create(ctx context.Context, sub store.Submission, in NewTune, render func(*Tune) (store.Response, error)) (store.Response, error) {
	return s.db.SubmitWork(ctx, sub, in.named(), func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		tune, err := s.create(ctx, tx, tx.WakingLast(), sub.Workspace, tx.Place(), in)
		if err != nil {
			return store.Response{}, err
		}
		return render(tune)
	})
}

// named is what must not be deleted before the tune is inserted.
func (in *NewTune) named() store.Named {
	named := store.NamedBy(&in.Spec, slices.Concat(in.Several, []uuid.UUID{in.DatasetID})...)
	named.Names = in.Names
	return named
}

// CreateIn is Create within the transaction of another submission.
func (s *Store) CreateIn(ctx context.Context, tx *store.Tx, workspace uuid.UUID, in NewTune) (*Tune, error) {
	if err := in.named().Hold(ctx, tx, workspace); err != nil {
		return nil, err
	}
	place, err := store.Room(ctx, tx, workspace)
	if err != nil {
		return nil, err
	}
	last := tx.Part()
	tune, err := s.create(ctx, last, tx, workspace, place, in)
	if err != nil {
		return nil, err
	}
	return tune, last.RunLast(ctx)
}

// create inserts the job in tx, and leaves the rows for the end of the transaction last.
func (s *Store) create(ctx context.Context, last *store.Tx, tx pgx.Tx, workspace uuid.UUID, place store.Place, in NewTune) (*Tune, error) {
	if err := last.TakeTrials(workspace, place, in.Trials); err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("tune id: %w", err)
	}
	spec, err := json.Marshal(in.Spec)
	if err != nil {
		return nil, fmt.Errorf("encode spec: %w", err)
	}
	tune := &Tune{
		ID: id, WorkspaceID: workspace, DatasetID: in.DatasetID, Dataset: in.Dataset, Spec: in.Spec,
		Status: Queued, Admitted: place.Room > 0, Trials: in.Trials, CreatedAt: place.At,
	}
	row := []any{
		id, workspace, in.DatasetID, in.Spec.StrategyName, in.Spec.ObjectiveType, in.Spec.SearchType,
		spec, tune.Admitted, in.Trials,
	}
	plan := jobs.TunePlanArgs{WorkspaceID: workspace, TuneID: id}
	opts := river.InsertOpts{Pending: !tune.Admitted, Priority: jobs.PriorityShare}
	if place.Active == 0 {
		opts.Priority = jobs.PriorityFirst
	}
	if known, ok := s.db.River().(store.PreparedJobs); ok {
		job, err := known.Prepare(ctx, plan, opts)
		if err != nil {
			return nil, fmt.Errorf("prepare plan job: %w", err)
		}
		last.Last("insert tune and plan job", insertTuneAndJob,
			append(row, job.EncodedArgs, job.Kind, job.MaxAttempts, job.Metadata, job.Priority, job.Queue, string(job.State))...)
		if tune.Admitted {
			known.Wake(job.Queue, last.Last, last.AfterCommit)
		}
	} else {
		job, err := s.db.River().InsertTx(ctx, tx, plan, &opts)
		if err != nil {
			return nil, fmt.Errorf("insert plan job: %w", err)
		}
		last.Last("insert tune", insertTune, append(row, job.Job.ID)...)
	}
	if len(in.Several) > 0 {
		last.Last("insert datasets of tune", `
			insert into tune_datasets (tune_id, workspace_id, position, dataset_id)
			select $1, $2, at - 1, id from unnest($3::uuid[]) with ordinality u (id, at)`, id, workspace, in.Several)
	}
	topic, typ, entity, payload := tune.event("queued", nil)
	return tune, store.AppendEventLast(last, workspace, topic, typ, entity, payload)
}

const (
	// newTune has the time of the transaction, which is that of its place.
	newTune = `
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, admitted, n_trials, plan_job_id)`
	insertTune = newTune + ` values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	// insertTuneAndJob inserts the plan job too, in the words of River's own insert.
	insertTuneAndJob = `
		with job as (
			insert into river_job (state, args, kind, max_attempts, metadata, priority, queue)
			values ($16::text::river_job_state, $10, $11, $12, $13, $14, $15) returning id)` + newTune + `
		select $1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::text, $7::json, $8::boolean, $9::int, job.id from job`
)

const tuneColumns = `
	t.id, t.workspace_id, t.dataset_id, d.name as dataset, t.spec, t.status, t.admitted, t.n_trials as trials, t.warnings,
	coalesce(t.error, '') as error, t.outcome, t.regime, t.created_at, t.started_at, t.completed_at, t.trials_dropped_at, t.archived_at,
	coalesce(p.trials_completed, 0) as completed, coalesce(p.trials_skipped, 0) as skipped, coalesce(p.trials_failed, 0) as failed,
	p.best_score, p.best_trial, coalesce(p.work, t.n_trials) as work, coalesce(p.work_done, 0) as work_done,
	coalesce(p.work_kept, 0) as work_kept,
	t.wfo_id, coalesce(t.wfo_fold, 0) as wfo_fold, t.leaders, t.retries, t.final, p.tune_id is not null as planned,
	coalesce(t.engine, '') as engine, coalesce(t.semantics, '') as semantics, t.restarted_from, t.left_by, l.entry->'params' as best_params`

const tuneTables = `
	from tunes t
	join datasets d on d.id = t.dataset_id
	left join tune_progress p on p.tune_id = t.id
	left join tune_leaderboard l on l.tune_id = t.id and l.rank = 1`

// tuneRow is a row of tuneColumns.
type tuneRow struct {
	Tune
	Progress
	WFOID     *uuid.UUID
	WFOFold   int
	Engine    string
	Semantics string
}

func scanTune(row pgx.CollectableRow) (*Tune, error) {
	r, err := pgx.RowToAddrOfStructByName[tuneRow](row)
	if err != nil {
		return nil, err
	}
	tune := &r.Tune
	tune.Progress, tune.Stamp = r.Progress, backtest.Stamp{Engine: r.Engine, Semantics: r.Semantics}
	if r.WFOID != nil {
		tune.Fold = &FoldOf{*r.WFOID, r.WFOFold}
	}
	return tune, nil
}

// Get reads one tune of the workspace, or ErrNotFound.
func (s *Store) Get(ctx context.Context, workspace, id uuid.UUID) (*Tune, error) {
	var tune *Tune
	err := s.db.PipelineInWorkspace(ctx, workspace, func(batch *pgx.Batch) { queueTune(batch, workspace, id, &tune) })
	if err != nil {
		return nil, fmt.Errorf("read tune %s: %w", id, err)
	}
	return tune, there(tune, id)
}

// there is ErrNotFound for a tune that was not found.
func there(tune *Tune, id uuid.UUID) error {
	if tune == nil {
		return fmt.Errorf("tune %s: %w", id, store.ErrNotFound)
	}
	return nil
}

// queueTune has a batch read a tune; into stays nil when it is not there.
func queueTune(batch *pgx.Batch, workspace, id uuid.UUID, into **Tune) {
	batch.Queue(`select `+tuneColumns+tuneTables+` where t.workspace_id = $1 and t.id = $2`, workspace, id).Query(func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, scanTune)
		if len(found) > 0 {
			*into = found[0]
		}
		return err
	})
	batch.Queue(openShards, id, sweep.PermutedRung).QueryRow(func(row pgx.Row) error {
		var p Progress
		err := row.Scan(&p.Running, &p.InFlight, &p.WorkOpen)
		if tune := *into; tune != nil && tune.Status == Running {
			tune.Progress.Running, tune.Progress.InFlight, tune.Progress.WorkOpen = p.Running, p.InFlight, p.WorkOpen
		}
		return err
	})
}

func readTune(ctx context.Context, tx pgx.Tx, workspace, id uuid.UUID) (*Tune, error) {
	var tune *Tune
	batch := &pgx.Batch{}
	queueTune(batch, workspace, id, &tune)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return nil, fmt.Errorf("read tune %s: %w", id, err)
	}
	return tune, there(tune, id)
}

// readOpenShards sets what of a tune's progress lies in shards that have a job but no result: their
// trials done, all their trials, and the work done. The window of such shards is small however long
// the tune is.
func readOpenShards(ctx context.Context, tx pgx.Tx, tune *Tune) error {
	p := &tune.Progress
	err := tx.QueryRow(ctx, openShards, tune.ID, sweep.PermutedRung).Scan(&p.Running, &p.InFlight, &p.WorkOpen)
	if err != nil {
		return fmt.Errorf("count open trials of tune %s: %w", tune.ID, err)
	}
	return nil
}

const openShards = `
	select coalesce(sum(trials_done) filter (where not open), 0),
	       coalesce(sum(n_trials) filter (where attempt is not null and rung < $2), 0),
	       coalesce(sum(trials_done * cost), 0)
	  from tune_shards
	 where tune_id = $1 and job_id is not null and not done`

// listed is which tunes a list has, in its order. One condition for both, which compares with a fold's walk-forward or with
// none, would keep Postgres from either's index.
func listed(filter Filter) string {
	folds := `t.wfo_id is null`
	if filter.WFO != uuid.Nil {
		folds = `t.wfo_id = @wfo`
	}
	return `
		where t.workspace_id = @workspace
		  and ` + filter.inStatus() + `
		  and (@strategy = '' or t.strategy = @strategy)
		  and (@archived::boolean is null or (t.archived_at is not null) = @archived)
		  and ` + folds + `
		  and (@before_id = '00000000-0000-0000-0000-000000000000'::uuid
		       or (t.created_at, t.id) < (@before, @before_id))
		order by t.created_at desc, t.id desc
		limit @limit`
}

// Filter narrows a list of tunes; zero fields do not.
type Filter struct {
	Status   Status
	Strategy string
	WFO      uuid.UUID // the folds of that walk-forward; uuid.Nil: tunes that are no folds
	Archived *bool     // nil: both
}

// inStatus is the condition of the status, in the words of the index that has the tunes of it alone: reading all to find
// few takes long. A tune that runs and is not a fold was admitted.
func (f *Filter) inStatus() string {
	switch {
	case f.Status == "":
		return `true`
	case f.WFO != uuid.Nil:
		return `t.status = @status`
	case f.Status == Queued:
		return `(not t.admitted and t.status = 'queued' or t.admitted and t.status in ('queued', 'running')) and t.status = 'queued'`
	case f.Status == Running:
		return `t.admitted and t.status = 'running'`
	}
	return `t.status in ('completed', 'failed', 'canceled') and t.status = @status`
}

// List lists the workspace's tunes, newest first, from after the page's place.
func (s *Store) List(ctx context.Context, workspace uuid.UUID, filter Filter, page store.Page, limit int) ([]*Tune, error) {
	var tunes []*Tune
	err := s.db.InWorkspace(ctx, workspace, func(tx *store.Tx) (err error) {
		tunes, err = store.ReadAll(ctx, tx, "tunes", scanTune, `select `+tuneColumns+tuneTables+listed(filter),
			pgx.NamedArgs{
				"workspace": workspace, "status": string(filter.Status), "strategy": filter.Strategy, "wfo": filter.WFO, "archived": filter.Archived,
				"before": page.Before, "before_id": page.BeforeID, "limit": limit,
			})
		return err
	})
	return tunes, err
}

// FoldOf says whose fold a tune is.
type FoldOf struct {
	WFO   uuid.UUID
	Index int
}

// Folds is what a tune that is a fold of a walk-forward reports to, in the transaction in which it
// happens and under the lock of the walk-forward. Each does nothing for a tune that is not a fold.
type Folds interface {
	FoldBegan(ctx context.Context, tx *store.Tx, tune *Tune) error
	// QueueFoldBegan is FoldBegan as a statement of a batch, with the event of the tune before it, which is running. It is a fold.
	QueueFoldBegan(batch *pgx.Batch, tune *Tune)
	// FoldAdvanced adds trials that have ended; 0 when a shard has merely come further.
	FoldAdvanced(ctx context.Context, tx *store.Tx, tune *Tune, trials int) error
	// QueueFoldAdvanced is FoldAdvanced as a statement of a batch, for any tune by its id.
	QueueFoldAdvanced(batch *pgx.Batch, tune uuid.UUID, trials int)
	// QueueFoldCompleted keeps the candidates of a fold that has completed, and is FoldEnded as statements of a batch, with
	// the event of the tune before them.
	QueueFoldCompleted(batch *pgx.Batch, tune *Tune, leaderboard []sweep.Entry)
	FoldEnded(ctx context.Context, tx *store.Tx, tune *Tune) error
}
