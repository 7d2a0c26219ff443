package pdf_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/jobs/worker/ingestion/pdf"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
)

func newEngine(t testing.TB, opts pdf.Options) *pdf.Engine {
	t.Helper()
	opts.CacheDir = cacheDir(t)
	engine := pdf.New(opts)
	t.Cleanup(func() { require.NoError(t, engine.Close(context.Background())) })
	return engine
}

// cacheDir is shared by test runs: the compiled engine depends on its code alone, and is checked.
func cacheDir(t testing.TB) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		base = os.TempDir()
	}
	return filepath.Join(base, "millrace", "wasm")
}

func TestReadsTextPageByPage(t *testing.T) {
	engine := newEngine(t, pdf.Options{})
	var reported []int
	found, err := engine.Read(t.Context(), pdftest.Text("First page.\nSecond line (in brackets).", "", "Third page."),
		func(done, pages int) { reported = append(reported, done, pages) })
	require.NoError(t, err)
	require.Equal(t, []string{"First page.\r\nSecond line (in brackets).", "", "Third page."}, found.Pages)
	require.Equal(t, "A title", found.Title)
	require.Equal(t, "An author", found.Author)
	require.Equal(t, time.Date(2024, 2, 3, 0, 0, 0, 0, time.UTC), *found.CreatedAt)
	require.Equal(t, []int{1, 3, 2, 3, 3, 3}, reported)
}

func TestCommentsAndFilledFieldsAreRead(t *testing.T) {
	engine := newEngine(t, pdf.Options{})
	found, err := engine.Read(t.Context(), pdftest.Notes(), nil)
	require.NoError(t, err)
	require.Empty(t, found.Damaged)
	require.Equal(t, []string{"A printed line of the form."}, found.Pages)
	require.Equal(t, [][]string{{
		"The commission is three basis points.", "½ spread is paid", "Verify this line.",
		"Name of the broker: Example Securities", "margin: yes", "market: futures", "parent: inherited value",
	}}, found.Notes)
	made, err := extract.Pages(found, "form.pdf")
	require.NoError(t, err)
	require.Len(t, made.Blocks, 8)
	require.Equal(t, 1, made.Blocks[7].Position.Page)

	short := newEngine(t, pdf.Options{MaxText: 100})
	_, err = short.Read(t.Context(), pdftest.Notes(), nil)
	require.ErrorContains(t, err, "over 100 characters")
}

func TestABadFileIsRejectedWithAReason(t *testing.T) {
	good := pdftest.Text(strings.Split(strings.Repeat("A page of text.|", 50), "|")...)
	engine := newEngine(t, pdf.Options{MaxPages: 100, MaxText: 5000, MaxBytes: 4 << 20})
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":        {nil, "empty"},
		"not a PDF":      {[]byte("hello"), "not a PDF"},
		"only a header":  {[]byte("%PDF-1.7\n"), "damaged"},
		"noise":          {append([]byte("%PDF-1.7\n"), bytes.Repeat([]byte{0xA7, 0, 13}, 5000)...), "damaged"},
		"encrypted":      {pdftest.Encrypted(), "encrypted"},
		"too many pages": {pdftest.Text(make([]string, 101)...), "101 pages"},
		"too much text":  {pdftest.Text(strings.Repeat(strings.Repeat("x", 90)+"\n", 60)), "characters of text"},
		"too many bytes": {append(good, make([]byte, 4<<20)...), "bytes"},
	} {
		_, err := engine.Read(t.Context(), test.data, nil)
		var rejection *knowledge.Rejection
		require.True(t, errors.As(err, &rejection), "%s: %v", name, err)
		require.Contains(t, rejection.Reason, test.want, name)
	}
	// After all that, a good file is read as ever.
	_, err := engine.Read(t.Context(), good, nil)
	require.NoError(t, err)
}

// However a file is cut off, it is read as far as the engine can mend it, or rejected.
func TestATruncatedFileIsReadOrRejected(t *testing.T) {
	good := pdftest.Text("One.", "Two.", "Three.", "Four.")
	engine := newEngine(t, pdf.Options{})
	for cut := 16; cut < len(good); cut += len(good) / 12 {
		found, err := engine.Read(t.Context(), good[:cut], nil)
		var rejection *knowledge.Rejection
		if err != nil {
			require.True(t, errors.As(err, &rejection), "cut at %d: %v", cut, err)
			continue
		}
		require.LessOrEqual(t, len(found.Pages), 4)
	}
}

func TestABombIsContained(t *testing.T) {
	engine := newEngine(t, pdf.Options{Timeout: 1500 * time.Millisecond, MemoryMB: 128})
	for _, test := range []struct {
		name, want string
		data       []byte
	}{
		{"laughing", "takes over 1.5s", pdftest.Laughing(25)},
		{"inflating", "damaged", pdftest.Inflating(4)},
	} {
		require.Less(t, len(test.data), 8<<20, test.name)
		_, err := engine.Read(t.Context(), test.data, nil)
		var rejection *knowledge.Rejection
		require.True(t, errors.As(err, &rejection), "%s: %v", test.name, err)
		require.Contains(t, rejection.Reason, test.want, test.name)
	}
	found, err := engine.Read(t.Context(), pdftest.Text("Still alive."), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"Still alive."}, found.Pages)
}

// Ending the context kills the sandbox in the middle of a call, and more files than sandboxes wait.
func TestAReadIsKilledWithItsContext(t *testing.T) {
	engine := newEngine(t, pdf.Options{Sandboxes: 1})
	_, err := engine.Read(t.Context(), pdftest.Text("Warm."), nil)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err = engine.Read(ctx, pdftest.Laughing(30), nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(start), 10*time.Second)

	var wait sync.WaitGroup
	for i := range 4 {
		wait.Go(func() {
			found, err := engine.Read(t.Context(), pdftest.Text(fmt.Sprint("File ", i)), nil)
			if err != nil || found.Pages[0] != fmt.Sprint("File ", i) {
				t.Error(found, err)
			}
		})
	}
	wait.Wait()
}

func BenchmarkRead(b *testing.B) {
	b.Log("timed: the text of a PDF of 100 full pages, read in a warm sandbox")
	engine := newEngine(b, pdf.Options{})
	pages := make([]string, 100)
	for i := range pages {
		pages[i] = strings.Repeat(fmt.Sprintf("Page %d says that momentum and mean reversion are two sides of one market.\n", i), 40)
	}
	data := pdftest.Text(pages...)
	if _, err := engine.Read(b.Context(), pdftest.Text("Compile first."), nil); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	read := 0
	for b.Loop() {
		found, err := engine.Read(b.Context(), data, nil)
		if err != nil {
			b.Fatal(err)
		}
		read += len(found.Pages)
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "pages/s")
}
