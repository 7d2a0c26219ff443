package sandbox_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
	"millrace/jobs/worker/ingestion/sandbox"
)

func TestMain(m *testing.M) {
	if sandbox.IsChild(os.Args) {
		os.Exit(sandbox.Main())
	}
	os.Exit(m.Run())
}

func newPool(t testing.TB, opts sandbox.Options) *sandbox.Pool {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	opts.CacheDir = filepath.Join(base, "millrace", "wasm")
	pool, err := sandbox.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pool.Close(context.Background()) })
	return pool
}

// observed makes a child that first writes a line of its process id and its environment.
func observed(t testing.TB) (command []string, starts func() []string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "starts")
	program, err := os.Executable()
	require.NoError(t, err)
	script := fmt.Sprintf(`/usr/bin/env | /usr/bin/tr '\n' ' ' >> %s; echo pid=$$ >> %s; exec %s %s`, log, log, program, sandbox.Verb)
	return []string{"/bin/sh", "-c", script}, func() []string {
		text, err := os.ReadFile(log)
		require.NoError(t, err)
		return strings.Split(strings.TrimSpace(string(text)), "\n")
	}
}

func content(data []byte) func(io.Writer) error {
	return func(to io.Writer) error { _, err := to.Write(data); return err }
}

func document(source knowledge.SourceType, name string) sandbox.Request {
	return sandbox.Request{Want: sandbox.WantDocument, Source: source, Name: name, Document: uuid.New(), MaxChunks: 20_000}
}

func extractText(t *testing.T, pool *sandbox.Pool, workspace uuid.UUID, text string) []knowledge.Chunk {
	t.Helper()
	result, err := pool.Extract(t.Context(), workspace, document(knowledge.SourceText, "note.txt"), content([]byte(text)), nil)
	require.NoError(t, err)
	defer result.Release()
	return result.Chunks
}

func TestAFileThatTakesTooMuchMemoryIsRefusedAndTheNextIsRead(t *testing.T) {
	pool := newPool(t, sandbox.Options{Children: 1})
	for _, name := range []string{"pdf_bomb_300.pdf", "pdf_bomb_1024.pdf"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		require.NoError(t, err)
		_, err = pool.Extract(t.Context(), uuid.Nil, document(knowledge.SourcePDF, name), content(data), nil)
		var refused *knowledge.Rejection
		require.ErrorAs(t, err, &refused, name)
		assert.Contains(t, refused.Reason, "over 640 MB of memory", name)
	}
	result, err := pool.Extract(t.Context(), uuid.Nil, document(knowledge.SourcePDF, "x.pdf"), content(pdftest.Text("Momentum persists.")), nil)
	require.NoError(t, err)
	defer result.Release()
	require.Len(t, result.Chunks, 1)
	assert.Contains(t, result.Chunks[0].Text, "Momentum persists.")
}

func TestAFileThatTakesTooLongIsRefusedAndTheNextIsRead(t *testing.T) {
	pool := newPool(t, sandbox.Options{Children: 1, Timeout: 200 * time.Millisecond})
	long := bytes.Repeat([]byte("The fast average rises above the slow one. "), 500_000)
	_, err := pool.Extract(t.Context(), uuid.Nil, document(knowledge.SourceText, "long.txt"), content(long), nil)
	var refused *knowledge.Rejection
	require.ErrorAs(t, err, &refused)
	assert.Contains(t, refused.Reason, "takes over 200ms to read")
	// A file that uses no processor time is not stopped by the limit on that.
	_, err = pool.Extract(t.Context(), uuid.Nil, document(knowledge.SourceText, "slow.txt"), func(to io.Writer) error {
		for {
			if _, err := to.Write([]byte("a")); err != nil {
				return err
			}
			<-time.After(20 * time.Millisecond)
		}
	}, nil)
	require.ErrorAs(t, err, &refused)
	assert.Contains(t, refused.Reason, "takes over 200ms to read")
	patient := newPool(t, sandbox.Options{Children: 1})
	assert.Len(t, extractText(t, patient, uuid.Nil, "Momentum persists."), 1)
}

func TestAnExtractionEndsWithItsContextAndSoDoesItsProcess(t *testing.T) {
	pool := newPool(t, sandbox.Options{Children: 1})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := pool.Extract(ctx, uuid.Nil, document(knowledge.SourceText, "x.txt"), func(to io.Writer) error {
		_, err := to.Write([]byte("Begun."))
		cancel()
		return err
	}, nil)
	require.ErrorIs(t, err, context.Canceled)
	assert.Len(t, extractText(t, pool, uuid.Nil, "Momentum persists."), 1)
}

func TestAProcessServesOneWorkspaceOnlyAndIsUsedAgainThere(t *testing.T) {
	command, starts := observed(t)
	pool := newPool(t, sandbox.Options{Children: 1, Command: command})
	a, b := uuid.New(), uuid.New()
	for range 3 {
		extractText(t, pool, a, "Momentum persists.")
	}
	require.Len(t, starts(), 1, "one process reads all files of a workspace")
	extractText(t, pool, b, "Carry pays.")
	require.Len(t, starts(), 2, "another workspace has a process of its own")
	extractText(t, pool, a, "Momentum persists.")
	require.Len(t, starts(), 3, "no more are alive than the limit says")
}

func TestAProcessHasNothingOfTheWorkersEnvironment(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://user:secret@host/db")
	command, starts := observed(t)
	extractText(t, newPool(t, sandbox.Options{Command: command}), uuid.Nil, "Momentum persists.")
	assert.NotContains(t, starts()[0], "secret")
}

func TestAnIdleProcessEnds(t *testing.T) {
	command, starts := observed(t)
	pool := newPool(t, sandbox.Options{Children: 1, Command: command, Idle: time.Millisecond})
	extractText(t, pool, uuid.Nil, "Momentum persists.")
	_, pid, _ := strings.Cut(starts()[0], "pid=")
	require.Eventually(t, func() bool {
		_, err := os.Stat("/proc/" + pid)
		return os.IsNotExist(err)
	}, 30*time.Second, time.Millisecond)
}

func TestResultsTogetherStayWithinTheirBudget(t *testing.T) {
	pool := newPool(t, sandbox.Options{Children: 2, ResultMB: 1})
	text := []byte(strings.Repeat("The fast average rises above the slow one. ", 20_000)) // under a megabyte
	first, err := pool.Extract(t.Context(), uuid.Nil, document(knowledge.SourceText, "a.txt"), content(text), nil)
	require.NoError(t, err)
	waiting, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err = pool.Extract(waiting, uuid.Nil, document(knowledge.SourceText, "b.txt"), content(text), nil)
	require.ErrorIs(t, err, context.DeadlineExceeded, "the second waits for the first to be released")
	first.Release()
	first.Release() // twice is once
	second, err := pool.Extract(t.Context(), uuid.Nil, document(knowledge.SourceText, "b.txt"), content(text), nil)
	require.NoError(t, err)
	second.Release()
}
