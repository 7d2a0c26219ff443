package store_test

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"

	"millrace/store"
)

func TestErrorsThatSayNotNow(t *testing.T) {
	t.Parallel()
	for code, notNow := range map[string]bool{
		"53100": true, "53200": true, "53300": true, "25006": true, "25P03": true, "57P01": true, "57P03": true,
		"08006": true, "40001": true, "40P01": true, "55P03": true,
		"57014": false, "57P04": false, "23505": false, "42P01": false, "22P05": false, "28P01": false,
	} {
		err := fmt.Errorf("save: %w", &pgconn.PgError{Code: code})
		require.Equal(t, notNow, store.Transient(err), code)
		require.Equal(t, notNow, store.Refused(err), code)
	}
	pooled := &pgconn.PgError{Code: "08P01", Message: "unsupported startup parameter: role"}
	require.False(t, store.Transient(pooled), "a pooler refuses it each time")
	require.True(t, store.Pooled(pooled))
	crashed := &pgconn.PgError{Code: "08P01", Message: "server conn crashed?"}
	require.True(t, store.Transient(crashed))
	require.False(t, store.Pooled(crashed))
	require.False(t, store.Transient(nil))
	require.False(t, store.Transient(errors.New("no such strategy")))
}

// A server whose disk is full refuses a new session with the code of an internal error.
func TestAServerThatCannotMakeASessionSaysNotNow(t *testing.T) {
	t.Parallel()
	for code, notNow := range map[string]bool{"XX000": true, "58030": true, "53300": true, "57P03": true, "28P01": false, "3D000": false} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go func() {
			defer func() { _ = listener.Close() }()
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			backend := pgproto3.NewBackend(conn, conn)
			if _, err := backend.ReceiveStartupMessage(); err == nil {
				backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: "could not write init file"})
				_ = backend.Flush()
			}
			_ = conn.Close()
		}()
		_, err = pgconn.Connect(t.Context(), "postgres://u@"+listener.Addr().String()+"/d?sslmode=disable")
		require.Error(t, err)
		require.Equal(t, notNow, store.Transient(fmt.Errorf("save: %w", err)), "%s: %v", code, err)
	}
}
