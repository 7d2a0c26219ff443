package migrations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/rivermigrate"

	"millrace/store/session"
)

const (
	// lockID is the session advisory lock that serialises migrating processes; its bytes
	// spell "millrace".
	lockID   = 0x6d696c6c72616365
	lockPoll = 50 * time.Millisecond
)

// Up applies every migration that is missing. Processes that start together are serialised by an advisory lock,
// so each migration runs once; those that come late find nothing to do. Each migration commits by
// itself: after a failure the earlier ones stay, and the next Up continues from there. The URL's
// login must own the schema and, on a cluster that lacks our two roles, be allowed to create them.
func Up(ctx context.Context, databaseURL string) error {
	pool, err := lockedPool(ctx, databaseURL)
	if err != nil {
		return err
	}
	defer pool.Close() // ends the session, and with it the lock
	river, err := riverMigrator(pool)
	if err != nil {
		return fmt.Errorf("river migrations: %w", err)
	}
	if _, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return fmt.Errorf("river migrations: %w", err)
	}
	provider, err := newProvider(pool)
	if err != nil {
		return err
	}
	defer func() { _ = provider.Close() }()
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("millrace migrations: %w", err)
	}
	return nil
}

func newProvider(pool *pgxpool.Pool) (*goose.Provider, error) {
	dir, err := fs.Sub(files, "sql")
	if err != nil {
		return nil, fmt.Errorf("embedded migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDBFromPool(pool), dir,
		goose.WithTableName(table), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return nil, fmt.Errorf("embedded migrations: %w", err)
	}
	return provider, nil
}

// lockedPool returns a pool of one connection that holds the lock. The pool never replaces that
// connection: work on another would not be covered by the lock.
func lockedPool(ctx context.Context, databaseURL string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(databaseURL)
	if err != nil {
		return nil, fmt.Errorf("parse database URL: %w", err)
	}
	session.Configure(cfg.ConnConfig, session.Schema())
	cfg.MaxConns, cfg.MinConns = 1, 0
	cfg.MaxConnLifetime, cfg.MaxConnIdleTime = 24*time.Hour, 24*time.Hour
	cfg.ConnConfig.RuntimeParams["application_name"] = "millrace migrate"
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	cfg.ConnConfig.RuntimeParams["client_min_messages"] = "warning"
	var opened atomic.Bool
	cfg.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
		if opened.Load() {
			return errors.New("the connection that held the migration lock is gone")
		}
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open pool: %w", err)
	}
	conn, err := pool.Acquire(ctx)
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect: %w", err)
	}
	opened.Store(true)
	err = lock(ctx, conn.Conn())
	conn.Release()
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("migration lock: %w", err)
	}
	return pool, nil
}

// lock polls: a session that waits inside pg_advisory_lock holds a snapshot, and an index build
// in the holder's migration (CREATE INDEX CONCURRENTLY) would never get past that snapshot.
func lock(ctx context.Context, conn *pgx.Conn) error {
	tick := time.NewTicker(lockPoll)
	defer tick.Stop()
	for {
		var ok bool
		if err := conn.QueryRow(ctx, `select pg_try_advisory_lock($1)`, int64(lockID)).Scan(&ok); err != nil {
			return err
		}
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
