package pgtest_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/migrations"
	"millrace/store/pgtest"
)

func TestNewIsMigrated(t *testing.T) {
	db := pgtest.New(t)
	current, err := migrations.Current(t.Context(), db.Pool(t))
	require.NoError(t, err)
	require.True(t, current)
}

func TestDatabasesAreSeparate(t *testing.T) {
	var a, b *pgtest.DB
	var wg sync.WaitGroup
	wg.Go(func() { a = pgtest.New(t) })
	wg.Go(func() { b = pgtest.New(t) })
	wg.Wait()
	_, err := a.OwnerPool(t).Exec(t.Context(), "create table only_here (id int)")
	require.NoError(t, err)
	var found *string
	require.NoError(t, b.OwnerPool(t).QueryRow(t.Context(), "select to_regclass('only_here')::text").Scan(&found))
	require.Nil(t, found)
}

func TestLoginIsBoundByRowLevelSecurity(t *testing.T) {
	db := pgtest.New(t)
	ctx := t.Context()
	_, err := db.OwnerPool(t).Exec(ctx, "insert into workspaces (id, name) values (gen_random_uuid(), 'a'), (gen_random_uuid(), 'b')")
	require.NoError(t, err)

	count := func(conn *pgx.Conn) (n int, err error) {
		err = conn.QueryRow(ctx, "select count(*) from workspaces").Scan(&n)
		return n, err
	}
	conn, err := pgx.Connect(ctx, db.URL)
	require.NoError(t, err)
	defer func() { _ = conn.Close(ctx) }()

	_, err = count(conn)
	require.ErrorContains(t, err, "permission denied", "the login itself may read nothing")
	_, err = conn.Exec(ctx, "set role millrace_app")
	require.NoError(t, err)
	n, err := count(conn)
	require.NoError(t, err)
	require.Zero(t, n, "no workspace is set")
	_, err = conn.Exec(ctx, "set role millrace_fleet")
	require.NoError(t, err)
	n, err = count(conn)
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestDatabaseIsDroppedWithItsSessions(t *testing.T) {
	var name string
	var left *pgx.Conn
	ctx := t.Context()
	t.Run("inner", func(t *testing.T) {
		db := pgtest.New(t)
		conn, err := pgx.Connect(context.WithoutCancel(ctx), db.URL)
		require.NoError(t, err)
		left = conn
		require.NoError(t, conn.QueryRow(ctx, "select current_database()").Scan(&name))
	})
	require.Error(t, left.Ping(ctx), "the session that the test left open was ended")
	var exists bool
	err := pgtest.New(t).OwnerPool(t).QueryRow(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&exists)
	require.NoError(t, err)
	require.False(t, exists)
}
