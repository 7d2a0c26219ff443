package localpg_test

import (
	"bufio"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"millrace/store/localpg"
)

// envHelper makes the test program a process that runs a cluster until it is killed.
const (
	envHelper = "LOCALPG_TEST_HELPER_DIR"
	throwaway = "throwaway" // instead of a folder

	envTemporary = "LOCALPG_TEST_HELPER_TEMPORARY"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envHelper); dir != "" {
		os.Exit(helper(dir))
	}
	goleak.VerifyTestMain(m)
}

func helper(dir string) int {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	options := localpg.Options{DataDir: dir, Temporary: os.Getenv(envTemporary) != ""}
	if dir == throwaway {
		options = localpg.Options{Throwaway: true}
	}
	cluster, err := localpg.Start(ctx, options)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(cluster.URL())
	<-ctx.Done()
	if err := cluster.Stop(context.WithoutCancel(ctx)); err != nil {
		return 1
	}
	return 0
}

// A shell that has read dev.env names the cluster at the port of its last start.
func TestTheURLOfAnEarlierStartIsKnownAgain(t *testing.T) {
	dir := t.TempDir()
	require.False(t, localpg.IsURLOf(dir, "postgres://millrace:secret@127.0.0.1:1/millrace"), "there is no cluster")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "password"), []byte("secret\n"), 0o600))
	require.True(t, localpg.IsURLOf(dir, "postgres://millrace:secret@127.0.0.1:1/millrace"))
	for _, other := range []string{"postgres://millrace:other@127.0.0.1:1/millrace", "postgres://127.0.0.1/millrace", "host=127.0.0.1 password=secret", "postgres://%zz"} {
		require.False(t, localpg.IsURLOf(dir, other), other)
	}
}

// folder is a data folder that the server's user can enter when the tests run as root.
func folder(t *testing.T) string {
	t.Helper()
	parent, err := os.MkdirTemp("", "localpg-test-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(parent, 0o755))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(parent)) })
	return filepath.Join(parent, "data")
}

func start(t *testing.T, dir string) *localpg.Cluster {
	t.Helper()
	cluster, err := localpg.Start(t.Context(), localpg.Options{DataDir: dir, Settings: map[string]string{"shared_buffers": "16MB"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Stop(context.Background())) })
	return cluster
}

// makeKept leaves a table with one row, n = 1, behind.
func makeKept(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), "create table kept as select 1 as n")
	require.NoError(t, err)
}

func query[T any](t *testing.T, url, sql string) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&value))
	return value
}

func serverPID(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "pgdata", "postmaster.pid"))
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	require.NoError(t, err)
	return pid
}

// running reports whether a process runs; a dead one that nobody has reaped does not.
func running(pid int) bool {
	if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil {
		return !strings.Contains(string(stat), ") Z ")
	}
	return syscall.Kill(pid, 0) == nil
}

func TestStopAndStartAgainKeepsDataPortAndPassword(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	makeKept(t, first.URL())
	require.Equal(t, "16MB", query[string](t, first.URL(), "show shared_buffers"), "the caller's settings win")
	pid := serverPID(t, dir)
	require.NoError(t, first.Stop(t.Context()))
	require.NoError(t, first.Stop(t.Context()), "stopping twice is safe")
	<-first.Done()
	require.False(t, running(pid))

	second := start(t, dir)
	require.Equal(t, first.URL(), second.URL())
	require.Equal(t, 1, query[int](t, second.URL(), "select n from kept"))
}

func TestLoginNeedsThePassword(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cluster := start(t, dir)
	u, err := url.Parse(cluster.URL())
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1", u.Hostname())
	u.User = url.UserPassword(u.User.Username(), "wrong")
	_, err = pgx.Connect(t.Context(), u.String())
	require.ErrorContains(t, err, "password authentication failed")

	for name, mode := range map[string]os.FileMode{".": 0o700, "password": 0o600, "postgres.log": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	start(t, dir)
	_, err := localpg.Start(t.Context(), localpg.Options{DataDir: dir})
	require.ErrorIs(t, err, localpg.ErrInUse)
	require.ErrorContains(t, err, strconv.Itoa(os.Getpid()))
}

// startHelper runs a cluster in another process and returns that process.
func startHelper(t *testing.T, dir string, env ...string) (process *exec.Cmd, url string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), envHelper+"="+dir), env...)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "postgres://")
	return cmd, strings.TrimSpace(line)
}

func TestStartRecoversAfterEveryProcessIsKilled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	owner, url := startHelper(t, dir)
	makeKept(t, url)
	pid := serverPID(t, dir)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	require.NoError(t, owner.Process.Kill())
	_ = owner.Wait()
	require.FileExists(t, filepath.Join(dir, "pgdata", "postmaster.pid"))

	cluster := start(t, dir)
	require.Equal(t, 1, query[int](t, cluster.URL(), "select n from kept"))
}

func TestServerEndsWhenItsOwnerIsKilled(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	owner, _ := startHelper(t, dir)
	pid := serverPID(t, dir)
	require.NoError(t, owner.Process.Kill())
	_ = owner.Wait()

	cluster := start(t, dir)
	require.False(t, running(pid), "the first server is gone before the second runs")
	require.Equal(t, 1, query[int](t, cluster.URL(), "select 1"))
}

func TestServerThatOutlivedItsOwnerIsStopped(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	pid := serverPID(t, dir)
	// Gives up the owner's lock as its death would, with the server still running.
	require.NoError(t, os.Remove(filepath.Join(dir, "lock")))

	second := start(t, dir)
	<-first.Done()
	require.False(t, running(pid))
	require.Equal(t, 1, query[int](t, second.URL(), "select 1"))
}

func TestLockFileOfAReusedProcessIDIsRemoved(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := start(t, dir)
	lockFile := filepath.Join(dir, "pgdata", "postmaster.pid")
	text, err := os.ReadFile(lockFile)
	require.NoError(t, err)
	require.NoError(t, first.Stop(t.Context()))
	_, rest, _ := strings.Cut(string(text), "\n")
	require.NoError(t, os.WriteFile(lockFile, []byte(strconv.Itoa(os.Getpid())+"\n"+rest), 0o666))

	second := start(t, dir)
	require.Equal(t, 1, query[int](t, second.URL(), "select 1"))
}

func TestUnfinishedClusterIsCreatedAgain(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "pgdata.new", "base"), 0o700))
	cluster := start(t, dir)
	require.Equal(t, 1, query[int](t, cluster.URL(), "select 1"))
	require.NoDirExists(t, filepath.Join(dir, "pgdata.new"))
}

func TestDoneReportsAServerThatDied(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cluster := start(t, dir)
	require.NoError(t, syscall.Kill(serverPID(t, dir), syscall.SIGKILL))
	<-cluster.Done()
	require.ErrorContains(t, cluster.Ended(), "signal: killed")
	require.ErrorContains(t, cluster.Ended(), "postgres.log")
	require.NoError(t, cluster.Stop(t.Context()))
}

// As root this is the case of a checkout below /root, which the server's user cannot enter.
func TestThrowawayServerInAPrivateFolder(t *testing.T) {
	t.Parallel()
	closed := t.TempDir()
	require.NoError(t, os.Chmod(closed, 0o700))
	dir := filepath.Join(closed, "data")
	cluster, err := localpg.Start(t.Context(), localpg.Options{DataDir: dir, Throwaway: true})
	require.NoError(t, err)
	place := query[string](t, cluster.URL(), "show data_directory")
	require.DirExists(t, place)
	require.Equal(t, "off", query[string](t, cluster.URL(), "show fsync"))
	require.NoError(t, cluster.Stop(t.Context()))
	require.NoDirExists(t, filepath.Dir(place))
	require.NoDirExists(t, dir)
}

func TestStopKillsAServerThatDoesNotStopInTime(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cluster, err := localpg.Start(t.Context(), localpg.Options{DataDir: dir})
	require.NoError(t, err)
	pid := serverPID(t, dir)
	require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, cluster.Stop(ctx), context.DeadlineExceeded)
	require.False(t, running(pid))
}

func TestStartErrorsNameTheCause(t *testing.T) {
	t.Parallel()
	_, err := localpg.Start(t.Context(), localpg.Options{})
	require.ErrorContains(t, err, "no data folder")
	_, err = localpg.Start(t.Context(), localpg.Options{DataDir: folder(t), BinDir: t.TempDir()})
	require.ErrorContains(t, err, "postgres programs")
	_, err = localpg.Start(t.Context(), localpg.Options{DataDir: folder(t), Settings: map[string]string{"shared_buffers": "much"}})
	require.ErrorContains(t, err, `invalid value for parameter "shared_buffers": "much"`)

	dir := folder(t)
	require.NoError(t, start(t, dir).Stop(t.Context()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pgdata", "PG_VERSION"), []byte("9\n"), 0o600))
	_, err = localpg.Start(t.Context(), localpg.Options{DataDir: dir})
	require.ErrorContains(t, err, "made by PostgreSQL 9")
}
