package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSchedulesAreAddedPausedRunAndRemoved(t *testing.T) {
	v := newVerbs(t)
	v.ok("admin", "workspace", "create", "research")
	as := []string{"--url", v.url, "--api-key", strings.TrimSpace(v.ok("admin", "key", "create", "research", "ci"))}
	request := filepath.Join(t.TempDir(), "request.json")
	require.NoError(t, os.WriteFile(request, []byte(`{"url": "https://example.com/notes"}`), 0o600))
	schedules := func(args ...string) string {
		return v.ok(append(append([]string{"schedules"}, args...), as...)...)
	}
	added := schedules("add", "notes", "--kind", "ingestion", "--request", request, "--cron", "30 6 * * 1-5", "--time-zone", "Europe/Berlin")
	found := regexp.MustCompile(`^schedule (\S+)  notes  next 20`).FindStringSubmatch(added)
	require.Len(t, found, 2, added)
	id := found[1]
	require.Contains(t, schedules("list"), "30 6 * * 1-5 Europe/Berlin")
	require.Contains(t, schedules("pause", id), "next paused")
	require.Contains(t, schedules("show", id), `"paused":true`)
	require.Contains(t, schedules("run", id), "due")
	require.Regexp(t, `(?m)^20\S.* manual +due`, schedules("history", id))
	require.Contains(t, schedules("resume", id), "next 20")
	schedules("rm", id)
	require.Equal(t, "id,name,kind,cron,next,last,changed\n", schedules("list", "-o", "csv"))

	status, _, errs := v.run(append([]string{"schedules", "add", "never", "--kind", "ingestion", "--request", request, "--cron", "0 0 30 2 *"}, as...)...)
	require.Equal(t, 1, status)
	require.Contains(t, errs, "never fires")
}
