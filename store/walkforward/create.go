package walkforward

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

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
		wfo, folds, err := s.create(ctx, tx, sub.Workspace, tx.Place(), in)
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
	wfo, _, err := s.create(ctx, tx, workspace, place, in)
	return wfo, err
}

func (s *Store) create(ctx context.Context, tx *store.Tx, workspace uuid.UUID, place store.Place, in NewRun) (*Run, []Fold, error) {
	if err := tx.TakeTrials(workspace, place, in.trials()); err != nil {
		return nil, nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, nil, fmt.Errorf("walk-forward id: %w", err)
	}
	wfo := &Run{
		ID: id, WorkspaceID: workspace, DatasetID: in.DatasetID, Dataset: in.Dataset, Several: in.Several, Spec: in.Spec, Config: in.Config,
		Status: Pending, Admitted: place.Room > 0, Folds: len(in.Folds), Trials: in.Trials, Warnings: in.Warnings,
	}
	if err := s.insertWFO(ctx, tx, wfo); err != nil {
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
	_, err = tx.Exec(ctx, `
		insert into wfo_progress (wfo_id, workspace_id, folds_done, folds_failed) values ($1, $2, $3, $4)`,
		id, workspace, wfo.FoldsDone, wfo.FoldsFailed)
	if err != nil {
		return nil, nil, fmt.Errorf("insert progress of walk-forward: %w", err)
	}
	if err := s.insertFoldTunes(ctx, tx, wfo, folds); err != nil {
		return nil, nil, err
	}
	if err := insertFolds(ctx, tx, wfo, folds); err != nil {
		return nil, nil, err
	}
	if err := appendWFOEvent(ctx, tx, wfo, string(Pending)); err != nil {
		return nil, nil, err
	}
	if err := appendUnrunnableFoldEvents(ctx, tx, wfo, folds, s.db.Recorder()); err != nil {
		return nil, nil, err
	}
	if wfo.Admitted {
		err = admission.EnqueueFolds(ctx, tx, id, place.Active == 0)
	}
	return wfo, folds, err
}

func (s *Store) insertWFO(ctx context.Context, tx pgx.Tx, wfo *Run) error {
	spec, err := json.Marshal(wfo.Spec)
	if err != nil {
		return fmt.Errorf("encode spec: %w", err)
	}
	config, err := json.Marshal(wfo.Config)
	if err != nil {
		return fmt.Errorf("encode config: %w", err)
	}
	job, err := s.db.River().InsertTx(ctx, tx, jobs.WFOCandidatesArgs{WorkspaceID: wfo.WorkspaceID, WFOID: wfo.ID}, &river.InsertOpts{Pending: true})
	if err != nil {
		return fmt.Errorf("insert candidates job: %w", err)
	}
	err = tx.QueryRow(ctx, `
		insert into wfo_runs (id, workspace_id, dataset_id, strategy, objective, search_type, spec, config, admitted,
		                      n_folds, n_trials, min_folds, top_k, allow_partial, candidates_job_id, warnings)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		returning created_at`,
		wfo.ID, wfo.WorkspaceID, wfo.DatasetID, wfo.Spec.StrategyName, wfo.Spec.ObjectiveType, wfo.Spec.SearchType,
		spec, config, wfo.Admitted, wfo.Folds, wfo.Trials, *wfo.Config.MinFolds, *wfo.Config.LeaderboardTopK,
		*wfo.Config.AllowPartial, job.Job.ID, append([]string{}, wfo.Warnings...)).Scan(&wfo.CreatedAt)
	if err != nil {
		return fmt.Errorf("insert walk-forward: %w", err)
	}
	if len(wfo.Several) > 0 {
		_, err = tx.Exec(ctx, `
			insert into wfo_datasets (wfo_id, workspace_id, position, dataset_id)
			select $1, $2, at - 1, id from unnest($3::uuid[]) with ordinality u (id, at)`, wfo.ID, wfo.WorkspaceID, wfo.Several)
		if err != nil {
			return fmt.Errorf("insert datasets of walk-forward: %w", err)
		}
	}
	return nil
}

// insertFoldTunes makes the tune of each fold that can be run, with its plan job held back.
func (s *Store) insertFoldTunes(ctx context.Context, tx pgx.Tx, wfo *Run, folds []Fold) error {
	var ids []uuid.UUID
	var index []int32
	var specs []string
	var params []river.InsertManyParams
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
		params = append(params, river.InsertManyParams{Args: jobs.TunePlanArgs{WorkspaceID: wfo.WorkspaceID, TuneID: id, Own: true}, InsertOpts: &river.InsertOpts{Pending: true}})
	}
	inserted, err := s.db.River().InsertManyTx(ctx, tx, params)
	if err != nil {
		return fmt.Errorf("insert plan jobs of folds: %w", err)
	}
	planJobs := make([]int64, len(inserted))
	for i, job := range inserted {
		planJobs[i] = job.Job.ID
	}
	_, err = tx.Exec(ctx, `
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, admitted, n_trials,
		                   wfo_id, leaders, wfo_fold, spec, plan_job_id)
		select u.id, r.workspace_id, r.dataset_id, r.strategy, r.objective, r.search_type, false, r.n_trials,
		       r.id, r.top_k, u.fold, u.spec::json, u.job
		  from wfo_runs r, unnest($2::uuid[], $3::int[], $4::text[], $5::bigint[]) as u (id, fold, spec, job)
		 where r.id = $1`, wfo.ID, ids, index, specs, planJobs)
	if err != nil {
		return fmt.Errorf("insert tunes of folds: %w", err)
	}
	if len(wfo.Several) > 0 {
		_, err = tx.Exec(ctx, `
			insert into tune_datasets (tune_id, workspace_id, position, dataset_id)
			select u.id, d.workspace_id, d.position, d.dataset_id from wfo_datasets d, unnest($2::uuid[]) as u (id) where d.wfo_id = $1`, wfo.ID, ids)
		if err != nil {
			return fmt.Errorf("insert datasets of folds: %w", err)
		}
	}
	return nil
}

func insertFolds(ctx context.Context, tx pgx.Tx, wfo *Run, folds []Fold) error {
	batch := &pgx.Batch{}
	for _, f := range folds {
		var sets []byte
		if len(f.Sets) > 0 {
			var err error
			if sets, err = json.Marshal(f.Sets); err != nil {
				return fmt.Errorf("encode bars of fold %d: %w", f.Index, err)
			}
		}
		batch.Queue(`
			insert into wfo_folds (wfo_id, fold, workspace_id, train_start, train_end, test_end, train_bars, test_bars,
			                       tune_id, status, error, set_bars)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, nullif($11, ''), $12)`,
			wfo.ID, f.Index, wfo.WorkspaceID, f.TrainStart, f.TrainEnd, f.TestEnd, f.TrainBars, f.TestBars,
			f.TuneID, f.Status, f.Error, sets)
	}
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("insert folds: %w", err)
	}
	return nil
}
