package wfo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/invalid"
	"millrace/jobs/pine"
	"millrace/jobs/sweep"
	"millrace/jobs/worker/attempt"
	"millrace/ops"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/strategies"
	"millrace/store/tuning"
	"millrace/store/walkforward"
	"millrace/store/workers"
)

// jobTimeout bounds one attempt, below River's own rescue age.
const jobTimeout = 20 * time.Minute

// Stores are what the workers read and write.
type Stores struct {
	DB          *store.DB
	Market      *market.Store
	Strategies  *strategies.Store
	Tuning      *tuning.Store
	WalkForward *walkforward.Store
	Workers     *workers.Store // by which rules the fleet works
}

// Workers work walk-forwards.
type Workers struct {
	store   Stores
	save    *attempt.Saver
	metrics *ops.Metrics
	logger  *slog.Logger
	opts    Options
}

// Options tune the workers. Zero fields take their defaults.
type Options struct {
	// Program is the numbers of this program's rules; default those it was built with.
	Program backtest.Stamp
	// LeaveOlder leaves folds that an older engine ran to workers of that engine while one is heard; else, and when
	// none is or the folds are of several engines, the older ones are run again.
	LeaveOlder bool
	// StampPause is how long a job waits that is for a worker of a later engine; default 2 s.
	StampPause time.Duration
}

// New makes the workers.
func New(st Stores, metrics *ops.Metrics, logger *slog.Logger, opts Options) *Workers {
	if opts.Program == (backtest.Stamp{}) {
		opts.Program = backtest.Stamp{Engine: backtest.Engine, Semantics: pine.Semantics}
	}
	if opts.StampPause == 0 {
		opts.StampPause = 2 * time.Second
	}
	return &Workers{store: st, save: attempt.NewSaver(st.DB, logger), metrics: metrics, logger: logger, opts: opts}
}

// Register adds the workers to those of the process.
func (w *Workers) Register(to *river.Workers) {
	river.AddWorker(to, worker(w, w.candidates, func(a jobs.WFOCandidatesArgs) (uuid.UUID, uuid.UUID) { return a.WorkspaceID, a.WFOID }))
	river.AddWorker(to, worker(w, w.score, func(a jobs.WFOScoreArgs) (uuid.UUID, uuid.UUID) { return a.WorkspaceID, a.WFOID }))
	river.AddWorker(to, worker(w, w.collect, func(a jobs.WFOCollectArgs) (uuid.UUID, uuid.UUID) { return a.WorkspaceID, a.WFOID }))
}

// worker is the worker of one kind; a job that fails for good fails its walk-forward.
func worker[A river.JobArgs](w *Workers, do func(context.Context, A, store.Lease) error, of func(A) (workspace, wfo uuid.UUID)) *attempt.Worker[A] {
	return &attempt.Worker[A]{
		Saver: w.save, Limit: jobTimeout, Of: of, Do: do,
		Fail: func(ctx context.Context, args A, lease store.Lease, failure store.Failure) error {
			_, wfo := of(args)
			return w.store.WalkForward.Fail(ctx, lease, wfo, failure)
		},
	}
}

// work reads what a step needs. A walk-forward that has ended needs none; there is none when folds are run again.
func (w *Workers) work(ctx context.Context, workspace, id uuid.UUID, lease store.Lease, queue string) (walkforward.Work, error) {
	work, err := w.store.WalkForward.Work(ctx, workspace, id)
	return w.ready(ctx, work, err, lease, queue)
}

// ready is the work that was read, as work returns it.
func (w *Workers) ready(ctx context.Context, work walkforward.Work, err error, lease store.Lease, queue string) (walkforward.Work, error) {
	if err == nil && work.WFO.Status != walkforward.Running {
		err = fmt.Errorf("walk-forward %s is %s: %w", work.WFO.ID, work.WFO.Status, store.ErrEnded)
	}
	if err == nil {
		err = w.heedStamps(ctx, &work, lease, queue)
	}
	if err != nil || work.WFO == nil {
		return work, err
	}
	ops.Tag(ctx, "strategy", strategies.Label(work.WFO.Spec.StrategyName))
	err = w.store.Strategies.Bind(ctx, work.WFO.WorkspaceID, &work.WFO.Spec)
	if errors.Is(err, store.ErrNotFound) {
		return work, &attempt.PermanentError{Reason: "the script that the walk-forward was submitted with is gone: " + err.Error()}
	}
	return work, err
}

// candidates gathers the best trials of all folds and enqueues their scoring.
func (w *Workers) candidates(ctx context.Context, args jobs.WFOCandidatesArgs, lease store.Lease) error {
	work, err := w.work(ctx, args.WorkspaceID, args.WFOID, lease, jobs.QueueWFO)
	if err != nil || work.WFO == nil {
		return err
	}
	var flat []float64
	for _, params := range sweep.Candidates(tops(work)) {
		flat = append(flat, params...)
	}
	return w.save.Save(ctx, lease, func() error {
		return w.store.WalkForward.BeginScoring(ctx, lease, args.WFOID, flat)
	})
}

// score judges all candidates on one fold's test window, and trades the fold's winner there.
func (w *Workers) score(ctx context.Context, args jobs.WFOScoreArgs, lease store.Lease) error {
	work, err := w.store.WalkForward.ScoreWork(ctx, args.WorkspaceID, args.WFOID, args.Fold)
	if work, err = w.ready(ctx, work, err, lease, jobs.QueueTrials); err != nil || work.WFO == nil {
		return err
	}
	fold := work.Folds[0]
	data, err := w.series(ctx, work.WFO)
	if err != nil {
		return err
	}
	plan, problems := sweep.NewPlanOver(work.WFO.Spec.OfFold(fold.Fold), data)
	if len(problems) > 0 {
		return &attempt.PermanentError{Reason: fmt.Sprintf("fold %d: %s", args.Fold, explain(problems))}
	}
	scores, err := plan.ScoreCandidates(ctx, split(work.WFO, work.Candidates), w.trials(ctx, work.WFO, fold))
	if err != nil {
		return fmt.Errorf("score fold %d of walk-forward %s: %w", args.Fold, args.WFOID, err)
	}
	var winner backtest.Params
	if top := split(work.WFO, fold.Top); len(top) > 0 {
		winner = top[0]
	}
	stretch := plan.Stretch(winner, nextTest(work.Folds))
	return w.save.Save(ctx, lease, func() error {
		return w.store.WalkForward.FinishScore(ctx, lease, args.WFOID, args.Fold, scores, stretch)
	})
}

// series reads the bars that a walk-forward runs on: those of its dataset, or of all of them.
func (w *Workers) series(ctx context.Context, wfo *walkforward.Run) ([]sweep.Series, error) {
	ids, names := wfo.DatasetIDs(), wfo.Datasets()
	if len(ids) != len(names) {
		return nil, fmt.Errorf("walk-forward %s has %d datasets of the %d it names", wfo.ID, len(ids), len(names))
	}
	data := make([]sweep.Series, len(ids))
	for i, id := range ids {
		bars, calendar, err := w.store.Market.Bars(ctx, wfo.WorkspaceID, id)
		if err == nil {
			bars, err = w.store.Market.Detailed(ctx, wfo.WorkspaceID, bars, wfo.Spec.IntrabarDataset)
		}
		if err != nil {
			return nil, err
		}
		data[i] = sweep.Series{Name: names[i], Bars: bars, Calendar: calendar}
	}
	return data, nil
}

// nextTest is where the test window of the next successful fold begins, or else where the first of these folds ends.
func nextTest(folds []walkforward.Fold) time.Time {
	if len(folds) > 1 {
		return folds[1].TrainEnd
	}
	return folds[0].TestEnd
}

// trials reads the stored trials of a fold's tune, some shards at a time.
func (w *Workers) trials(ctx context.Context, wfo *walkforward.Run, fold walkforward.Fold) func(yield func(*sweep.Columns, error) bool) {
	const shardsAtOnce = 16
	spec := wfo.Spec.OfFold(fold.Fold)
	return func(yield func(*sweep.Columns, error) bool) {
		for from := 0; from < wfo.Trials; {
			shards, err := w.store.Tuning.TrialShards(ctx, wfo.WorkspaceID, *fold.TuneID, from, shardsAtOnce)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, sh := range shards {
				columns, err := sweep.OpenColumns(spec, sh.Shard, sh.Columns)
				if !yield(columns, err) || err != nil {
					return
				}
				from = sh.Shard.First + sh.Shard.Trials
			}
			if len(shards) < shardsAtOnce {
				return
			}
		}
	}
}

// collect judges the candidates over all folds and ends the walk-forward.
func (w *Workers) collect(ctx context.Context, args jobs.WFOCollectArgs, lease store.Lease) error {
	work, err := w.work(ctx, args.WorkspaceID, args.WFOID, lease, jobs.QueueWFO)
	if err != nil || work.WFO == nil {
		return err
	}
	data, err := w.series(ctx, work.WFO)
	if err != nil {
		return err
	}
	results, err := w.store.WalkForward.FoldResults(ctx, args.WorkspaceID, args.WFOID)
	if err != nil {
		return err
	}
	for i, top := range tops(work) {
		results[i].Top = top
	}
	found := sweep.CombineFolds(work.WFO.Spec, work.WFO.Config, data, split(work.WFO, work.Candidates), results)
	err = w.save.Save(ctx, lease, func() error {
		return w.store.WalkForward.Complete(ctx, lease, args.WFOID, found)
	})
	if err == nil {
		w.metrics.WFOEligible.Observe(float64(found.Eligible))
	}
	return err
}

// tops are the candidates of each successful fold, in order.
func tops(work walkforward.Work) (tops [][]backtest.Params) {
	for _, fold := range work.Folds {
		if fold.Status == walkforward.FoldCompleted {
			tops = append(tops, split(work.WFO, fold.Top))
		}
	}
	return tops
}

// split cuts parameters that lie one set after the other.
func split(wfo *walkforward.Run, flat []float64) []backtest.Params {
	n := len(wfo.Spec.ParamNames())
	sets := make([]backtest.Params, len(flat)/n)
	for i := range sets {
		sets[i] = flat[i*n : (i+1)*n : (i+1)*n]
	}
	return sets
}

func explain(problems []invalid.FieldError) string {
	reasons := make([]string, len(problems))
	for i, p := range problems {
		reasons[i] = p.Error()
	}
	return strings.Join(reasons, "; ")
}
