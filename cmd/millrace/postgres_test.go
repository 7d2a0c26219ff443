package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// killPostgres kills the server of a folder, once it is there and the file too, and waits no longer than ctx.
func killPostgres(ctx context.Context, folder, ready string) error {
	for {
		root := folder
		if elsewhere, err := os.ReadFile(filepath.Join(folder, "location")); err == nil {
			root = strings.TrimSpace(string(elsewhere))
		}
		text, err := os.ReadFile(filepath.Join(root, "pgdata", "postmaster.pid"))
		if _, missing := os.Stat(ready); err == nil && missing == nil {
			line, _, _ := strings.Cut(string(text), "\n")
			pid, err := strconv.Atoi(line)
			if err != nil {
				return err
			}
			return syscall.Kill(pid, syscall.SIGKILL)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// What has a Postgres of its own ends with it, and says so: nothing would bring it back.
func TestWhatHasItsOwnPostgresEndsWithIt(t *testing.T) {
	only(t)
	for verb, c := range map[string]struct {
		data, ready string
		args        []string
	}{
		"dev":      {"postgres", "dev.env", []string{"--addr", "127.0.0.1:0"}},
		"postgres": {".", "ready", []string{"--", "sh", "-c", "touch $READY; exec sleep 600"}},
	} {
		t.Run(verb, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			data := t.TempDir()
			t.Setenv("READY", filepath.Join(data, c.ready))
			killed := make(chan error, 1)
			go func() { killed <- killPostgres(ctx, filepath.Join(data, c.data), os.Getenv("READY")) }()
			var out, errs bytes.Buffer
			require.Equal(t, 1, run(ctx, append([]string{verb, "--data", data}, c.args...), &out, &errs))
			require.NoError(t, <-killed)
			require.NoError(t, ctx.Err())
			require.Contains(t, errs.String(), "millrace: postgres has ended, though nobody asked it to")
		})
	}
}
