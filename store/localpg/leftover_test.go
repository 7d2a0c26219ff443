package localpg_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func killHelper(t *testing.T, process *exec.Cmd) {
	t.Helper()
	require.NoError(t, process.Process.Kill())
	_ = process.Wait()
}

func stopHelper(t *testing.T, process *exec.Cmd) {
	t.Helper()
	require.NoError(t, process.Process.Signal(syscall.SIGTERM))
	require.NoError(t, process.Wait())
}

// A program that tests with throwaway clusters and is killed again and again would fill the disk.
func TestThrowawayClusterOfAKilledProcessIsRemovedByTheNext(t *testing.T) {
	t.Parallel()
	for name, mode := range map[string]os.FileMode{"in a folder the server can enter": 0o755, "in a private folder": 0o700} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			temporary := folder(t)
			require.NoError(t, os.Mkdir(temporary, mode))
			killed, url := startHelper(t, throwaway, "TMPDIR="+temporary)
			lost := filepath.Dir(query[string](t, url, "show data_directory"))
			killHelper(t, killed)
			require.DirExists(t, lost)

			living, url := startHelper(t, throwaway, "TMPDIR="+temporary)
			require.NoDirExists(t, lost)
			used := filepath.Dir(query[string](t, url, "show data_directory"))
			third, _ := startHelper(t, throwaway, "TMPDIR="+temporary)
			require.DirExists(t, used, "a cluster in use stays")
			require.Equal(t, 1, query[int](t, url, "select 1"))
			stopHelper(t, living)
			stopHelper(t, third)
			require.NoDirExists(t, used)
		})
	}
}

// A benchmark has a folder of its own, which may be any, for a cluster that nobody keeps.
func TestTemporaryClusterOfAKilledProcessIsRemovedByTheNext(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only clusters of root are kept away from their folder")
	}
	below := folder(t)
	place := func(name string, env ...string) (process *exec.Cmd, home, cluster string) {
		private := filepath.Join(below, name)
		require.NoError(t, os.MkdirAll(private, 0o700))
		home = filepath.Join(private, "postgres")
		process, url := startHelper(t, home, env...)
		cluster = filepath.Dir(query[string](t, url, "show data_directory"))
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(cluster)) })
		return process, home, cluster
	}
	killed, home, lost := place("killed", envTemporary+"=1")
	orphan, gone, alone := place("orphan", envTemporary+"=1")
	user, keeps, kept := place("user")
	living, _, used := place("living", envTemporary+"=1")
	for _, process := range []*exec.Cmd{killed, orphan, user} {
		killHelper(t, process)
	}
	require.NoError(t, os.RemoveAll(gone))

	process, _ := startHelper(t, throwaway)
	stopHelper(t, process)
	for _, folder := range []string{home, lost, alone} {
		require.NoDirExists(t, folder)
	}
	for _, folder := range []string{keeps, kept, used} {
		require.DirExists(t, folder)
	}
	stopHelper(t, living)
	require.NoDirExists(t, used)
}

// The server's user cannot enter a test's temporary folder when root runs the test, so the cluster is elsewhere
// and outlives the folder.
func TestClusterAwayFromAFolderThatIsGoneIsRemovedOnlyIfTheFolderWasTemporary(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only clusters of root are kept away from their folder")
	}
	temporary := folder(t)
	elsewhere, err := os.MkdirTemp("/var/tmp", "localpg-test-") // other tests clear what is left of /tmp
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(elsewhere)) })
	place := func(below string) (private, cluster string) {
		private = filepath.Join(below, "private")
		require.NoError(t, os.MkdirAll(private, 0o700))
		process, url := startHelper(t, filepath.Join(private, "data"))
		cluster = filepath.Dir(query[string](t, url, "show data_directory"))
		stopHelper(t, process)
		require.DirExists(t, cluster)
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(cluster)) })
		return private, cluster
	}
	gone, lost := place(temporary)
	other, kept := place(elsewhere)
	_, used := place(filepath.Join(temporary, "used"))
	require.NoError(t, os.RemoveAll(gone))
	require.NoError(t, os.RemoveAll(other))

	process, _ := startHelper(t, throwaway, "TMPDIR="+temporary)
	stopHelper(t, process)
	require.NoDirExists(t, lost)
	require.DirExists(t, kept, "its folder may be on a disk that is not mounted now")
	require.DirExists(t, used, "its folder is there")
}

// Anybody can make a folder in the temporary one. What it names is not removed for its sake.
func TestAFolderThatNamesAnotherFolderTakesNothingWithIt(t *testing.T) {
	t.Parallel()
	below := folder(t)
	temporary, precious := filepath.Join(below, "tmp"), filepath.Join(below, "precious")
	forged := []string{filepath.Join(temporary, "millrace-postgres-forged"), filepath.Join(temporary, "millrace-forged", "postgres")}
	for _, home := range append(forged, precious) {
		require.NoError(t, os.MkdirAll(home, 0o755))
		for name, text := range map[string]string{"lock": "2147483647\n", "temporary": "2147483647\n", "location": precious + "\n", "home": home + "\n"} {
			require.NoError(t, os.WriteFile(filepath.Join(home, name), []byte(text), 0o644))
		}
	}
	process, _ := startHelper(t, throwaway, "TMPDIR="+temporary)
	stopHelper(t, process)
	require.DirExists(t, precious)
	for _, home := range forged {
		require.DirExists(t, home)
	}
}

// Another container may share the folder of clusters and see neither the home nor the process of one that is in use there.
func TestAClusterInUseStaysWhereItsHomeAndProcessAreNotSeen(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only clusters of root are kept away from their folder")
	}
	below := folder(t)
	private := filepath.Join(below, "private")
	require.NoError(t, os.MkdirAll(private, 0o700))
	home := filepath.Join(private, "postgres")
	living, url := startHelper(t, home, envTemporary+"=1", "TMPDIR="+below)
	cluster := filepath.Dir(query[string](t, url, "show data_directory"))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(cluster)) })
	require.NoError(t, os.WriteFile(filepath.Join(cluster, "temporary"), []byte("2147483647\n"), 0o600))
	require.NoError(t, os.Rename(private, private+" elsewhere"))

	process, _ := startHelper(t, throwaway, "TMPDIR="+below)
	stopHelper(t, process)
	require.DirExists(t, filepath.Join(cluster, "pgdata"))
	require.Equal(t, 1, query[int](t, url, "select 1"))
	killHelper(t, living)

	process, _ = startHelper(t, throwaway, "TMPDIR="+below)
	stopHelper(t, process)
	require.NoDirExists(t, cluster)
}

// The number of the process that marked a folder may be another process's by now.
func TestAClusterThatIsStartedToBeKeptIsNotMarkedAnyMore(t *testing.T) {
	t.Parallel()
	home := filepath.Join(folder(t), "postgres")
	require.NoError(t, os.MkdirAll(home, 0o755))
	mark := filepath.Join(home, "temporary")
	require.NoError(t, os.WriteFile(mark, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600))
	process, _ := startHelper(t, home)
	stopHelper(t, process)
	require.NoFileExists(t, mark)
}
