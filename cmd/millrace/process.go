package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/migrations"
	"millrace/ops"
	"millrace/store"
)

// databaseFlags say where Postgres is.
type databaseFlags struct {
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" help:"Postgres connection URL."`
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

// openPool opens the pool and makes sure that the schema is the one this binary was built with.
func openPool(ctx context.Context, life *lifecycle, db databaseFlags, conns int32, metrics *ops.Metrics) (*pgxpool.Pool, error) {
	if db.DatabaseURL == "" {
		return nil, configError{errors.New("DATABASE_URL is not set: name the Postgres to use, or run `millrace dev`")}
	}
	pool, err := store.OpenPool(ctx, store.PoolOptions{
		DatabaseURL: db.DatabaseURL, MaxConns: conns,
		Acquire: metrics.DBAcquire, ConnErrors: metrics.DBConnectionErrors,
	})
	if err != nil {
		return nil, configError{fmt.Errorf("DATABASE_URL: %w", err)}
	}
	life.onStop(func(context.Context) error { pool.Close(); return nil })
	current, err := migrations.Current(ctx, pool)
	if err != nil {
		return nil, fmt.Errorf("check the schema: %w", err)
	}
	if !current {
		return nil, errors.New("the database is not migrated to this version: run `millrace migrate up`")
	}
	return pool, nil
}
