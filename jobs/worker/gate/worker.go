// Package gate examines uploaded scripts: package pine runs them over the bundled sample, and the store keeps
// what it found. A version is tuned once it has passed.
package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/pine"
	"millrace/jobs/worker/attempt"
	"millrace/ops"
	"millrace/store"
	"millrace/store/strategies"
)

const (
	// examineBars is how many bars of the sample an examination runs over.
	examineBars = 1500
	// examineTime bounds the runs of one examination.
	examineTime = 10 * time.Second
	// jobTimeout bounds one attempt; what saving waits for is in it.
	jobTimeout = 5 * time.Minute
)

// slowAttempts is how many attempts in a row have to run out of time before that refuses a script.
const slowAttempts = 3

// tooEarly reports whether an examination that ran out of time has to be made again: a machine that is busy, or
// stood still, is not the script's fault.
func tooEarly(found backtest.Examination, attempt int) bool {
	return found.Refusal != "" && !found.Complete && attempt < slowAttempts
}

// Workers examine scripts.
type Workers struct {
	strategies *strategies.Store
	save       *attempt.Saver
	metrics    *ops.Metrics
}

// New makes the workers.
func New(db *store.DB, scripts *strategies.Store, metrics *ops.Metrics, logger *slog.Logger) *Workers {
	return &Workers{strategies: scripts, save: attempt.NewSaver(db, logger), metrics: metrics}
}

// Register adds the workers to those of the process.
func (w *Workers) Register(to *river.Workers) {
	river.AddWorker(to, &attempt.Worker[jobs.StrategyCheckArgs]{
		Saver: w.save, Limit: jobTimeout, Do: w.check, Fail: w.fail,
		Of: func(a jobs.StrategyCheckArgs) (workspace, id uuid.UUID) { return a.WorkspaceID, a.StrategyID },
	})
}

// check examines one version.
func (w *Workers) check(ctx context.Context, args jobs.StrategyCheckArgs, lease store.Lease) error {
	script, program, err := w.strategies.ToCheck(ctx, args.WorkspaceID, args.StrategyID)
	if err != nil {
		return err
	}
	found, err := examine(ctx, pine.NewStrategy(script.FullName(), program))
	if err != nil {
		return err
	}
	if tooEarly(found, lease.Attempt) {
		return fmt.Errorf("examination of script %s: %s", args.StrategyID, found.Refusal)
	}
	return w.finish(ctx, args, lease, found)
}

func (w *Workers) finish(ctx context.Context, args jobs.StrategyCheckArgs, lease store.Lease, found backtest.Examination) error {
	err := w.save.Save(ctx, lease, func() error {
		return w.strategies.FinishCheck(ctx, lease, args.StrategyID, found)
	})
	if err == nil {
		w.metrics.StrategyChecks.WithLabelValues(string(strategies.StatusOf(found))).Inc()
	}
	return err
}

// fail refuses a version that could not be examined: what ends its workers may not run in a tune's.
func (w *Workers) fail(ctx context.Context, args jobs.StrategyCheckArgs, lease store.Lease, failure store.Failure) error {
	err := w.strategies.FinishCheck(ctx, lease, args.StrategyID, backtest.Examination{
		Refusal: "it could not be examined: " + failure.Reason + "; upload it again to have it examined again", Problems: []string{}, Warnings: []string{},
	})
	if err == nil {
		w.metrics.StrategyChecks.WithLabelValues(string(strategies.Refused)).Inc()
	}
	return err
}

// examine runs a script over the last bars of the sample.
func examine(ctx context.Context, strategy *pine.Strategy) (backtest.Examination, error) {
	bars, err := pricefile.Sample()
	if err != nil {
		return backtest.Examination{}, fmt.Errorf("sample: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, examineTime)
	defer cancel()
	began := time.Now()
	found := pine.Examine(strategy, bars.Slice(max(0, bars.Len()-examineBars), bars.Len()), backtest.Config{
		Side: backtest.SideBoth, Account: strategy.Account(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange,
	}, func() bool { return limited.Err() != nil })
	if err := ctx.Err(); err != nil { // the process stops: the next one examines it
		return found, errors.Join(errors.New("the examination was stopped"), err)
	}
	if found.Runs*found.Bars > 0 {
		found.NsPerBar = time.Since(began).Nanoseconds() / int64(found.Runs*found.Bars)
	}
	return found, nil
}
