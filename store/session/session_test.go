package session_test

import (
	"context"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/session"
)

// settings reads what a session was opened with.
func settings(t *testing.T, conn *pgx.Conn) map[string]string {
	t.Helper()
	rows, err := conn.Query(t.Context(), `
		select name, setting from pg_settings
		 where name in ('idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout', 'tcp_user_timeout',
		                'tcp_keepalives_idle', 'tcp_keepalives_interval', 'tcp_keepalives_count', 'client_connection_check_interval')`)
	require.NoError(t, err)
	found := map[string]string{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error { found[name] = value; return nil })
	require.NoError(t, err)
	return found
}

func TestEverySessionIsOpenedWithItsLimits(t *testing.T) {
	db := pgtest.New(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 1})
	require.NoError(t, err)
	defer pool.Close()
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	want := map[string]string{
		"idle_in_transaction_session_timeout": "1000", "lock_timeout": "5000", "statement_timeout": "60000",
		"tcp_user_timeout": "5000", "tcp_keepalives_idle": "3", "tcp_keepalives_interval": "1", "tcp_keepalives_count": "3",
		"client_connection_check_interval": "5000",
	}
	require.Equal(t, want, settings(t, conn.Conn()))
	schema, err := session.Connect(t.Context(), db.OwnerURL, session.Schema())
	require.NoError(t, err)
	defer func() { _ = schema.Close(context.Background()) }()
	want["idle_in_transaction_session_timeout"], want["lock_timeout"], want["statement_timeout"] = "60000", "30000", "0"
	require.Equal(t, want, settings(t, schema))
	if runtime.GOOS == "linux" {
		require.Equal(t, 5000, socketOption(t, conn.Conn().PgConn().Conn(), 0x12), "TCP_USER_TIMEOUT in milliseconds")
		require.Equal(t, 3, socketOption(t, conn.Conn().PgConn().Conn(), 4), "TCP_KEEPIDLE in seconds")
	}
}

func socketOption(t *testing.T, conn net.Conn, option int) (value int) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) {
		value, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, option)
	}))
	require.NoError(t, err)
	return value
}

func TestTheURLsOwnLimitsStay(t *testing.T) {
	cfg, err := pgx.ParseConfig("postgres://h/d?lock_timeout=7&connect_timeout=9")
	require.NoError(t, err)
	session.Configure(cfg, session.Work())
	require.Equal(t, "7", cfg.RuntimeParams["lock_timeout"])
	require.Equal(t, 9*time.Second, cfg.ConnectTimeout)
}

// A client that freezes in the middle of a transaction is one that sends nothing more.
func TestAFrozenClientsLockIsReleased(t *testing.T) {
	db := pgtest.New(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 2})
	require.NoError(t, err)
	defer pool.Close()
	frozen, err := pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = frozen.Rollback(context.Background()) }()
	const lock = `select pg_advisory_xact_lock(1)`
	_, err = frozen.Exec(t.Context(), lock)
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), lock)
	require.NoError(t, err, "the frozen session's lock was not released before another's lock_timeout")
	_, err = frozen.Exec(t.Context(), `select 1`)
	require.Error(t, err)
	require.True(t, store.Transient(err), "the frozen client's work is to be done again: %v", err)
}
