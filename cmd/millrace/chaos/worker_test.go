package chaos

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/worker/attempt"
	"millrace/jobs/worker/deletion"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/gate"
	"millrace/jobs/worker/tune"
	"millrace/ops"
	"millrace/store"
	"millrace/store/stores"
	"millrace/store/vector"
)

// workerEnv makes the test binary a worker process on the database it names: as `millrace worker`
// is, but that it also works effects.
const workerEnv = "MILLRACE_CHAOS_WORKER"

func beWorker() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	id := fleet.NewID()
	pool, err := store.OpenPool(ctx, store.PoolOptions{DatabaseURL: os.Getenv(workerEnv), MaxConns: 24, Worker: id})
	if err != nil {
		return err
	}
	defer pool.Close()
	logger, metrics := slog.New(slog.NewTextHandler(os.Stderr, nil)), ops.NewMetrics()
	member, err := fleet.New(fleet.Options{
		ID: id, Pool: pool, Metrics: metrics, Logger: logger, Version: "chaos", Drain: 3 * time.Second,
		Slots: jobs.Slots{jobs.QueueIngestion: 8, jobs.QueueTrials: 1, jobs.QueueTunes: 1, jobs.QueueRetention: 1, jobs.QueueMaintenance: 1},
	}, func(st *stores.Set, workers *river.Workers) {
		tune.New(tune.Stores{DB: st.DB, Strategies: st.Strategies, Tuning: st.Tuning, Workers: st.Workers}, metrics, logger, tune.Options{ShardTime: 100 * time.Millisecond}).Register(workers)
		deletion.New(st.DB, st.Lifecycle, vector.NewEmbedded(pool, pool, 0), metrics, logger).Register(workers)
		gate.New(st.DB, st.Strategies, metrics, logger).Register(workers)
		w := &effects{store: st}
		river.AddWorker(workers, &attempt.Worker[effectArgs]{
			Saver: attempt.NewSaver(st.DB, logger), Limit: time.Minute, Do: w.do, Fail: w.fail,
			Of: func(a effectArgs) (uuid.UUID, uuid.UUID) { return a.WorkspaceID, a.ID },
		})
	})
	if err != nil {
		return err
	}
	if err := member.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	return member.Stop(context.Background())
}

// effectArgs are a job whose effect is a row that nothing keeps from being there twice.
type effectArgs struct {
	WorkspaceID uuid.UUID     `json:"workspace_id"`
	ID          uuid.UUID     `json:"id"`
	N           int           `json:"n"`
	Takes       time.Duration `json:"takes"`
	Stubborn    bool          `json:"stubborn"` // continues when its context has ended
}

func (effectArgs) Kind() string { return "chaos.effect" }

func (effectArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: jobs.QueueIngestion, MaxAttempts: 100}
}

type effects struct{ store *stores.Set }

func (w *effects) do(ctx context.Context, args effectArgs, lease store.Lease) error {
	if args.Stubborn {
		ctx = context.WithoutCancel(ctx)
	}
	timer := time.NewTimer(args.Takes)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	err := w.store.CompleteUnderLease(ctx, lease, args.ID, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `
			insert into chaos_effects (n, job_id, attempt, worker) values ($1, $2, $3, current_setting('millrace.worker'))`,
			args.N, lease.JobID, lease.Attempt)
		return err
	})
	if errors.Is(err, store.ErrFenced) {
		// For the report; a zombie that cannot report it was fenced all the same.
		_, _ = w.store.Pool().Exec(context.WithoutCancel(ctx), `insert into chaos_fenced (n, attempt) values ($1, $2)`, args.N, lease.Attempt)
	}
	return err
}

// fail leaves a trace that is not an effect.
func (w *effects) fail(ctx context.Context, args effectArgs, lease store.Lease, failure store.Failure) error {
	return w.store.CompleteUnderLease(ctx, lease, args.ID, func(tx *store.Tx) error {
		_, err := tx.Exec(ctx, `insert into chaos_failures (n, reason) values ($1, $2)`, args.N, failure.Reason)
		return err
	})
}
