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

	"millrace/migrations"
	"millrace/ops"
	"millrace/ops/routine"
	"millrace/store"
)

// databaseFlags say where Postgres is.
type databaseFlags struct {
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" help:"Postgres connection URL."`
}

// reportFlags say where internal errors are reported.
type reportFlags struct {
	SentryDSN   string  `name:"sentry-dsn" env:"SENTRY_DSN" help:"Sentry's address with its key; unset, nothing is reported."`
	SentryEnv   string  `name:"sentry-environment" env:"SENTRY_ENVIRONMENT" help:"Environment that reports name."`
	SentryTrace float64 `name:"sentry-traces" env:"SENTRY_TRACES_SAMPLE_RATE" help:"Share of requests and jobs whose timing is sent, 0 to 1."`
}

// reporter makes the process's reporter, nil when there is none.
func (f reportFlags) reporter(life *lifecycle, secrets ...string) (*ops.Reporter, error) {
	if f.SentryTrace < 0 || f.SentryTrace > 1 {
		return nil, configError{errors.New("--sentry-traces (SENTRY_TRACES_SAMPLE_RATE) must be from 0 to 1")}
	}
	reporter, err := ops.NewReporter(ops.ReportOptions{
		DSN: f.SentryDSN, Environment: f.SentryEnv, Release: "millrace@" + gitSHA, TraceRate: f.SentryTrace, Secrets: secrets,
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
	server := &http.Server{Handler: ops.Internal(metrics.Registry, adminToken), ReadHeaderTimeout: 10 * time.Second}
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

// serve starts a long-lived process, waits for the signal that ends ctx, and stops it within the
// deadline. A set-up that fails is rolled back.
func serve(ctx context.Context, env *environment, deadline time.Duration, start func(*lifecycle) error) error {
	var life lifecycle
	if err := start(&life); err != nil {
		return errors.Join(err, life.stop(deadline))
	}
	<-ctx.Done()
	env.logger.Info("stopping", slog.Duration("deadline", deadline))
	err := life.stop(deadline)
	env.logger.Info("stopped")
	return err
}

// openPool opens the pool, of a worker if one is named, and makes sure that the schema is the one
// this binary was built with, that it is complete, and in production that the login cannot get round it.
func openPool(ctx context.Context, life *lifecycle, db databaseFlags, conns int32, worker string, metrics *ops.Metrics, env *environment) (*pgxpool.Pool, error) {
	if err := checked(db.check()); err != nil {
		return nil, err
	}
	pool, err := store.OpenPool(ctx, store.PoolOptions{
		DatabaseURL: db.DatabaseURL, MaxConns: conns, Worker: worker,
		Acquire: metrics.DBAcquire, ConnErrors: metrics.DBConnectionErrors,
	})
	if err != nil {
		return nil, configError{fmt.Errorf("DATABASE_URL: %w", err)}
	}
	life.onStop(func(context.Context) error { pool.Close(); return nil })
	if err := migrations.CheckLogin(ctx, pool, store.AppRole); errors.Is(err, migrations.ErrUnsafeLogin) && env.profile == production {
		return nil, configError{fmt.Errorf("DATABASE_URL: %w", err)}
	} else if err != nil && !errors.Is(err, migrations.ErrUnsafeLogin) {
		return nil, err
	}
	current, err := migrations.Current(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("check the schema: %w", err)
	}
	if !current {
		return nil, errors.New("the database is not migrated to this version: run `millrace migrate up`")
	}
	if err := migrations.Check(ctx, pool); err != nil {
		return nil, err
	}
	return pool, nil
}
