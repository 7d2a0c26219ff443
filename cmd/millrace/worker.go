package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"millrace/jobs"
	"millrace/jobs/worker/deletion"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/gate"
	"millrace/jobs/worker/ingestion"
	"millrace/jobs/worker/retention"
	"millrace/jobs/worker/schedule"
	"millrace/jobs/worker/tune"
	"millrace/jobs/worker/webhook"
	"millrace/jobs/worker/wfo"
	"millrace/ops"
	"millrace/ops/health"
	"millrace/store/requests"
	"millrace/store/stores"
	"millrace/store/upkeep"
)

// workerFlags are the settings of a worker, in `millrace worker` and in `millrace dev`.
type workerFlags struct {
	Queues    string        `env:"MILLRACE_QUEUES" help:"Queues to work and their slots, as in trials:8,tunes:2. Default: every queue, one trial slot a core."`
	Drain     time.Duration `env:"MILLRACE_DRAIN" default:"10s" help:"How long a stop waits for running jobs before it hands them back."`
	ShardTime time.Duration `env:"MILLRACE_SHARD_TIME" default:"1s" help:"Compute that one shard of a tune is cut to."`
	// OlderEngine is what becomes of work that an older engine began.
	OlderEngine string `env:"MILLRACE_OLDER_ENGINE" enum:"recompute,wait" default:"recompute" help:"What becomes of a tune that workers of an older engine began: recompute begins it again, wait leaves it to them while one is heard."`
	ingestionFlags
	retentionFlags
	depth int // LIMIT_QUEUE_DEPTH, a flag of its verb
}

func (f workerFlags) slots() (jobs.Slots, error) {
	if f.Queues == "" {
		return jobs.DefaultSlots(runtime.NumCPU()), nil
	}
	slots, err := jobs.ParseSlots(f.Queues)
	if err != nil {
		return nil, fmt.Errorf("--queues (MILLRACE_QUEUES): %w", err)
	}
	return slots, nil
}

// workerCmd is the verb `worker`.
type workerCmd struct {
	databaseFlags
	internalFlags
	knowledgeFlags
	webhookFlags
	workerFlags
	telemetryFlags
	reloadFlags
	LimitQueueDepth int    `default:"1000" env:"LIMIT_QUEUE_DEPTH" help:"Pieces of work of a workspace that may wait or run; what a schedule submits beyond it waits. 0 lifts the limit."`
	AdminToken      string `env:"ADMIN_TOKEN" help:"Token for the profiles at --metrics-addr; unset, there are none."`
}

// Run works the queues until a signal.
func (c *workerCmd) Run(ctx context.Context, env *environment, parsed *kong.Kong) error {
	if err := checked(c.databaseFlags.check(), c.check(env.profile)); err != nil {
		return err
	}
	env.reload = newReloader(env, parsed, "worker", c.Reload, c.AdminToken)
	return serve(ctx, env, c.Drain+5*time.Second, func(life *lifecycle) error {
		metrics := ops.NewMetrics()
		if err := serveInternal(ctx, life, env, c.internalFlags, metrics, c.AdminToken); err != nil {
			return err
		}
		var err error
		if env.exports, err = c.telemetryFlags.start(ctx, life, env, "millrace-worker", metrics, append(strings.Fields(c.AdminToken), c.DatabaseURL)...); err != nil {
			return err
		}
		c.depth = c.LimitQueueDepth
		if err = startWorker(ctx, life, env, c.databaseFlags, c.knowledgeFlags, c.webhookFlags, c.workerFlags, metrics); err == nil {
			onHangup(ctx, env.reload.run)
		}
		return err
	})
}

// startWorker opens the database and starts this process's part in the fleet.
func startWorker(ctx context.Context, life *lifecycle, env *environment, db databaseFlags, kb knowledgeFlags, hooks webhookFlags, flags workerFlags, metrics *ops.Metrics) error {
	slots, err := flags.slots()
	if err != nil {
		return configError{err}
	}
	total := 0
	for name, n := range slots {
		total += n + jobs.Ahead(name, n)
	}
	// A connection a slot for results, one for its reporter, and River's and the heartbeat's own. Beside these, fetches have one.
	id := fleet.NewID()
	pools, err := openPools(ctx, life, db, conns{fleet: 5, spaces: int32(2 * total)}, id, metrics, env, func() error { return nil })
	if err != nil {
		return err
	}
	// In `millrace dev` the API's pool is the one that is measured.
	var registered prometheus.AlreadyRegisteredError
	if err := metrics.Registry.Register(health.PoolMetrics(pools.stores(nil))); err != nil && !errors.As(err, &registered) {
		return fmt.Errorf("measure the pool: %w", err)
	}
	periodic, err := retention.Periodic()
	if err != nil {
		return err
	}
	reporter, err := env.report.reporter(life, env.exports.Tracer(), db.DatabaseURL)
	if err != nil {
		return err
	}
	hooked, err := hooks.options(env, metrics)
	if err != nil {
		return err
	}
	var sources *ingestion.Workers
	var dispatcher *webhook.Dispatcher
	var kept *upkeep.Store
	var sourcesErr error
	member, err := fleet.New(fleet.Options{
		ID: id, Pool: pools.fleet, Workspaces: pools.spaces, Slots: slots, Metrics: metrics, Logger: env.logger, Reporter: reporter, Version: env.version(), Stamp: numbers(), Drain: flags.Drain,
		Periodic: periodic,
	}, func(st *stores.Set, workers *river.Workers) {
		gate.New(st.DB, st.Strategies, metrics, env.logger).Register(workers)
		st.SetVersion(env.version())
		tune.New(tune.Stores{DB: st.DB, Strategies: st.Strategies, Tuning: st.Tuning, Workers: st.Workers}, metrics, env.logger, tune.Options{
			Slots: slots[jobs.QueueTrials], ShardTime: flags.ShardTime, Program: numbers(), LeaveOlder: flags.OlderEngine == "wait",
		}).Register(workers)
		wfo.New(wfo.Stores{DB: st.DB, Market: st.Market, Strategies: st.Strategies, Tuning: st.Tuning, WalkForward: st.WalkForward, Workers: st.Workers}, metrics, env.logger,
			wfo.Options{Program: numbers(), LeaveOlder: flags.OlderEngine == "wait"}).Register(workers)
		schedule.New(schedule.Stores{
			DB: st.DB, Requests: requests.Checker{Market: st.Market, Strategies: st.Strategies}, Library: st.Library, Schedules: st.Schedules, Tuning: st.Tuning,
			WalkForward: st.WalkForward,
		}, max(flags.depth, 0), env.logger).Register(workers)
		kept = st.Upkeep
		retention.New(st.DB, st.Upkeep, env.logger).Register(workers)
		hooked.DB, hooked.Log, hooked.Webhooks = st.DB, st.EventLog, st.Webhooks
		webhook.New(hooked).Register(workers)
		dispatcher = webhook.NewDispatcher(st.Webhooks, env.logger, 0)
		var parts *knowledgeParts
		if parts, sourcesErr = kb.openKnowledge(life, st, metrics, env.logger); sourcesErr != nil {
			return
		}
		deletion.New(st.DB, st.Lifecycle, parts.index, metrics, env.logger).Register(workers)
		if sources, sourcesErr = flags.openIngestion(life, env, st, parts, slots[jobs.QueueIngestion]); sourcesErr == nil {
			sources.Register(workers)
		}
	})
	if err := errors.Join(sourcesErr, err); err != nil {
		return err
	}
	if err := kept.SetWindows(ctx, flags.windows()); err != nil {
		return err
	}
	life.onStop(member.Stop)
	if err := member.Start(ctx); err != nil {
		return err
	}
	if slots[jobs.QueueWebhooks] > 0 {
		dispatcher.Start(ctx)
		life.onStop(dispatcher.Stop)
	}
	env.logger.InfoContext(ctx, "worker ready", slog.String("queues", slots.String()))
	return nil
}
