package recognize_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/worker/ingestion/recognize"
)

// workerVerb has this program be a worker that recognises one file.
const workerVerb = "worker-of-tests"

func TestMain(m *testing.M) {
	if recognize.IsChild(os.Args) {
		os.Exit(recognize.Main(os.Args[2:]))
	}
	if len(os.Args) > 3 && os.Args[1] == workerVerb {
		p, err := recognize.New(recognize.Options{Command: os.Args[2], Dir: os.Args[3]})
		if err == nil {
			_, err = p.Recognize(context.Background(), func(to io.Writer) error { return nil })
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// ends waits until the processes have ended whose ids a program has written, as many as are named.
func ends(t *testing.T, ids string, many int) {
	t.Helper()
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(ids)
		running := 0
		for _, id := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(id)
			require.NoError(t, err)
			if syscall.Kill(pid, 0) == nil {
				running++
			}
		}
		return err == nil && len(strings.Fields(string(text))) == many && running == 0
	}, 30*time.Second, 10*time.Millisecond, "processes are left behind")
}

// What a program leaves running, in its group or outside, ends with it, and does not keep its result waiting.
func TestWhatAProgramLeavesRunningEndsWithIt(t *testing.T) {
	t.Parallel()
	ids := filepath.Join(t.TempDir(), "ids")
	body, many := "sleep 600 & echo $! >>"+ids, 1
	if runtime.GOOS == "linux" {
		body, many = body+"\nsetsid sh -c 'echo $$ >>"+ids+"; sleep 600 & echo $! >>"+ids+"; wait' &\nuntil [ $(wc -l <"+ids+") = 3 ]; do sleep 0.01; done", 3
	}
	for name, test := range map[string]struct{ end, want string }{"well": {"cat", ""}, "badly": {"exit 4", "status 4"}} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.RemoveAll(ids))
			p, dir := script(t, body+"\n"+test.end, recognize.Options{})
			made, err := p.Recognize(t.Context(), sourceOf("the file"))
			if test.want != "" {
				require.ErrorContains(t, err, test.want)
			} else {
				require.NoError(t, err)
				require.EqualValues(t, len("the file"), made.Size())
				require.NoError(t, made.Close())
			}
			ends(t, ids, many)
			requireEmpty(t, dir)
		})
	}
}

// A worker that is killed leaves neither the program nor the user's file behind.
func TestAKilledWorkerLeavesNoProgramAndNoFile(t *testing.T) {
	t.Parallel()
	ids, dir := filepath.Join(t.TempDir(), "ids"), t.TempDir()
	program := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(program, []byte("#!/bin/sh\nsleep 600 & echo $! $$ >"+ids+".part; mv "+ids+".part "+ids+"; wait\n"), 0o755))
	self, err := os.Executable()
	require.NoError(t, err)
	worker := exec.Command(self, workerVerb, program, dir)
	require.NoError(t, worker.Start())
	require.Eventually(t, func() bool { _, err := os.Stat(ids); return err == nil }, 30*time.Second, 10*time.Millisecond)
	require.NoError(t, worker.Process.Kill())
	_ = worker.Wait()
	ends(t, ids, 2)
	require.Eventually(t, func() bool {
		left, err := os.ReadDir(dir)
		return err == nil && len(left) == 0
	}, 30*time.Second, 10*time.Millisecond, "the user's file is left behind")
}

// What was killed together with its parent, as by the end of a container, is removed by the next process.
func TestOldFoldersAreRemovedAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, age := range map[string]time.Duration{"millrace-recognize-1": 2 * time.Hour, "millrace-recognize-2": time.Minute, "other": 2 * time.Hour} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name, "in"), 0o700))
		at := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(filepath.Join(dir, name), at, at))
	}
	_, err := recognize.New(recognize.Options{Command: "cat", Dir: dir})
	require.NoError(t, err)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2)
	require.Equal(t, "millrace-recognize-2", left[0].Name())
}
