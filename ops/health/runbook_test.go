package health_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/ops"
	"millrace/ops/health"
)

// An operator who types the section's commands, one after the other in one session of their own, ends the fault:
// that session obeys the setting as well.
func TestTheRunbookEndsADatabaseThatOnlyReads(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	status := func() ops.Status {
		for _, c := range health.New(w.opts).Look(t.Context()).Components {
			if c.Name == "database" {
				return c.Status
			}
		}
		return ""
	}
	w.exec(`do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$`)
	w.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
	require.Eventually(t, func() bool { return status() == ops.StatusError }, 30*time.Second, 50*time.Millisecond)

	page, err := os.ReadFile("../runbooks/db.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "## only reads\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	_, do, found := strings.Cut(section, "**Do.**")
	require.True(t, found)
	operator, err := pgx.ConnectConfig(t.Context(), w.owner.Config().ConnConfig)
	require.NoError(t, err)
	defer func() { _ = operator.Close(t.Context()) }()
	typed := 0
	for _, span := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(do, -1) {
		command := span[1]
		switch {
		case strings.Contains(command, "pg_promote"), strings.Contains(command, "…"), !strings.Contains(command, " "):
			continue // of another cause, or a name
		case strings.Contains(command, "pg_terminate_backend"):
			// The server of the test is everybody's.
			command += ` and datname = current_database() and pid <> pg_backend_pid()`
		}
		command = strings.Replace(command, "NAME", pgx.Identifier{operator.Config().Database}.Sanitize(), 1)
		_, err := operator.Exec(t.Context(), command)
		require.NoError(t, err, command)
		typed++
	}
	require.Equal(t, 3, typed)
	require.Eventually(t, func() bool { return status() == ops.StatusOK }, 30*time.Second, 50*time.Millisecond)
}
