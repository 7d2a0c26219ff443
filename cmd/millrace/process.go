package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel/trace"

	"millrace/migrations"
	"millrace/ops"
	"millrace/ops/routine"
	"millrace/store"
	"millrace/store/stores"
)

// databaseFlags say where Postgres is.
type databaseFlags struct {
	DatabaseURL  string `name:"database-url" env:"DATABASE_URL" help:"Postgres connection URL."`
	WorkspaceURL string `name:"workspace-database-url" env:"WORKSPACE_DATABASE_URL" help:"Postgres connection URL of the limited login, on which transactions of workspaces run. Default: the login of DATABASE_URL with _limited behind its name, where migrate made one, and the same password."`
}

// reportFlags say where internal errors are reported.
type reportFlags struct {
	SentryDSN   string  `name:"sentry-dsn" env:"SENTRY_DSN" help:"Sentry's address with its key; unset, nothing is reported."`
	SentryEnv   string  `name:"sentry-environment" env:"SENTRY_ENVIRONMENT" help:"Environment that reports name."`
	SentryTrace float64 `name:"sentry-traces" env:"SENTRY_TRACES_SAMPLE_RATE" help:"Share of requests and jobs whose timing is sent, 0 to 1."`
}

// reporter makes the process's reporter, nil when there is none.
func (f reportFlags) reporter(life *lifecycle, tracer trace.Tracer, secrets ...string) (*ops.Reporter, error) {
	if f.SentryTrace < 0 || f.SentryTrace > 1 {
		return nil, configError{errors.New("--sentry-traces (SENTRY_TRACES_SAMPLE_RATE) must be from 0 to 1")}
	}
	reporter, err := ops.NewReporter(ops.ReportOptions{
		DSN: f.SentryDSN, Environment: f.SentryEnv, Release: "millrace@" + gitSHA, TraceRate: f.SentryTrace, Secrets: secrets, Tracer: tracer,
	})
	if err != nil {
		return nil, configError{errors.New("--sentry-dsn (SENTRY_DSN) is not a Sentry DSN")} // the error would quote the key
	}
	life.onStop(reporter.Flush)
	return reporter, nil
}

// internalFlags say where a process serves its metrics.
type internalFlags struct {
	MetricsAddr string `env:"MILLRACE_METRICS_ADDR" help:"Address for /metrics, /healthz and, with the admin token, /debug/pprof; inside the network only. Unset: none."`
}

// serveInternal serves the metrics on a port of their own. It comes before what logs that the process
// is ready: a process that cannot have the port stops before it takes any work.
func serveInternal(ctx context.Context, life *lifecycle, env *environment, flags internalFlags, metrics *ops.Metrics, adminToken string) error {
	if flags.MetricsAddr == "" {
		return nil
	}
	listener, err := net.Listen("tcp", flags.MetricsAddr)
	if err != nil {
		return configError{fmt.Errorf("--metrics-addr (MILLRACE_METRICS_ADDR): %w", err)}
	}
	token := func() string { return adminToken }
	if env.reload != nil {
		token = env.reload.adminToken
	}
	server := &http.Server{Handler: ops.InternalWith(metrics.Registry, token, env.awaits.String), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	routine.Go(func() error { return server.Serve(listener) }, func(err error) { done <- err })
	life.onStop(func(ctx context.Context) error {
		err := server.Shutdown(ctx)
		if served := <-done; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	})
	env.logger.InfoContext(ctx, "metrics ready", slog.String("metrics_addr", listener.Addr().String()))
	return nil
}

// configError is a mistake in the configuration; it names the variable. The process exits with 2.
type configError struct{ error }

func (e configError) Unwrap() error { return e.error }

// serve starts a long-lived process, waits for the signal that ends ctx, or the end of what it needs, and stops it within
// the deadline. A set-up that fails is rolled back.
func serve(ctx context.Context, env *environment, deadline time.Duration, start func(*lifecycle) error) error {
	var life lifecycle
	if err := start(&life); err != nil {
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil // it was asked to stop while it started
		}
		return errors.Join(err, life.stop(deadline))
	}
	var lost error
	select {
	case <-ctx.Done():
	case <-life.lost:
		lost = life.why()
		env.logger.Error("stopping", slog.Any("error", lost))
	}
	env.logger.Info("stopping", slog.Duration("deadline", deadline))
	err := errors.Join(lost, life.stop(deadline))
	env.logger.Info("stopped")
	return err
}

// conns is how many connections each pool of a process has at most.
type conns struct{ fleet, spaces int32 }

// pools are a process's: that of workspaces' transactions, and that of everything else. They are one where
// the login has no limited one beside it.
type pools struct{ fleet, spaces *pgxpool.Pool }

// stores makes the stores on them.
func (p pools) stores(client store.Jobs) *stores.Set {
	st := stores.New(p.fleet, client)
	st.SetWorkspaces(p.spaces)
	return st
}

// openPools opens the pools, of a worker if one is named, and makes sure that the schema is the one
// this binary was built with, that it is complete, and in production that the logins cannot get round it. A database that
// is away is waited for; awaits is called when that begins.
func openPools(ctx context.Context, life *lifecycle, db databaseFlags, most conns, worker string, metrics *ops.Metrics, env *environment, awaits func() error) (pools, error) {
	if err := checked(db.check()); err != nil {
		return pools{}, err
	}
	pool, err := store.OpenPool(ctx, store.PoolOptions{
		DatabaseURL: db.DatabaseURL, MaxConns: most.fleet + most.spaces, Worker: worker,
		Acquire: metrics.DBAcquire, ConnErrors: metrics.DBConnectionErrors, Spans: spanTracer(env.exports),
	})
	if err != nil {
		return pools{}, configError{fmt.Errorf("DATABASE_URL: %w", err)}
	}
	life.onStop(func(context.Context) error { pool.Close(); return nil })
	if err := awaitDatabase(ctx, env, pool.Ping, databaseWait, awaits); err != nil {
		// A connection takes the role of the app, which a database restored to another server lacks.
		if incomplete := migrations.CheckLogin(ctx, pool, store.AppRole); errors.Is(incomplete, migrations.ErrIncomplete) {
			return pools{}, incomplete
		}
		return pools{}, fmt.Errorf("reach the database: %w", err)
	}
	if err := held(migrations.CheckLogin(ctx, pool, store.AppRole), "DATABASE_URL", env.profile); err != nil {
		return pools{}, err
	}
	current, err := migrations.Current(ctx, pool)
	if err != nil {
		return pools{}, fmt.Errorf("check the schema: %w", err)
	}
	if !current {
		return pools{}, errors.New("the database is not migrated to this version: run `millrace migrate up`")
	}
	if err := migrations.Check(ctx, pool); err != nil {
		return pools{}, err
	}
	return splitPools(ctx, life, pool, db, most, env.profile)
}

// splitPools opens the pool of workspaces' transactions with the limited login; together the two have no
// more connections than one would. Without such a login they are one, but not in production.
func splitPools(ctx context.Context, life *lifecycle, pool *pgxpool.Pool, db databaseFlags, most conns, profile string) (pools, error) {
	login, err := db.limited(ctx, pool)
	if err != nil {
		return pools{}, err
	}
	if login == (store.Login{}) {
		missing := fmt.Errorf("%w: it has no limited login beside it, on which transactions of workspaces run: `millrace migrate up --login NAME` makes both",
			migrations.ErrUnsafeLogin)
		return pools{pool, pool}, held(missing, "DATABASE_URL", profile)
	}
	spaces, err := store.OpenWorkspaces(ctx, pool, login, most.spaces)
	if err != nil {
		return pools{}, configError{fmt.Errorf("WORKSPACE_DATABASE_URL: %w", err)}
	}
	life.onStop(func(context.Context) error { spaces.Close(); return nil })
	smaller := pool.Config()
	smaller.MaxConns = most.fleet
	pool.Close()
	if pool, err = pgxpool.NewWithConfig(ctx, smaller); err != nil {
		return pools{}, configError{fmt.Errorf("DATABASE_URL: %w", err)}
	}
	life.onStop(func(context.Context) error { pool.Close(); return nil })
	if err := held(migrations.CheckLimitedLogin(ctx, spaces), "WORKSPACE_DATABASE_URL", profile); err != nil {
		return pools{}, err
	}
	return pools{pool, spaces}, nil
}

// limited is whom transactions of workspaces log in as: the URL's own login, or the one beside that of
// DATABASE_URL; empty where there is neither.
func (f databaseFlags) limited(ctx context.Context, pool *pgxpool.Pool) (store.Login, error) {
	if f.WorkspaceURL != "" {
		return store.Login{DatabaseURL: f.WorkspaceURL}, nil
	}
	has, err := migrations.HasLimitedLogin(ctx, pool)
	if err != nil || !has {
		return store.Login{}, err
	}
	return store.Login{Name: pool.Config().ConnConfig.User + migrations.LimitedSuffix}, nil
}

// held is the error of a login that is not held to its rights, in production; elsewhere it may be one.
func held(err error, variable, profile string) error {
	switch {
	case err == nil, errors.Is(err, migrations.ErrUnsafeLogin) && profile != production:
		return nil
	case errors.Is(err, migrations.ErrUnsafeLogin):
		return configError{fmt.Errorf("%s: %w", variable, err)}
	}
	return err
}
