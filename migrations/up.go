package migrations

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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

// Report is what Bring did.
type Report struct {
	Applied  []string // migrations
	Repaired []string // roles, rights, policies and triggers that were missing, as after a restore
	NewEpoch bool     // the event log is a restored one, so cursors of before are refused
	Cron     string   // who runs the retention schedule where the server has pg_cron; else empty
}

// Options are what Bring does beside migrating.
type Options struct {
	NewEpoch      bool   // begin a new epoch of the event log in any case
	Login         string // role that servers log in as, made if there is none; empty: none
	LoginPassword string // given to Login; empty: it is left as it is
}

// Up is Bring without options and report.
func Up(ctx context.Context, databaseURL string) error {
	_, err := Bring(ctx, databaseURL, Options{})
	return err
}

// Bring applies every migration that is missing. Processes that start together are serialised by an
// advisory lock, so each migration runs once; those that come late find nothing to do. Each migration
// commits by itself: after a failure the earlier ones stay, and the next call continues from there.
// Then it makes what a restore left out. The URL's login must own the schema and, on a cluster that
// lacks our roles, be allowed to create them.
func Bring(ctx context.Context, databaseURL string, opts Options) (report Report, err error) {
	pool, err := lockedPool(ctx, databaseURL)
	if err != nil {
		return report, err
	}
	defer pool.Close() // ends the session, and with it the lock
	before, err := status(ctx, pool)
	if err != nil {
		return report, err
	}
	var made []string
	err = besideOthers(ctx, func() error {
		more, err := makeRoles(ctx, pool)
		made = append(made, more...)
		return err
	})
	if err != nil {
		return report, err
	}
	if err := besideOthers(ctx, func() error { return migrate(ctx, pool) }); err != nil {
		return report, err
	}
	for _, e := range before {
		if !e.Applied {
			report.Applied = append(report.Applied, e.Name)
		}
	}
	err = besideOthers(ctx, func() error {
		more, err := repair(ctx, pool)
		report.Repaired = append(report.Repaired, more...)
		return err
	})
	if len(report.Applied) < len(before) { // the roles of a new database are not repaired, but made
		report.Repaired = append(made, report.Repaired...)
	}
	if err != nil {
		return report, err
	}
	if len(report.Repaired) > 0 {
		if err := shareRights(ctx, pool); err != nil {
			return report, err
		}
	}
	if opts.Login != "" {
		if err := besideOthers(ctx, func() error { return ensureLogins(ctx, pool, opts.Login, opts.LoginPassword) }); err != nil {
			return report, err
		}
	}
	if err := pool.QueryRow(ctx, `select event_log_renew($1)`, opts.NewEpoch).Scan(&report.NewEpoch); err != nil {
		return report, fmt.Errorf("look at the event log's epoch: %w", err)
	}
	report.Cron, err = ensureCron(ctx, pool)
	return report, err
}

// besideOthers runs what may change roles, and again when another database of the cluster changed the same at that moment:
// roles are the cluster's, and the lock is one of this database. What it did before it failed is committed, or undone.
func besideOthers(ctx context.Context, change func() error) error {
	const tries = 100
	for try := 1; ; try++ {
		err := change()
		if err == nil || try == tries || !rolesChanged(err) {
			return err
		}
		pause := time.NewTimer(lockPoll)
		select {
		case <-ctx.Done():
			pause.Stop()
			return err
		case <-pause.C:
		}
	}
}

// rolesChanged reports whether a statement failed because another one changed the same role, or made the same
// membership, at the same time. Postgres waits for neither, and has no code of its own for the first.
func rolesChanged(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	switch pg.Code {
	case "XX000":
		return pg.Message == "tuple concurrently updated" || pg.Message == "tuple concurrently deleted"
	case "23505":
		return pg.TableName == "pg_auth_members" || pg.TableName == "pg_authid"
	}
	return false
}

// migrate applies River's migrations and ours.
func migrate(ctx context.Context, pool *pgxpool.Pool) error {
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
	return shareRights(ctx, pool)
}

// shareRights gives transactions of workspaces the rights to what migrations have made.
func shareRights(ctx context.Context, pool *pgxpool.Pool) error {
	if _, err := pool.Exec(ctx, `select share_rights_with_workspaces()`); err != nil {
		return fmt.Errorf("share the rights with transactions of workspaces: %w", err)
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
