package migrations

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"millrace/store/session"
)

//go:embed sql/*.sql
var files embed.FS

// table is where goose notes which of our files have run.
const table = "millrace_migration"

// Entry is one migration and whether the database has it.
type Entry struct {
	Set       string    `json:"set"` // "river" or "millrace"
	Version   int64     `json:"version"`
	Name      string    `json:"name"`
	Applied   bool      `json:"applied"`
	AppliedAt time.Time `json:"applied_at,omitzero"` // zero while pending
}

// Querier is what Current needs of a pool, a connection or a transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// Hash names the schema: 16 hex digits over the text of every migration, in order. Two builds
// with the same hash make the same empty database.
func Hash() string {
	sum := sha256.New()
	for _, m := range riverMigrations() {
		fmt.Fprintf(sum, "river %d\n%s\n", m.Version, m.SQLUp)
	}
	for _, e := range ours() {
		text, err := files.ReadFile(path.Join("sql", e.Name+".sql"))
		if err != nil {
			panic("migrations: embedded file cannot be read: " + err.Error())
		}
		fmt.Fprintf(sum, "millrace %d\n%s\n", e.Version, text)
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

// Status lists every migration in the order it runs, those not applied included. It changes
// nothing, and works on an empty database.
func Status(ctx context.Context, databaseURL string) ([]Entry, error) {
	conn, err := session.Connect(ctx, databaseURL, session.Schema())
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	return status(ctx, conn)
}

// Current reports whether every migration of this build is applied. A database that is newer
// than the build is current: migrations expand before they contract, so older code runs on it.
func Current(ctx context.Context, db Querier) (bool, error) {
	entries, err := status(ctx, db)
	if err != nil {
		return false, err
	}
	return !slices.ContainsFunc(entries, func(e Entry) bool { return !e.Applied }), nil
}

func status(ctx context.Context, db Querier) ([]Entry, error) {
	river, err := applied(ctx, db, `select version, created_at from river_migration where line = 'main'`)
	if err != nil {
		return nil, fmt.Errorf("read River's migrations: %w", err)
	}
	own, err := applied(ctx, db, `select version_id, tstamp at time zone 'UTC'
		from `+table+` where is_applied and version_id > 0`)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", table, err)
	}
	entries := all()
	for i, e := range entries {
		done := own
		if e.Set == "river" {
			done = river
		}
		entries[i].AppliedAt, entries[i].Applied = done[e.Version]
	}
	return entries, nil
}

// applied runs a query of versions and times; a table that is not there yet has none.
func applied(ctx context.Context, db Querier, query string) (map[int64]time.Time, error) {
	rows, err := db.Query(ctx, query)
	if err != nil {
		return nil, ignoreUndefinedTable(err)
	}
	done := map[int64]time.Time{}
	var version int64
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&version, &at}, func() error {
		done[version] = at
		return nil
	})
	return done, ignoreUndefinedTable(err)
}

func ignoreUndefinedTable(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42P01" {
		return nil
	}
	return err
}

// all lists the migrations of this build in the order they run.
func all() []Entry {
	var entries []Entry
	for _, m := range riverMigrations() {
		entries = append(entries, Entry{Set: "river", Version: int64(m.Version), Name: m.Name})
	}
	return append(entries, ours()...)
}

func ours() []Entry {
	names, err := fs.Glob(files, "sql/*.sql")
	if err != nil {
		panic("migrations: bad pattern: " + err.Error())
	}
	entries := make([]Entry, 0, len(names))
	for _, name := range names {
		name = strings.TrimSuffix(path.Base(name), ".sql")
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			panic("migrations: file name without a number: " + name)
		}
		entries = append(entries, Entry{Set: "millrace", Version: version, Name: name})
	}
	return entries
}

func riverMigrations() []rivermigrate.Migration {
	migrator, err := riverMigrator(nil)
	if err != nil {
		panic("migrations: River's bundle cannot be read: " + err.Error())
	}
	return migrator.AllVersions()
}

func riverMigrator(pool *pgxpool.Pool) (*rivermigrate.Migrator[pgx.Tx], error) {
	return rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
}
