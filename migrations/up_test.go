package migrations_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/migrations"
	"millrace/store/pgtest"
)

func TestTenProcessesMigrateOnce(t *testing.T) {
	db := pgtest.NewEmpty(t)
	ctx := t.Context()
	before, err := migrations.Status(ctx, db.OwnerURL)
	require.NoError(t, err)
	for _, e := range before {
		require.False(t, e.Applied, e.Name)
		require.Zero(t, e.AppliedAt, e.Name)
	}

	var group errgroup.Group
	for range 10 {
		group.Go(func() error { return migrations.Up(ctx, db.OwnerURL) })
	}
	require.NoError(t, group.Wait())

	after, err := migrations.Status(ctx, db.OwnerURL)
	require.NoError(t, err)
	require.Len(t, after, len(before))
	for _, e := range after {
		require.True(t, e.Applied, e.Name)
		require.WithinDuration(t, time.Now(), e.AppliedAt, 5*time.Minute, e.Name)
	}
	var runs, versions int
	err = db.OwnerPool(t).QueryRow(ctx, "select count(*), count(distinct version_id) from millrace_migration").Scan(&runs, &versions)
	require.NoError(t, err)
	require.Equal(t, versions, runs, "each migration is noted once")
}

// Roles are the cluster's, and the lock is one database's: of two databases that are migrated at once, both are.
func TestARoleThatAnotherDatabaseChangesAtTheSameTimeFailsNoMigration(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	login := "login_" + strings.ToLower(rand.Text())
	here, there := pgtest.New(t).OwnerURL, pgtest.New(t).OwnerURL
	bring := func(url string) error {
		_, err := migrations.Bring(ctx, url, migrations.Options{Login: login})
		return err
	}
	require.NoError(t, bring(there))
	other, err := pgx.Connect(ctx, there)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(ctx)
		_, err := other.Exec(ctx, `drop role `+login+`; drop role `+login+migrations.LimitedSuffix)
		require.NoError(t, err)
		require.NoError(t, other.Close(ctx))
	})
	_, err = other.Exec(ctx, `begin; alter role `+login+` login noinherit`)
	require.NoError(t, err)
	brought := make(chan error, 1)
	go func() { brought <- bring(here) }()
	require.Eventually(t, func() bool {
		var waits bool
		err := other.QueryRow(ctx, `select exists (select from pg_locks where not granted and pg_backend_pid() = any(pg_blocking_pids(pid)))`).Scan(&waits)
		return err == nil && waits
	}, 30*time.Second, 5*time.Millisecond)
	_, err = other.Exec(ctx, `commit`)
	require.NoError(t, err)
	require.NoError(t, <-brought)
}

func TestUpWaitsForTheLockUntilItsContextEnds(t *testing.T) {
	db := pgtest.NewEmpty(t)
	holder, err := pgx.Connect(t.Context(), db.OwnerURL)
	require.NoError(t, err)
	_, err = holder.Exec(t.Context(), "select pg_advisory_lock($1)", int64(0x6d696c6c72616365))
	require.NoError(t, err)

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, migrations.Up(ctx, db.OwnerURL), context.DeadlineExceeded)
	pool := db.OwnerPool(t)
	current, err := migrations.Current(t.Context(), pool)
	require.NoError(t, err)
	require.False(t, current, "nothing ran while another held the lock")

	require.NoError(t, holder.Close(t.Context()))
	require.NoError(t, migrations.Up(t.Context(), db.OwnerURL))
	current, err = migrations.Current(t.Context(), pool)
	require.NoError(t, err)
	require.True(t, current)
}

func TestCurrentToleratesANewerDatabaseOnly(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).OwnerPool(t)
	ctx := t.Context()
	_, err := pool.Exec(ctx, "insert into millrace_migration (version_id, is_applied) values (9999, true)")
	require.NoError(t, err)
	current, err := migrations.Current(ctx, pool)
	require.NoError(t, err)
	require.True(t, current)

	_, err = pool.Exec(ctx, "delete from millrace_migration where version_id = 2")
	require.NoError(t, err)
	current, err = migrations.Current(ctx, pool)
	require.NoError(t, err)
	require.False(t, current)
}

func TestUpNamesTheServerItCannotReach(t *testing.T) {
	t.Parallel()
	err := migrations.Up(t.Context(), "postgres://nobody@127.0.0.1:1/none?sslmode=disable")
	require.ErrorContains(t, err, "connect")
	require.ErrorContains(t, migrations.Up(t.Context(), "postgres://%zz"), "parse database URL")
}

// A table with a workspace_id that row-level security misses would leak between tenants.
func TestEveryWorkspaceTableIsSecured(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t).OwnerPool(t)
	rows, err := pool.Query(t.Context(), `
		select c.relname, c.relrowsecurity and c.relforcerowsecurity,
		       (select count(*) from pg_policy p where p.polrelid = c.oid and 'millrace_app'::regrole = any (p.polroles) and 'millrace_workspace'::regrole = any (p.polroles)) > 0,
		       has_table_privilege('millrace_app', c.oid, 'truncate') or has_table_privilege('public', c.oid, 'select')
		  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'workspace_id'
		 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
		 order by 1`)
	require.NoError(t, err)
	var table string
	var forced, policy, loose bool
	seen := 0
	_, err = pgx.ForEachRow(rows, []any{&table, &forced, &policy, &loose}, func() error {
		seen++
		require.True(t, forced, "%s: row-level security is forced", table)
		require.True(t, policy, "%s: a policy for millrace_app and millrace_workspace", table)
		require.False(t, loose, "%s: no way around the policy", table)
		return nil
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, seen, 5)
}

func TestHashIsStable(t *testing.T) {
	t.Parallel()
	require.Regexp(t, "^[0-9a-f]{16}$", migrations.Hash())
	require.Equal(t, migrations.Hash(), migrations.Hash())
}
