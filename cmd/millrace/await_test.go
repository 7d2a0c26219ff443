package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// What waiting cannot help is an error at once, and what stays away is one in the end.
func TestADatabaseIsWaitedForWithinALimit(t *testing.T) {
	t.Parallel()
	env := &environment{stdout: io.Discard, stderr: io.Discard, logger: slog.New(slog.DiscardHandler), awaits: &awaiting{}}
	away, asked, begun := &pgconn.PgError{Code: "57P03"}, 0, 0
	await := func(within time.Duration, answers ...error) error {
		asked, begun = 0, 0
		return awaitDatabase(t.Context(), env, func(context.Context) error {
			asked++
			return answers[min(asked, len(answers))-1]
		}, within, func() error {
			begun++
			require.Equal(t, "the database", env.awaits.String())
			return nil
		})
	}
	require.NoError(t, await(time.Hour, nil))
	require.Equal(t, []int{1, 0}, []int{asked, begun})
	require.NoError(t, await(time.Hour, away, away, nil))
	require.Equal(t, []int{3, 1}, []int{asked, begun})
	require.ErrorIs(t, await(time.Nanosecond, away), away)
	wrong := &pgconn.PgError{Code: "28P01"}
	require.ErrorIs(t, await(time.Hour, wrong), wrong)
	require.Equal(t, []int{1, 0}, []int{asked, begun})
	require.ErrorIs(t, await(time.Hour, away, wrong), wrong)
	pooled := &pgconn.PgError{Code: "08P01", Message: "unsupported startup parameter: role"}
	require.ErrorContains(t, await(time.Hour, pooled), "pooler")
	require.Equal(t, []int{1, 0}, []int{asked, begun})
	require.Empty(t, env.awaits.String())
	taken := errors.New("the address is taken")
	require.ErrorIs(t, awaitDatabase(t.Context(), env, func(context.Context) error { return away }, time.Hour, func() error { return taken }), taken)
}

// Processes that start before their database say so where health is asked, and begin once it answers.
func TestProcessesWaitForTheirDatabase(t *testing.T) {
	f := newFleet(t)
	require.NoError(t, f.cluster.Stop(context.Background()))
	worker := f.process("worker", "--metrics-addr", "127.0.0.1:0")
	api := f.process("api", "--addr", "127.0.0.1:0")
	refused := f.process("api", "--addr", "127.0.0.1:0")
	get := func(url string) (int, string) {
		resp, err := http.Get(url)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	internal := "http://" + worker.await("metrics_addr=") + "/healthz"
	worker.await("the database is away")
	status, body := get(internal)
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"status":"ok","waits_for":"the database"}`, body)
	at := "http://" + api.await("at=")
	status, _ = get(at + "/healthz")
	require.Equal(t, http.StatusOK, status)
	status, body = get(at + "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, `"field":"database"`)
	refused.await("at=")
	require.NoError(t, refused.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, refused.cmd.Wait(), "a signal ends the wait")
	require.False(t, strings.Contains(worker.log.String(), "worker ready"))

	f.startDatabase()
	ready := "http://" + api.await("api ready\" addr=")
	worker.await("worker ready")
	status, body = get(internal)
	require.Equal(t, http.StatusOK, status)
	require.JSONEq(t, `{"status":"ok"}`, body)
	status, body = get(ready + "/readyz")
	require.Equal(t, http.StatusOK, status, body)
}
