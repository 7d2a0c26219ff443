package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/knowledge"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
	"millrace/store"
	"millrace/store/library"
	"millrace/store/stores"
)

// bomb is a file whose content is far more than its size, or as much as may be sent.
type bomb struct {
	name    string
	source  knowledge.SourceType
	content []byte
	refused string // "": it is ingested
}

func bombs(t *testing.T) []bomb {
	t.Helper()
	var all []bomb
	folder := filepath.Join("..", "..", "jobs", "worker", "ingestion", "sandbox", "testdata")
	for i := range 8 {
		name := []string{"pdf_bomb_300.pdf", "pdf_bomb_1024.pdf"}[i%2]
		data, err := os.ReadFile(filepath.Join(folder, name))
		require.NoError(t, err)
		all = append(all, bomb{fmt.Sprint(i, name), knowledge.SourcePDF, data, "over 640 MB of memory"})
	}
	sentence := []byte("The strategy buys when the fast average rises above the slow one, and sells. ")
	for i := range 3 {
		all = append(all, bomb{fmt.Sprint(i, "huge.txt"), knowledge.SourceText, bytes.Repeat(sentence, 95<<20/len(sentence)), "over 20000 chunks"})
	}
	for i := range 2 {
		all = append(all, bomb{fmt.Sprint(i, "long.txt"), knowledge.SourceText, bytes.Repeat(sentence, 4<<20/len(sentence)), ""})
	}
	members := []byte(`{"events":[` + strings.TrimSuffix(strings.Repeat(`{"tStartMs":1,"segs":[{"utf8":"a"}]},`, 600_000), ",") + `]}`)
	rows := []byte("time,open,high,low,close\n" + strings.Repeat("2020-01-01,1,1,1,1\n", 2_000_000))
	nested := []byte("<!doctype html><body>" + strings.Repeat("<div>", 2<<20))
	for i := range 2 {
		all = append(all,
			bomb{fmt.Sprint(i, "talk.json3"), knowledge.SourceYouTube, members, ""},
			bomb{fmt.Sprint(i, "rows.csv"), knowledge.SourceDataset, rows, "not a valid set of bars"},
			bomb{fmt.Sprint(i, "nested.html"), knowledge.SourceArticle, nested, "the page"})
	}
	return append(all, bomb{"good.pdf", knowledge.SourcePDF, pdftest.Text("Momentum persists."), ""})
}

// TestAWorkerStaysSmallWhateverItIngests has one worker ingest twenty hostile files at once and watches
// its memory and that of its children.
func TestAWorkerStaysSmallWhateverItIngests(t *testing.T) {
	if testing.Short() {
		t.Skip("it uploads 300 MB")
	}
	f := newFleet(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: f.cluster.URL(), MaxConns: 4})
	require.NoError(t, err)
	defer pool.Close()
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	st := stores.New(pool, client)
	space, err := st.Tenants.CreateWorkspace(t.Context(), "bombs", 2)
	require.NoError(t, err)

	submitted := map[uuid.UUID]bomb{}
	for i, b := range bombs(t) {
		upload, err := st.Library.PutUpload(t.Context(), space.ID, bytes.NewReader(b.content))
		require.NoError(t, err)
		_, err = st.Library.CreateIngest(t.Context(), store.Submission{Workspace: space.ID, Route: "POST /ingest", Key: fmt.Sprint("key-", i)},
			library.NewIngest{SourceType: b.source, Name: b.name, CanonicalURL: "upload:" + b.name, Upload: upload},
			func(in *library.Ingest) (store.Response, error) {
				submitted[in.ID] = bomb{b.name, b.source, nil, b.refused}
				return store.Response{Status: 202}, nil
			})
		require.NoError(t, err)
	}
	require.Len(t, submitted, 20)
	worker := f.process("worker", "--queues", "ingestion:20", "--extract-processes", "2")
	worker.await("worker ready")

	var most, children, together int
	start := time.Now()
	require.Eventually(t, func() bool {
		sum, alive := childMemory(t, worker.cmd.Process.Pid)
		children, together = max(children, alive), max(together, sum)
		most = max(most, memoryOf(worker.cmd.Process.Pid, "VmHWM:"))
		for id := range submitted {
			in, err := st.Library.Ingest(t.Context(), space.ID, id)
			if err != nil || !in.Status.Ended() {
				return false
			}
		}
		return true
	}, 8*time.Minute, 20*time.Millisecond)
	t.Logf("20 hostile files in %s: the worker's peak is %d MB, that of %d children together %d MB", time.Since(start).Round(time.Second), most, children, together)
	for id, b := range submitted {
		in, err := st.Library.Ingest(t.Context(), space.ID, id)
		require.NoError(t, err)
		if b.refused == "" {
			assert.Equal(t, library.IngestCompleted, in.Status, "%s: %v", b.name, in.Reason)
		} else if assert.Equal(t, library.IngestFailed, in.Status, b.name) {
			assert.Contains(t, *in.Reason, b.refused, b.name)
			assert.Equal(t, 1, in.Attempts, "%s is refused for good", b.name)
		}
	}
	assert.LessOrEqual(t, most, 512, "MB of the worker")
	assert.LessOrEqual(t, children, 2)
	assert.LessOrEqual(t, together, 2*(640+80), "MB of both children: the limit on their data, their stacks, and the compiled reader of PDF, which is code")
}

// memoryOf is a size in a process's status, in MB; 0 when it is gone.
func memoryOf(pid int, field string) int { return statusFigure(pid, field) >> 10 }

// statusFigure is a number in a process's status; 0 when it is gone.
func statusFigure(pid int, field string) int {
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), field)
	words := strings.Fields(rest)
	if len(words) == 0 {
		return 0
	}
	figure, _ := strconv.Atoi(words[0])
	return figure
}

// childMemory is the memory that a process's children hold for themselves, in MB, and their number. The
// program's text is left out: it is one copy in memory, shared by the worker and all of its children.
func childMemory(t *testing.T, pid int) (sum, alive int) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, process := range all {
		id, _ := strconv.Atoi(filepath.Base(process))
		if statusFigure(id, "PPid:") != pid {
			continue
		}
		if resident := memoryOf(id, "RssAnon:"); resident > 0 {
			sum, alive = sum+resident, alive+1
		}
	}
	return sum, alive
}
