// Package pgtest gives each test a database of its own on a real Postgres, cloned from a template
// that is migrated once per schema. Tests reach it as a login that is neither owner nor superuser,
// so that row-level security applies to them as it does in production.
package pgtest

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"millrace/migrations"
)

// EnvURL names the variable with the URL of the server's superuser; `make test` sets it.
const EnvURL = "MILLRACE_TEST_DATABASE_URL"

// lockID is the advisory lock, held in the server's maintenance database, under which the
// template is made; its bytes spell "mr_tmpl".
const lockID = 0x6d725f746d706c

// DB is one test's database. It is dropped when the test ends.
type DB struct {
	URL      string // login of a member of millrace_app and millrace_fleet that inherits nothing from them
	Limited  string // login of a member of millrace_workspace only, on which transactions of workspaces run
	OwnerURL string // login of the superuser that owns the tables
}

// New clones a migrated database for t.
func New(t testing.TB) *DB {
	t.Helper()
	return newDB(t, func(ctx context.Context, s *server, admin *pgx.Conn, name string) error {
		if err := s.ensureTemplate(ctx, admin); err != nil {
			return fmt.Errorf("template: %w", err)
		}
		if err := s.exec(ctx, admin, "create database %s template %s", name, s.template); err != nil {
			return err
		}
		// A clone does not take over the rights on the database itself.
		return s.exec(ctx, admin, "revoke temporary on database %s from public", name)
	})
}

// NewEmpty makes a database without any table, for tests of the migrations themselves. Its URL
// cannot log in unless a database with the schema was made on the server before.
func NewEmpty(t testing.TB) *DB {
	t.Helper()
	return newDB(t, func(ctx context.Context, s *server, admin *pgx.Conn, name string) error {
		return s.exec(ctx, admin, "create database %s template template0", name)
	})
}

// Pool opens a pool on db that acts as millrace_app, as store.OpenPool's do. It is closed when
// the test ends.
func (db *DB) Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(db.URL)
	if err != nil {
		t.Fatalf("pgtest: parse URL: %v", err)
	}
	cfg.ConnConfig.RuntimeParams["role"] = "millrace_app"
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	return openPool(t, cfg)
}

// LimitedPool opens a pool on db for transactions of workspaces, as store.OpenWorkspaces does. It is
// closed when the test ends.
func (db *DB) LimitedPool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(db.Limited)
	if err != nil {
		t.Fatalf("pgtest: parse limited URL: %v", err)
	}
	cfg.ConnConfig.RuntimeParams["role"] = "millrace_workspace"
	cfg.ConnConfig.RuntimeParams["timezone"] = "UTC"
	return openPool(t, cfg)
}

// OwnerPool opens a pool on db that owns the tables and sees every row. It is closed when the
// test ends.
func (db *DB) OwnerPool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(db.OwnerURL)
	if err != nil {
		t.Fatalf("pgtest: parse owner URL: %v", err)
	}
	return openPool(t, cfg)
}

func openPool(t testing.TB, cfg *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatalf("pgtest: open pool: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func newDB(t testing.TB, create func(context.Context, *server, *pgx.Conn, string) error) *DB {
	t.Helper()
	s, err := newServer(os.Getenv(EnvURL))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name := "mr_test_" + rand.Text()[:12]
	err = s.asAdmin(t.Context(), func(ctx context.Context, admin *pgx.Conn) error {
		return create(ctx, s, admin, name)
	})
	if err != nil {
		t.Fatalf("pgtest: make database: %v", err)
	}
	t.Cleanup(func() {
		err := s.asAdmin(context.Background(), func(ctx context.Context, admin *pgx.Conn) error {
			return s.exec(ctx, admin, "drop database if exists %s with (force)", name)
		})
		if err != nil {
			t.Errorf("pgtest: drop database: %v", err)
		}
	})
	return &DB{URL: s.url(url.UserPassword(s.login, s.password), name), Limited: s.url(url.UserPassword(s.login+migrations.LimitedSuffix, s.password), name), OwnerURL: s.url(s.admin.User, name)}
}

// server is the Postgres that tests share, and the names this schema and this URL give there.
type server struct {
	admin    *url.URL
	template string
	login    string
	password string
}

func newServer(adminURL string) (*server, error) {
	if adminURL == "" {
		return nil, errors.New(EnvURL + " is not set: run `make test`, or `bin/millrace postgres -- go test ./…`")
	}
	admin, err := url.Parse(adminURL)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", EnvURL, err)
	}
	// Every test process must find the same password without any place to keep it.
	secret := sha256.Sum256([]byte("millrace pgtest " + admin.User.String()))
	id := hex.EncodeToString(secret[:])
	return &server{
		admin:    admin,
		template: "mr_template_" + migrations.Hash() + "_" + id[:8],
		login:    "mr_test_" + id[:8],
		password: id[8:],
	}, nil
}

// asAdmin runs fn on a connection of its own to the maintenance database.
func (s *server) asAdmin(ctx context.Context, fn func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.admin.String())
	if err != nil {
		return fmt.Errorf("connect to %s: %w", EnvURL, err)
	}
	defer func() { _ = conn.Close(ctx) }()
	return fn(ctx, conn)
}

// ensureTemplate makes the template under its final name last, so that one found is complete.
func (s *server) ensureTemplate(ctx context.Context, admin *pgx.Conn) error {
	if ok, err := s.hasTemplate(ctx, admin); ok || err != nil {
		return err
	}
	if _, err := admin.Exec(ctx, "select pg_advisory_lock($1)", int64(lockID)); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	// The lock goes with the connection.
	if ok, err := s.hasTemplate(ctx, admin); ok || err != nil {
		return err
	}
	building := s.template + "_new"
	if err := s.exec(ctx, admin, "drop database if exists %s with (force)", building); err != nil {
		return err
	}
	if err := s.exec(ctx, admin, "create database %s template template0", building); err != nil {
		return err
	}
	if err := migrations.Up(ctx, s.url(s.admin.User, building)); err != nil {
		return err
	}
	if err := s.ensureLogin(ctx, admin); err != nil {
		return err
	}
	if err := s.exec(ctx, admin, "alter database %s with allow_connections false", building); err != nil {
		return err
	}
	return s.exec(ctx, admin, "alter database %s rename to %s", building, s.template)
}

func (s *server) hasTemplate(ctx context.Context, admin *pgx.Conn) (bool, error) {
	var ok bool
	err := admin.QueryRow(ctx, "select exists (select from pg_database where datname = $1)", s.template).Scan(&ok)
	return ok, err
}

// ensureLogin makes the logins that tests use. They do not inherit, so until they switch to a role of
// ours, as every pool does, they may do nothing at all.
func (s *server) ensureLogin(ctx context.Context, admin *pgx.Conn) error {
	for login, roles := range map[string]string{
		s.login: "millrace_app, millrace_tenant, millrace_fleet, millrace_workspace", s.login + migrations.LimitedSuffix: "millrace_workspace",
	} {
		var ok bool
		if err := admin.QueryRow(ctx, "select exists (select from pg_roles where rolname = $1)", login).Scan(&ok); err != nil {
			return err
		}
		if !ok {
			if err := s.exec(ctx, admin, "create role %s login noinherit password '"+s.password+"'", login); err != nil {
				return err
			}
		}
		if err := s.exec(ctx, admin, "grant "+roles+" to %s", login); err != nil {
			return err
		}
	}
	return nil
}

// exec runs a statement with identifiers filled in.
func (s *server) exec(ctx context.Context, admin *pgx.Conn, format string, names ...string) error {
	quoted := make([]any, len(names))
	for i, name := range names {
		quoted[i] = pgx.Identifier{name}.Sanitize()
	}
	_, err := admin.Exec(ctx, fmt.Sprintf(format, quoted...))
	return err
}

// url is the server's URL for another login and database.
func (s *server) url(user *url.Userinfo, database string) string {
	u := *s.admin
	u.User = user
	u.Path = "/" + database
	return u.String()
}
