package recognize_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/pdf"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
	"millrace/jobs/worker/ingestion/recognize"
)

func sourceOf(text string) func(io.Writer) error {
	return func(to io.Writer) error {
		_, err := io.WriteString(to, text)
		return err
	}
}

// script is a program for tests; its folder, and one for what it leaves behind.
func script(t *testing.T, body string, opts recognize.Options) (*recognize.Program, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
	opts.Command, opts.Dir = path+" one two", t.TempDir()
	p, err := recognize.New(opts)
	require.NoError(t, err)
	return p, opts.Dir
}

func requireEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "files are left behind")
}

func TestAProgramReadsTheSourceAndItsOutputIsKeptUntilClosed(t *testing.T) {
	t.Setenv("DATABASE_URL", "postgres://secret")
	p, dir := script(t, `echo "$1 $2 ${DATABASE_URL:-none} $(cat)"`, recognize.Options{})
	made, err := p.Recognize(t.Context(), sourceOf("the file"))
	require.NoError(t, err)
	for range 2 {
		var out bytes.Buffer
		require.NoError(t, made.Copy(&out))
		require.Equal(t, "one two none the file\n", out.String())
		require.EqualValues(t, out.Len(), made.Size())
	}
	require.NoError(t, made.Close())
	requireEmpty(t, dir)
}

func TestAProgramThatFailsRejectsTheFile(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body, want string
		opts       recognize.Options
	}{
		"status":   {"echo 'text of the document' >&2; exit 4", "status 4", recognize.Options{}},
		"too much": {"cat /dev/zero", "over 1000 bytes", recognize.Options{MaxBytes: 1000}},
		"too slow": {"sleep 60 & sleep 60", "takes over 200ms", recognize.Options{Timeout: 200 * time.Millisecond}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, dir := script(t, test.body, test.opts)
			began := time.Now()
			_, err := p.Recognize(t.Context(), sourceOf("x"))
			var rejection *knowledge.Rejection
			require.ErrorAs(t, err, &rejection)
			require.Contains(t, rejection.Reason, test.want)
			require.NotContains(t, rejection.Reason, "text of the document")
			require.Less(t, time.Since(began), 50*time.Second, "the program and its children are killed")
			requireEmpty(t, dir)
		})
	}
}

// The file is not to blame for these, so they do not refuse it.
func TestAKilledProgramAndAFailedSourceAreNotRejections(t *testing.T) {
	t.Parallel()
	var rejection *knowledge.Rejection
	p, dir := script(t, "kill -9 $$", recognize.Options{})
	_, err := p.Recognize(t.Context(), sourceOf("x"))
	require.Error(t, err)
	require.False(t, errors.As(err, &rejection))
	away := errors.New("the database is away")
	_, err = p.Recognize(t.Context(), func(io.Writer) error { return away })
	require.ErrorIs(t, err, away)
	slow, _ := script(t, "sleep 60", recognize.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = slow.Recognize(ctx, sourceOf("x"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	requireEmpty(t, dir)
}

func TestACommandThatCannotRunIsNamed(t *testing.T) {
	t.Parallel()
	_, err := recognize.New(recognize.Options{Command: "no-such-program - -"})
	require.ErrorContains(t, err, `"no-such-program" cannot be run`)
	_, err = recognize.New(recognize.Options{})
	require.ErrorContains(t, err, "name a program")
}

// OCRmyPDF itself, where it is installed.
func TestOCRmyPDFReadsWhatIsShown(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("ocrmypdf"); err != nil {
		t.Skip("install ocrmypdf and tesseract-ocr-eng to hold what a real program recognises; the other tests hold the rest")
	}
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	engine := pdf.New(pdf.Options{CacheDir: filepath.Join(cache, "millrace", "wasm")})
	t.Cleanup(func() { require.NoError(t, engine.Close(context.Background())) })
	shown := pdftest.Unmapped("Sell the spread when it is two deviations wide.")
	before, err := engine.Read(t.Context(), shown, nil)
	require.NoError(t, err)
	require.NotContains(t, strings.Join(before.Pages, ""), "spread")
	p, err := recognize.New(recognize.Options{Command: "ocrmypdf --quiet --force-ocr --output-type pdf - -", Dir: t.TempDir()})
	require.NoError(t, err)
	made, err := p.Recognize(t.Context(), sourceOf(string(shown)))
	require.NoError(t, err)
	defer func() { require.NoError(t, made.Close()) }()
	var out bytes.Buffer
	require.NoError(t, made.Copy(&out))
	after, err := engine.Read(t.Context(), out.Bytes(), nil)
	require.NoError(t, err)
	require.Contains(t, strings.Join(after.Pages, ""), "Sell the spread when it is two deviations wide")
}
