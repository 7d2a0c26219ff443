package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/migrations"
	"millrace/store/pgtest"
)

// started runs a server that must not start, and returns the exit status and why it did not.
func started(t *testing.T, url string, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	t.Setenv("CONFIG_PROFILE", "production")
	t.Setenv("CORS_ORIGINS", "none")
	t.Setenv("ADMIN_TOKEN", strings.Repeat("t", 40))
	status := run(refusal(t), append(args, "--database-url", url), &out, &out)
	return status, out.String()
}

// refusal stops a server that starts although it must not, so that its test fails by what it says.
func refusal(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// In production no server starts with a login that row-level security does not hold for.
func TestProductionRefusesLoginsThatGetRoundRowLevelSecurity(t *testing.T) {
	db := pgtest.New(t)
	owner, err := pgx.Connect(t.Context(), db.OwnerURL)
	require.NoError(t, err)
	defer func() { _ = owner.Close(t.Context()) }()
	exec := func(statement string) {
		t.Helper()
		_, err := owner.Exec(t.Context(), statement)
		require.NoError(t, err, statement)
	}
	login := "mr_login_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	u, err := url.Parse(db.OwnerURL)
	require.NoError(t, err)
	u.User = url.UserPassword(login, "secret")
	exec(`create role ` + login + ` login noinherit password 'secret'`)
	exec(`grant millrace_app, millrace_tenant, millrace_fleet to ` + login)
	defer exec(`drop role ` + login)

	servers := [][]string{{"api", "--addr", "127.0.0.1:0"}, {"worker"}}
	check := func(url, why string) {
		t.Helper()
		for _, server := range servers {
			status, said := started(t, url, server...)
			require.Equal(t, 2, status, said)
			require.Contains(t, said, why)
			require.NotContains(t, said, server[0]+" ready")
		}
	}
	check(db.OwnerURL, "is a superuser")
	exec(`alter role ` + login + ` bypassrls`)
	check(u.String(), "bypasses row-level security")
	exec(`alter role ` + login + ` nobypassrls`)
	exec(`create role ` + login + `_owner; grant ` + login + `_owner to ` + login + `; alter table workers owner to ` + login + `_owner`)
	check(u.String(), "owns the tables")
	exec(`alter table workers owner to current_user; drop role ` + login + `_owner`)
	exec(`alter role ` + login + ` inherit`)
	check(u.String(), "inherits the rights")
	exec(`alter role ` + login + ` noinherit`)
	// As a pooler has it that drops startup parameters: the role is the login's own.
	check(withoutRole(t, u), "drops the startup parameter role")
	// Transactions of workspaces run on a login of their own, which may act as nothing else.
	check(u.String(), "no limited login beside it")
	limited := login + migrations.LimitedSuffix
	exec(`create role ` + limited + ` login noinherit password 'secret'; grant millrace_workspace, millrace_app to ` + limited)
	defer exec(`drop role ` + limited)
	check(u.String(), limited+" may act as millrace_app")
	exec(`revoke millrace_app from ` + limited + `; alter role ` + limited + ` bypassrls`)
	check(u.String(), "bypasses row-level security")
}

// withoutRole is the address of a pooler that drops the startup parameter role.
func withoutRole(t *testing.T, server *url.URL) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go pass(client, server.Host)
		}
	}()
	through := *server
	through.Host = listener.Addr().String()
	return through.String()
}

// pass forwards a connection, without the role that its first message asks for.
func pass(client net.Conn, to string) {
	defer func() { _ = client.Close() }()
	var length [4]byte
	if _, err := io.ReadFull(client, length[:]); err != nil {
		return
	}
	startup := make([]byte, binary.BigEndian.Uint32(length[:])-4)
	if _, err := io.ReadFull(client, startup); err != nil {
		return
	}
	startup = bytes.Replace(startup, []byte("\x00role\x00millrace_app\x00"), []byte("\x00"), 1)
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	_, _ = server.Write(binary.BigEndian.AppendUint32(nil, uint32(len(startup)+4)))
	_, _ = server.Write(startup)
	go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
	_, _ = io.Copy(client, server)
}

// A database that lacks what protects its data, as after a restore, has no servers.
func TestServersDoNotStartOnAnIncompleteDatabase(t *testing.T) {
	for statement, name := range map[string]string{
		`drop policy tenant on tunes`:                      "policy tenant on tunes",
		`drop trigger event_log_river_insert on river_job`: "trigger event_log_river_insert on river_job",
	} {
		db := pgtest.New(t)
		_, err := db.OwnerPool(t).Exec(t.Context(), statement)
		require.NoError(t, err)
		for _, server := range [][]string{{"api", "--addr", "127.0.0.1:0"}, {"worker"}} {
			status, said := started(t, db.URL, server...)
			require.Equal(t, 1, status, said)
			require.Contains(t, said, name)
			require.Contains(t, said, "millrace migrate up")
			require.NotContains(t, said, server[0]+" ready")
		}
	}
}
