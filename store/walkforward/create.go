package walkforward

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"millrace/jobs"
	"millrace/jobs/sweep"
	"millrace/store"
	"millrace/store/admission"
)

// NewRun is what a submission asks for, checked and with its defaults filled in.
type NewRun struct {
	DatasetID uuid.UUID // the first of several
	Dataset   string
	Several   []uuid.UUID // of a walk-forward over several, in the order of Spec.Datasets
	Spec      sweep.Spec
	Config    sweep.WFOConfig
	Folds     []sweep.Fold // at least one of them without a problem
	Trials    int          // of each fold
	Warnings  []string
	Names     []store.DatasetName // of its datasets, in their order, where they were found in memory
}

// Create stores a walk-forward, its folds, their tunes and their jobs in the transaction of the
// submission. The jobs are held back: the first of them until the workspace's cap has room, each
// further one until a fold ends, and the candidates job until the last one has.
func (s *Store) Create(ctx context.Context, sub store.Submission, in NewRun,
	render func(*Run, []Fold) (store.Response, error),
) (store.Response, error) {
	return s.db.SubmitWork(ctx, sub, in.named(), func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		wfo, folds, err := s.create(ctx, tx, tx, sub.Workspace, tx.Place(), in)
		if err != nil {
			return store.Response{}, err
		}
		return render(wfo, folds)
	})
}

// named is what must not be deleted before the walk-forward is inserted.
func (in *NewRun) named() store.Named {
	named := store.NamedBy(&in.Spec, slices.Concat(in.Several, []uuid.UUID{in.DatasetID})...)
	named.Names = in.Names
	return named
}

// trials are those of the folds that can be run.
func (in *NewRun) trials() int {
	n := 0
	for _, fold := range in.Folds {
		if fold.Problem == "" {
			n += in.Trials
		}
	}
	return n
}

// CreateIn is Create within the transaction of another submission.
func (s *Store) CreateIn(ctx context.Context, tx *store.Tx, workspace uuid.UUID, in NewRun) (*Run, error) {
	if err := in.named().Hold(ctx, tx, workspace); err != nil {
		return nil, err
	}
	place, err := store.Room(ctx, tx, workspace)
	if err != nil {
		return nil, err
	}
	last := tx.Part()
	wfo, _, err := s.create(ctx, last, tx, workspace, place, in)
	if err != nil {
		return nil, err
	}
	return wfo, last.RunLast(ctx)
}

// create leaves the rows for the end of the transaction last. Jobs that cannot be prepared are inserted in tx.
func (s *Store) create(ctx context.Context, last *store.Tx, tx pgx.Tx, workspace uuid.UUID, place store.Place, in NewRun) (*Run, []Fold, error) {
	if err := last.TakeTrials(workspace, place, in.trials()); err != nil {
		return nil, nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, nil, fmt.Errorf("walk-forward id: %w", err)
	}
	wfo := &Run{
		ID: id, WorkspaceID: workspace, DatasetID: in.DatasetID, Dataset: in.Dataset, Several: in.Several, Spec: in.Spec, Config: in.Config,
		Status: Pending, Admitted: place.Room > 0, Folds: len(in.Folds), Trials: in.Trials, Warnings: in.Warnings, CreatedAt: place.At,
	}
	if err := s.insertWFO(ctx, last, tx, wfo); err != nil {
		return nil, nil, err
	}
	folds := make([]Fold, len(in.Folds))
	for i, fold := range in.Folds {
		folds[i] = Fold{Fold: fold, Status: FoldPending, Error: fold.Problem}
		if fold.Problem != "" {
			folds[i].Status = FoldFailed
			wfo.FoldsDone, wfo.FoldsFailed = wfo.FoldsDone+1, wfo.FoldsFailed+1
		}
	}
	last.Last("insert progress of walk-forward", `
		insert into wfo_progress (wfo_id, workspace_id, folds_done, folds_failed) values ($1, $2, $3, $4)`,
		id, workspace, wfo.FoldsDone, wfo.FoldsFailed)
	if err := s.insertFoldTunes(ctx, last, tx, wfo, folds); err != nil {
		return nil, nil, err
	}
	if err := insertFolds(last, wfo, folds); err != nil {
		return nil, nil, err
	}
	if err := store.AppendEventLast(last, workspace, "wfo", "wfo.run."+string(Pending), id.String(), wfo.event()); err != nil {
		return nil, nil, err
	}
	if err := appendUnrunnableFoldEvents(ctx, last, wfo, folds, s.db.Recorder()); err != nil {
		return nil, nil, err
	}
	if wfo.Admitted {
		admission.EnqueueFoldsLast(last, id, place.Active == 0)
	}
	return wfo, folds, nil
}

const (
	// newWFO has the time of the transaction, which is that of its place.
	newWFO = `
		insert into wfo_runs (id, workspace_id, dataset_id, strategy, objective, search_type, spec, config, admitted,
		                      n_folds, n_trials, min_folds, top_k, allow_partial, warnings, candidates_job_id)`
	insertWFO = newWFO + ` values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`
	// insertWFOAndJob inserts the candidates job too, in the words of River's own insert.
	insertWFOAndJob = `
		with job as (
			insert into river_job (state, args, kind, max_attempts, metadata, priority, queue)
			values ('pending', $16, $17, $18, $19, $20, $21) returning id)` + newWFO + `
		select $1::uuid, $2::uuid, $3::uuid, $4::text, $5::text, $6::text, $7::json, $8::json, $9::boolean,
		       $10::int, $11::int, $12::int, $13::int, $14::boolean, $15::jsonb, job.id from job`
)

func (s *Store) insertWFO(ctx context.Context, last *store.Tx, tx pgx.Tx, wfo *Run) error {
	spec, err := json.Marshal(wfo.Spec)
	if err != nil {
		return fmt.Errorf("encode spec: %w", err)
	}
	config, err := json.Marshal(wfo.Config)
	if err != nil {
		return fmt.Errorf("encode config: %w", err)
	}
	row := []any{
		wfo.ID, wfo.WorkspaceID, wfo.DatasetID, wfo.Spec.StrategyName, wfo.Spec.ObjectiveType, wfo.Spec.SearchType,
		spec, config, wfo.Admitted, wfo.Folds, wfo.Trials, *wfo.Config.MinFolds, *wfo.Config.LeaderboardTopK,
		*wfo.Config.AllowPartial, append([]string{}, wfo.Warnings...),
	}
	args, opts := jobs.WFOCandidatesArgs{WorkspaceID: wfo.WorkspaceID, WFOID: wfo.ID}, river.InsertOpts{Pending: true}
	if known, ok := s.db.River().(store.PreparedJobs); ok {
		job, err := known.Prepare(ctx, args, opts)
		if err != nil {
			return fmt.Errorf("prepare candidates job: %w", err)
		}
		last.Last("insert walk-forward and candidates job", insertWFOAndJob,
			append(row, job.EncodedArgs, job.Kind, job.MaxAttempts, job.Metadata, job.Priority, job.Queue)...)
	} else {
		job, err := s.db.River().InsertTx(ctx, tx, args, &opts)
		if err != nil {
			return fmt.Errorf("insert candidates job: %w", err)
		}
		last.Last("insert walk-forward", insertWFO, append(row, job.Job.ID)...)
	}
	if len(wfo.Several) > 0 {
		last.Last("insert datasets of walk-forward", `
			insert into wfo_datasets (wfo_id, workspace_id, position, dataset_id)
			select $1, $2, at - 1, id from unnest($3::uuid[]) with ordinality u (id, at)`, wfo.ID, wfo.WorkspaceID, wfo.Several)
	}
	return nil
}

const (
	newFoldTunes = `
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, admitted, n_trials,
		                   wfo_id, leaders, wfo_fold, spec, plan_job_id)
		select u.id, $1::uuid, $2::uuid, $3::text, $4::text, $5::text, false, $6::int, $7::uuid, $8::int, u.fold, u.spec::json, `
	foldTuneRows    = `unnest($9::uuid[], $10::int[], $11::text[]`
	insertFoldTunes = newFoldTunes + `u.job from ` + foldTuneRows + `, $12::bigint[]) as u (id, fold, spec, job)`
	// insertFoldTunesAndJobs inserts their plan jobs too, in their order and in the words of River's own insert.
	insertFoldTunesAndJobs = `
		with job as (
			insert into river_job (state, args, kind, max_attempts, metadata, priority, queue)
			select 'pending', args, $13, $14, $15, $16, $17 from unnest($12::jsonb[]) with ordinality a (args, at) order by at
			returning id, args)` + newFoldTunes + `
		       job.id from ` + foldTuneRows + `) as u (id, fold, spec) join job on job.args ->> 'tune_id' = u.id::text`
)

// insertFoldTunes makes the tune of each fold that can be run, with its plan job held back.
func (s *Store) insertFoldTunes(ctx context.Context, last *store.Tx, tx pgx.Tx, wfo *Run, folds []Fold) error {
	var ids []uuid.UUID
	var index []int32
	var specs []string
	var params []river.InsertManyParams
	opts := river.InsertOpts{Pending: true}
	for i := range folds {
		if folds[i].Status == FoldFailed {
			continue
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("tune id: %w", err)
		}
		spec, err := json.Marshal(wfo.Spec.OfFold(folds[i].Fold))
		if err != nil {
			return fmt.Errorf("encode spec of fold %d: %w", i, err)
		}
		folds[i].TuneID = &id
		ids, index, specs = append(ids, id), append(index, int32(i)), append(specs, string(spec))
		params = append(params, river.InsertManyParams{Args: jobs.TunePlanArgs{WorkspaceID: wfo.WorkspaceID, TuneID: id, Own: true}, InsertOpts: &opts})
	}
	rows := []any{
		wfo.WorkspaceID, wfo.DatasetID, wfo.Spec.StrategyName, wfo.Spec.ObjectiveType, wfo.Spec.SearchType, wfo.Trials, wfo.ID,
		*wfo.Config.LeaderboardTopK, ids, index, specs,
	}
	if known, ok := s.db.River().(store.PreparedJobs); ok {
		if err := prepareFoldTunes(ctx, last, known, rows, params); err != nil {
			return err
		}
	} else {
		inserted, err := s.db.River().InsertManyTx(ctx, tx, params)
		if err != nil {
			return fmt.Errorf("insert plan jobs of folds: %w", err)
		}
		planJobs := make([]int64, len(inserted))
		for i, job := range inserted {
			planJobs[i] = job.Job.ID
		}
		last.Last("insert tunes of folds", insertFoldTunes, append(rows, planJobs)...)
	}
	if len(wfo.Several) > 0 {
		last.Last("insert datasets of folds", `
			insert into tune_datasets (tune_id, workspace_id, position, dataset_id)
			select u.id, d.workspace_id, d.position, d.dataset_id from wfo_datasets d, unnest($2::uuid[]) as u (id) where d.wfo_id = $1`, wfo.ID, ids)
	}
	return nil
}

// prepareFoldTunes leaves the rows of folds' tunes and of their jobs, which differ in their arguments only.
func prepareFoldTunes(ctx context.Context, last *store.Tx, known store.PreparedJobs, rows []any, params []river.InsertManyParams) error {
	args := make([]string, len(params))
	var all *rivertype.JobInsertParams
	for i, of := range params {
		job, err := known.Prepare(ctx, of.Args, *of.InsertOpts)
		if err != nil {
			return fmt.Errorf("prepare plan job of a fold: %w", err)
		}
		args[i], all = string(job.EncodedArgs), job
	}
	if all == nil {
		return nil
	}
	last.Last("insert tunes and plan jobs of folds", insertFoldTunesAndJobs,
		append(rows, args, all.Kind, all.MaxAttempts, all.Metadata, all.Priority, all.Queue)...)
	return nil
}

func insertFolds(last *store.Tx, wfo *Run, folds []Fold) error {
	n := len(folds)
	index, trainBars, testBars := make([]int32, n), make([]int32, n), make([]int32, n)
	begin, end, testEnd := make([]time.Time, n), make([]time.Time, n), make([]time.Time, n)
	tunes, statuses, problems, sets := make([]uuid.UUID, n), make([]string, n), make([]string, n), make([]string, n)
	for i, f := range folds {
		index[i], trainBars[i], testBars[i] = int32(f.Index), int32(f.TrainBars), int32(f.TestBars)
		begin[i], end[i], testEnd[i] = f.TrainStart, f.TrainEnd, f.TestEnd
		statuses[i], problems[i] = string(f.Status), f.Error
		if f.TuneID != nil {
			tunes[i] = *f.TuneID
		}
		if len(f.Sets) > 0 {
			text, err := json.Marshal(f.Sets)
			if err != nil {
				return fmt.Errorf("encode bars of fold %d: %w", f.Index, err)
			}
			sets[i] = string(text)
		}
	}
	last.Last("insert folds", `
		insert into wfo_folds (wfo_id, fold, workspace_id, train_start, train_end, test_end, train_bars, test_bars,
		                       tune_id, status, error, set_bars)
		select $1, u.fold, $2, u.train_start, u.train_end, u.test_end, u.train_bars, u.test_bars,
		       nullif(u.tune, '00000000-0000-0000-0000-000000000000'), u.status, nullif(u.error, ''), nullif(u.sets, '')::json
		  from unnest($3::int[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::int[], $8::int[], $9::uuid[], $10::text[], $11::text[],
		              $12::text[]) u (fold, train_start, train_end, test_end, train_bars, test_bars, tune, status, error, sets)`,
		wfo.ID, wfo.WorkspaceID, index, begin, end, testEnd, trainBars, testBars, tunes, statuses, problems, sets)
	return nil
}
