package main

import (
	"bytes"
	"context"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest/ohlcv"
	"millrace/migrations"
	"millrace/ops/program"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/localpg"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// chapter is a page of the documentation whose commands a test runs as they stand there.
type chapter struct {
	t      *testing.T
	text   string
	folder string            // where the commands run
	vars   map[string]string // what an operator fills in
}

func openChapter(t *testing.T, name, binary string) *chapter {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "ops/docs", name))
	require.NoError(t, err)
	bin := filepath.Dir(program.Find(t, "postgresql-15", "pg_basebackup"))
	return &chapter{t: t, text: string(text), folder: t.TempDir(), vars: map[string]string{
		"PATH": filepath.Dir(binary) + ":" + bin + ":" + os.Getenv("PATH"),
	}}
}

// block is the text of a fenced block, by its language and name.
func (c *chapter) block(name string) string {
	c.t.Helper()
	match := regexp.MustCompile("(?s)```" + name + "\n(.*?)```").FindStringSubmatch(c.text)
	require.NotNil(c.t, match, "the chapter has no block %s", name)
	return match[1]
}

// run runs a block of commands with the variables, and returns what they print.
func (c *chapter) run(name string) (string, error) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "bash", "-euc", c.block("sh "+name))
	cmd.Dir = c.folder
	cmd.Env = os.Environ()
	for name, value := range c.vars {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (c *chapter) mustRun(name string) string {
	c.t.Helper()
	out, err := c.run(name)
	require.NoError(c.t, err, "%s", out)
	return out
}

// conf are the settings of a block, with the variables filled in.
func (c *chapter) conf(name string) map[string]string {
	c.t.Helper()
	settings := map[string]string{}
	for _, line := range strings.Split(strings.TrimSpace(c.block("conf "+name)), "\n") {
		key, value, found := strings.Cut(line, " = ")
		require.True(c.t, found, line)
		settings[key] = os.Expand(strings.Trim(value, "'"), func(v string) string { return c.vars[v] })
	}
	return settings
}

// reachable makes a folder that the server's user, who is another where tests run as root, may enter.
func reachable(t *testing.T) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "millrace-backup-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	require.NoError(t, os.Chmod(folder, 0o777))
	return folder
}

// startOn runs a server on a copy of another's data folder, with that one's password.
func startOn(t *testing.T, pgdata, passwordOf string, settings map[string]string) *localpg.Cluster {
	t.Helper()
	u, err := url.Parse(passwordOf)
	require.NoError(t, err)
	password, _ := u.User.Password()
	home := filepath.Dir(pgdata)
	require.NoError(t, os.WriteFile(filepath.Join(home, "password"), []byte(password+"\n"), 0o600))
	if os.Geteuid() == 0 { // what pg_basebackup wrote as root belongs to the server's user
		as, err := user.Lookup("postgres")
		require.NoError(t, err)
		uid, err := strconv.Atoi(as.Uid)
		require.NoError(t, err)
		gid, err := strconv.Atoi(as.Gid)
		require.NoError(t, err)
		require.NoError(t, filepath.WalkDir(home, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(path, uid, gid)
		}))
	}
	cluster, err := localpg.Start(t.Context(), localpg.Options{DataDir: home, Throwaway: true, Settings: settings})
	require.NoError(t, err)
	t.Cleanup(func() { _ = cluster.Stop(context.Background()) })
	return cluster
}

func newCluster(t *testing.T, settings map[string]string) *localpg.Cluster {
	t.Helper()
	cluster, err := localpg.Start(t.Context(), localpg.Options{Throwaway: true, Settings: settings})
	require.NoError(t, err)
	t.Cleanup(func() { _ = cluster.Stop(context.Background()) })
	return cluster
}

func openSet(t *testing.T, databaseURL string) *stores.Set {
	t.Helper()
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: databaseURL, MaxConns: 2})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return stores.New(pool, nil)
}

// logEnd is the cursor of a client that has followed the stream to its end.
func logEnd(t *testing.T, databaseURL string) eventlog.Cursor {
	t.Helper()
	set := openSet(t, databaseURL)
	session, err := set.EventLog.OpenSession(t.Context())
	require.NoError(t, err)
	defer session.Close(t.Context())
	bounds, _, err := session.Bounds(t.Context())
	require.NoError(t, err)
	end, _, err := session.Newest(t.Context(), bounds.Floor)
	require.NoError(t, err)
	require.True(t, bounds.Covers(end))
	return end
}

// covers reports whether a database resumes a stream from the cursor.
func covers(t *testing.T, databaseURL string, cursor eventlog.Cursor) bool {
	t.Helper()
	bounds, err := openSet(t, databaseURL).EventLog.Bounds(t.Context())
	require.NoError(t, err)
	return bounds.Covers(cursor)
}

// newFleetOn is a fleet without any process yet, on a cluster that is there.
func newFleetOn(t *testing.T, cluster *localpg.Cluster) *fleetUnderTest {
	t.Helper()
	f := &fleetUnderTest{t: t, binary: filepath.Join(t.TempDir(), "millrace"), cluster: cluster}
	out, err := exec.Command("go", "build", "-o", f.binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, migrations.Up(t.Context(), cluster.URL()))
	set := openSet(t, cluster.URL())
	workspace, err := set.Tenants.CreateWorkspace(t.Context(), "e2e", 2)
	require.NoError(t, err)
	f.key, err = set.Tenants.CreateKey(t.Context(), workspace.ID, "e2e", tenants.RoleOwner)
	require.NoError(t, err)
	return f
}

// finishedTune uploads a dataset and runs a small tune to its end.
func (f *fleetUnderTest) finishedTune() tuneBytes {
	f.t.Helper()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 600})
	require.NoError(f.t, err)
	var csv bytes.Buffer
	require.NoError(f.t, ohlcv.WriteCSV(&csv, bars))
	f.upload("walk", csv.Bytes())
	tune := f.wait(f.submit("small", smallTune).TuneID, ended)
	require.Equal(f.t, "completed", tune.Status)
	return tune
}

const smallTune = `{"dataset":"walk","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[20,40]},
	"gates":{"max_drawdown_pct":99,"min_trades":0}}`

// answers are what the API says of what the database holds.
func (f *fleetUnderTest) answers(tune string) string {
	f.t.Helper()
	var all strings.Builder
	for _, path := range []string{"/datasets", "/backtests/tunes", "/backtests/tunes/" + tune, "/backtests/tunes/" + tune + "/trials"} {
		status, answer := f.call(http.MethodGet, path, "", nil)
		require.Equal(f.t, http.StatusOK, status, string(answer))
		all.Write(answer)
	}
	return all.String()
}

// A dump, a new cluster, a restore, the migration, and the same answers; without the roles made first,
// too. Cursors of the old log are refused.
func TestTheBackupChapterRestoresADatabase(t *testing.T) {
	f := newFleetOn(t, newCluster(t, nil))
	c := openChapter(t, "backup.md", f.binary)
	f.url = "http://" + f.process("api", "--addr", "127.0.0.1:0").await("addr=")
	worker := f.process("worker", "--queues", "trials:1,tunes:1")
	tune := f.finishedTune()
	require.NoError(t, worker.cmd.Process.Kill())
	want, cursor := f.answers(tune.TuneID), logEnd(t, f.cluster.URL())
	c.vars["SUPERUSER_URL"] = f.cluster.URL()
	c.mustRun("dump")

	for _, rolesFirst := range []bool{true, false} {
		f.cluster = newCluster(t, nil)
		c.vars["NEW_URL"] = f.cluster.URL()
		var said string
		if rolesFirst {
			said = c.mustRun("restore")
		} else {
			restore := exec.Command("bash", "-c", `pg_restore --no-owner --dbname="$NEW_URL" millrace.dump`)
			restore.Dir, restore.Env = c.folder, append(os.Environ(), "PATH="+c.vars["PATH"], "NEW_URL="+f.cluster.URL())
			require.Error(t, restore.Run(), "roles are missing")
			var out bytes.Buffer
			status := run(t.Context(), []string{"api", "--addr", "127.0.0.1:0", "--database-url", f.cluster.URL()}, &out, &out)
			require.NotZero(t, status)
			require.Contains(t, out.String(), "run `millrace migrate up`")
			require.Contains(t, out.String(), "the database is incomplete: the server has no role millrace_app")
			out.Reset()
			require.Zero(t, run(t.Context(), []string{"migrate", "up", "--database-url", f.cluster.URL()}, &out, &out), out.String())
			said = out.String()
			require.Contains(t, said, "made policy tenant on tunes")
		}
		require.Contains(t, said, "began a new epoch of the event log")
		f.url = "http://" + f.process("api", "--addr", "127.0.0.1:0").await("addr=")
		require.Equal(t, want, f.answers(tune.TuneID), "roles first: %v", rolesFirst)
		require.False(t, covers(t, f.cluster.URL(), cursor), "a cursor of the log that was dumped")
		require.True(t, covers(t, f.cluster.URL(), logEnd(t, f.cluster.URL())))
	}
}

// A database is restored to a time between two changes, twice. No history accepts a cursor of another.
func TestTheBackupChapterRestoresAPointInTime(t *testing.T) {
	folder := reachable(t)
	binary := filepath.Join(t.TempDir(), "millrace")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	c := openChapter(t, "backup.md", binary)
	c.vars["ARCHIVE"] = filepath.Join(folder, "archive")
	require.NoError(t, os.Mkdir(c.vars["ARCHIVE"], 0o777))
	require.NoError(t, os.Chmod(c.vars["ARCHIVE"], 0o777))
	primary := newCluster(t, c.conf("archive"))
	require.NoError(t, migrations.Up(t.Context(), primary.URL()))
	c.vars["SUPERUSER_URL"], c.vars["BASE"] = primary.URL(), filepath.Join(folder, "base")
	c.mustRun("base")

	set := openSet(t, primary.URL())
	conn, err := pgx.Connect(t.Context(), primary.URL())
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	change := func(name string) {
		t.Helper()
		_, err := set.Tenants.CreateWorkspace(t.Context(), name, 2)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), `insert into event_log (topic, type, entity_id) values ('jobs', 'test', $1)`, name)
		require.NoError(t, err)
	}
	change("before")
	var at time.Time
	require.NoError(t, conn.QueryRow(t.Context(), `select clock_timestamp()`).Scan(&at))
	c.vars["TIME"] = at.UTC().Format("2006-01-02 15:04:05.000000+00")
	change("after")
	cursors := []eventlog.Cursor{logEnd(t, primary.URL())}
	var segment string
	require.NoError(t, conn.QueryRow(t.Context(), `select pg_walfile_name(pg_switch_wal())`).Scan(&segment))
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(c.vars["ARCHIVE"], segment))
		return err == nil
	}, 20*time.Second, 20*time.Millisecond, "the WAL is not archived")

	for n := range 2 {
		pgdata := filepath.Join(reachable(t), "pgdata")
		require.NoError(t, exec.Command("cp", "-a", c.vars["BASE"], pgdata).Run())
		require.NoError(t, os.WriteFile(filepath.Join(pgdata, "recovery.signal"), nil, 0o600))
		restored := startOn(t, pgdata, primary.URL(), c.conf("recover"))
		again, err := pgx.Connect(t.Context(), restored.URL())
		require.NoError(t, err)
		defer func() { _ = again.Close(context.Background()) }()
		require.Eventually(t, func() bool {
			var recovering bool
			return again.QueryRow(t.Context(), `select pg_is_in_recovery()`).Scan(&recovering) == nil && !recovering
		}, 30*time.Second, 20*time.Millisecond, "it is not promoted")
		var names []string
		require.NoError(t, again.QueryRow(t.Context(), `select array_agg(name order by name) from workspaces`).Scan(&names))
		require.Equal(t, []string{"before"}, names)
		require.False(t, covers(t, restored.URL(), cursors[0]), "before the migration")
		c.vars["RESTORED_URL"] = restored.URL()
		require.Contains(t, c.mustRun("after"), "began a new epoch")
		for of, cursor := range cursors {
			require.False(t, covers(t, restored.URL(), cursor), "restore %d takes a cursor of history %d", n, of)
		}
		cursors = append(cursors, logEnd(t, restored.URL()))
		require.True(t, covers(t, restored.URL(), cursors[n+1]))
		require.Contains(t, c.mustRun("after"), "nothing to do", "a second migration changes nothing")
		require.True(t, covers(t, restored.URL(), cursors[n+1]))
	}
	require.Contains(t, c.mustRun("rollback"), "began a new epoch")
	require.False(t, covers(t, c.vars["RESTORED_URL"], cursors[2]))
}
