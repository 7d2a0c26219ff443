package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
	"millrace/ops"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// servers is an API and a worker in this process, and the flags by which a client reaches them.
func servers(t *testing.T, site string) []string {
	t.Helper()
	db := databaseFlags{DatabaseURL: pgtest.New(t).URL}
	env := &environment{stdout: io.Discard, stderr: io.Discard, logger: slog.New(slog.DiscardHandler), awaits: &awaiting{}}
	var life lifecycle
	t.Cleanup(func() { _ = life.stop(10 * time.Second) })
	kb := knowledgeFlags{Embedder: "hash", LLM: "none", VectorMemory: 16, TextMemory: 16}
	ingest := ingestionFlags{PDFPages: 100, PDFTimeout: time.Minute, OCRTimeout: time.Minute}
	if site != "" {
		at := netip.MustParseAddrPort(strings.TrimPrefix(site, "http://"))
		ingest.FetchNetworks, ingest.FetchPorts = []string{at.Addr().String() + "/32"}, []uint16{at.Port()}
	}
	address, err := startAPI(t.Context(), &life, env, db, kb, webhookFlags{}, apiFlags{Addr: "127.0.0.1:0"}, ops.NewMetrics())
	require.NoError(t, err)
	require.NoError(t, startWorker(t.Context(), &life, env, db, kb, webhookFlags{}, workerFlags{
		Queues: "ingestion:2", Drain: time.Second, ShardTime: time.Second, ingestionFlags: ingest,
	}, ops.NewMetrics()))

	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.DatabaseURL, MaxConns: 2})
	require.NoError(t, err)
	defer pool.Close()
	st := stores.New(pool, nil)
	space, err := st.Tenants.CreateWorkspace(t.Context(), "cli", 2)
	require.NoError(t, err)
	key, err := st.Tenants.CreateKey(t.Context(), space.ID, "cli", tenants.RoleMember)
	require.NoError(t, err)
	return []string{"--url", "http://" + address, "--api-key", key}
}

func TestIngestFollowsManySourcesAndSaysWhatBecameOfEach(t *testing.T) {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>A page</title><p>"+strings.Repeat("Carry is the return of an asset if its price stays. ", 10))
	}))
	defer site.Close()
	client := servers(t, site.URL)
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	write("docs/notes.md", []byte("# Notes\n\nBuy the breakout.\n"))
	write("docs/deep/paper.pdf", pdftest.Text("One page of a paper."))
	write("docs/prices.csv", ohlcv.Sample())
	write("docs/.hidden/secret.md", []byte("no"))
	write("docs/image.png", []byte("\x89PNG"))
	locked := write("locked.pdf", pdftest.Encrypted())
	empty := write("empty.txt", nil)

	var stdout, stderr bytes.Buffer
	args := append([]string{"ingest"}, client...)
	status := run(t.Context(), append(args, filepath.Join(dir, "docs"), locked, empty, site.URL+"/page", "http://169.254.169.254/latest"), &stdout, &stderr)
	require.Equal(t, 1, status, "%s\n%s", stdout.String(), stderr.String())
	rows := map[string]string{}
	for lines := bufio.NewScanner(&stdout); lines.Scan(); {
		rows[filepath.Base(strings.Fields(lines.Text())[0])] = lines.Text()
	}
	require.Len(t, rows, 8, "a header and seven sources: %v", rows)
	for name, want := range map[string]string{
		"notes.md": "text", "paper.pdf": "pdf", "prices.csv": "dataset", "page": "article",
	} {
		require.Contains(t, rows[name], want)
		require.Contains(t, rows[name], "created")
	}
	require.Contains(t, rows["locked.pdf"], "the PDF is encrypted")
	require.Contains(t, rows["empty.txt"], "file is empty")
	require.Contains(t, rows["latest"], "not on the public internet")
	require.Contains(t, stderr.String(), "7 of 7")
	require.Contains(t, stderr.String(), "3 of 7 sources failed")

	// Again, what is there already is unchanged, and all is well.
	stdout.Reset()
	require.Equal(t, 0, run(t.Context(), append(args, "--json", filepath.Join(dir, "docs")), &stdout, &stderr), stderr.String())
	for line := range strings.Lines(stdout.String()) {
		var row types.Ingest
		require.NoError(t, json.Unmarshal([]byte(line), &row))
		require.Equal(t, "unchanged", *row.Outcome, line)
	}
	require.Contains(t, stdout.String(), `"name":"docs/deep/paper.pdf"`)
	require.Equal(t, 3, strings.Count(stdout.String(), "\n"))

	stdout.Reset()
	require.Equal(t, 0, run(t.Context(), append(args, "--detach", "--type", "text", "--title", "T", filepath.Join(dir, "docs/notes.md")), &stdout, &stderr), stderr.String())
	require.Len(t, strings.TrimSpace(stdout.String()), 36)
}

func TestIngestRefusesWhatItCannotSend(t *testing.T) {
	dir := t.TempDir()
	client := []string{"ingest", "--url", "http://127.0.0.1:1", "--api-key", "mr_x"}
	for want, args := range map[string][]string{
		"no such file":       {filepath.Join(dir, "none.pdf")},
		"no file to ingest":  {dir},
		"--title is for one": {"--title", "T", "https://example.com/a", "https://example.com/b"},
		"must be one of":     {"--type", "epub", "https://example.com/a"},
	} {
		var stdout, stderr bytes.Buffer
		require.Equal(t, 2, run(t.Context(), append(client, args...), &stdout, &stderr), want)
		require.Contains(t, stderr.String(), want)
	}
}

// The board counts each source once, whatever order answers and events come in.
func TestTheBoardCountsEachSourceOnce(t *testing.T) {
	var out bytes.Buffer
	sources := []*ingestSource{{path: "a"}, {path: "b"}}
	board := newIngestBoard(&out, sources)
	ended := 0
	board.onAllEnded(func() { ended++ })
	state := func(id string, status types.IngestStatus) types.Ingest {
		return types.Ingest{JobID: id, Status: status, Reason: new("why")}
	}
	board.update(state("1", "running"))
	require.True(t, board.submitted(sources[0], new(state("1", "queued")), nil), "there were events before the answer")
	require.False(t, board.submitted(sources[1], new(state("2", "queued")), nil))
	for _, status := range []types.IngestStatus{"running", "retrying", "retrying", "completed", "completed", "failed"} {
		board.update(state("1", status))
	}
	require.Zero(t, ended)
	board.update(state("2", "failed"))
	board.update(state("2", "failed"))
	require.Equal(t, 1, ended)
	require.True(t, board.allEnded())
	require.Equal(t, 1, strings.Count(out.String(), "a waits"), out.String())
	require.Contains(t, out.String(), fmt.Sprintf("2 of 2  b: %s", "why"))
}
