package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"millrace/jobs"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/ingestion"
	"millrace/jobs/worker/ingestion/fetch"
	"millrace/jobs/worker/ingestion/pdf/pdftest"
	"millrace/jobs/worker/ingestion/sandbox"
	"millrace/jobs/worker/schedule"
	"millrace/ops"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
)

// ingesting works the library's ingestions until the test ends.
func (l *library) ingesting() { l.ingestingFrom(fetch.Options{}, jobs.Slots{jobs.QueueIngestion: 2}) }

// ingestingFrom does so, fetches from what the options admit, and runs schedules of ingestions.
func (l *library) ingestingFrom(addresses fetch.Options, slots jobs.Slots) {
	l.t.Helper()
	logger, metrics := slog.New(slog.DiscardHandler), ops.NewMetrics()
	pool, err := store.OpenPool(l.t.Context(), store.PoolOptions{DatabaseURL: l.db.URL, MaxConns: 10})
	require.NoError(l.t, err)
	l.t.Cleanup(pool.Close)
	cache, err := os.UserCacheDir()
	require.NoError(l.t, err)
	children, err := sandbox.New(sandbox.Options{CacheDir: filepath.Join(cache, "millrace", "wasm")})
	require.NoError(l.t, err)
	l.t.Cleanup(func() { _ = children.Close(context.Background()) })
	member, err := fleet.New(fleet.Options{
		Pool: pool, Slots: slots, Metrics: metrics, Logger: logger, Version: "test", Drain: time.Second,
	}, func(st *stores.Set, workers *river.Workers) {
		all, err := ingestion.New(ingestion.Options{
			DB: st.DB, Library: st.Library, Market: st.Market, Logger: logger, Fetcher: fetch.New(addresses), Sandbox: children,
			Embedders: l.parts.Embedders, Index: l.parts.Index,
		})
		require.NoError(l.t, err)
		all.Register(workers)
		schedule.New(schedule.Stores{DB: st.DB, Library: st.Library, Schedules: st.Schedules}, 0, logger).Register(workers)
	})
	require.NoError(l.t, err)
	require.NoError(l.t, member.Start(l.t.Context()))
	l.t.Cleanup(func() { _ = member.Stop(context.Background()) })
}

type ingestAnswer struct {
	JobID      string `json:"job_id"`
	DocumentID string `json:"document_id"`
	DatasetID  string `json:"dataset_id"`
	Status     string
	SourceType string `json:"source_type"`
	Outcome    string
	Reason     string
}

// send uploads a file, with fields of the form as name, value, …
func (r *fixture) send(path, key, name string, content []byte, fields ...string) answer {
	r.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for i := 0; i+1 < len(fields); i += 2 {
		require.NoError(r.t, form.WriteField(fields[i], fields[i+1]))
	}
	part, err := form.CreateFormFile("file", name)
	require.NoError(r.t, err)
	_, err = part.Write(content)
	require.NoError(r.t, err)
	require.NoError(r.t, form.Close())
	a, err := r.try(http.MethodPost, path, &body, "Authorization", "Bearer "+r.key,
		"Content-Type", form.FormDataContentType(), "X-Idempotency-Key", key)
	require.NoError(r.t, err)
	return a
}

// ended waits for an ingestion to end.
func (r *fixture) ended(a answer) ingestAnswer {
	r.t.Helper()
	require.Equal(r.t, http.StatusAccepted, a.status, string(a.body))
	var view ingestAnswer
	require.Eventually(r.t, func() bool {
		view = into[ingestAnswer](r.t, r.do(http.MethodGet, a.header.Get("Location"), ""))
		return view.Status == "completed" || view.Status == "failed" || view.Status == "canceled"
	}, 30*time.Second, 10*time.Millisecond)
	return view
}

// Every type of source goes from a file to an answer that cites it, with nothing set up.
func TestFromAFileToACitedAnswer(t *testing.T) {
	l := newLibrary(t)
	l.ingesting()
	html := "<!doctype html><title>Pairs</title><article><p>" + strings.Repeat("Cointegration of two stocks makes a spread that comes back to its mean. ", 6) + "</p></article>"
	for i, test := range []struct {
		source, name  string
		content       []byte
		question, say string
	}{
		{"text", "notes.md", []byte("# Turtles\n\nThe turtle system buys breakouts of twenty days and sells at ten day lows.\n"), "What does the turtle system buy?", "twenty days"},
		{"pdf", "kelly.pdf", pdftest.Text("A first page on other things entirely.", "The kelly criterion sizes a bet as its edge over its odds."), "How does the kelly criterion size a bet?", "edge over its odds"},
		{"article", "pairs.html", []byte(html), "What does cointegration of two stocks make?", "comes back to its mean"},
		{"youtube", "talk.srt", []byte("1\n00:01:05,000 --> 00:01:09,000\nGap fills happen before noon on most mornings.\n"), "When do gap fills happen?", "before noon"},
		{"pine", "squeeze.pine", []byte("//@version=5\nindicator(\"Keltner squeeze\")\nlength = input.int(20, \"Keltner length\")\nplot(ta.ema(close, length))\n"), "Keltner squeeze length input", "Keltner length"},
		{"dataset", "spx.csv", ohlcv.Sample(), "What was the maximum drawdown of the spx dataset?", "maximum drawdown"},
	} {
		job := l.ended(l.send("/ingest", fmt.Sprint("k", i), test.name, test.content))
		require.Equal(t, "completed", job.Status, job.Reason)
		require.Equal(t, test.source, job.SourceType)
		body := fmt.Sprintf(`{"question":%q,"mode":"answer","top_k":3}`, test.question)
		got := into[queryAnswer](t, l.do(http.MethodPost, "/query", body))
		require.NotNil(t, got.Answer, test.source)
		require.NotEmpty(t, got.Answer.Citations, test.source)
		doc := into[struct {
			Chunks []struct {
				ChunkID string `json:"chunk_id"`
				Text    string
			}
		}](t, l.do(http.MethodGet, "/documents/"+job.DocumentID, ""))
		cited := ""
		for _, chunk := range doc.Chunks {
			if chunk.ChunkID == got.Answer.Citations[0].ChunkID.String() {
				cited = chunk.Text
			}
		}
		require.Contains(t, cited, test.say, "%s: the first citation is of the document", test.source)
	}
	list := into[struct{ Items []map[string]any }](t, l.do(http.MethodGet, "/documents?source_type=pdf", ""))
	require.Len(t, list.Items, 1)
	require.Equal(t, "A title", list.Items[0]["title"])
	require.Len(t, into[struct{ Items []any }](t, l.do(http.MethodGet, "/ingest/jobs?status=completed&limit=500", "")).Items, 6)
}

// A Mac and some PDF files write letters and their accents apart, and Korean syllables in pieces. Title, text and question are the
// same words either way.
func TestPiecesOfLettersAreTheSameWords(t *testing.T) {
	l := newLibrary(t)
	l.ingesting()
	apart, whole := norm.NFD.String, func(text string) string { return text }
	for i, written := range []func(string) string{apart, whole} {
		l.ended(l.send("/ingest", fmt.Sprint("k", i), "notes.md", []byte(written(fmt.Sprintf("# 수수료 %d\n\n수수료는 거래 금액의 %d퍼센트입니다.\n", i, i+5))), "title", written("Übernachtgebühren"), "source", fmt.Sprint("source-", i)))
	}
	for _, asked := range []func(string) string{apart, whole} {
		for _, question := range []string{"수수료는 얼마입니까?", "Übernachtgebühren"} {
			found := l.ask(fmt.Sprintf(`{"question":%q,"mode":"retrieve"}`, asked(question)))
			require.Len(t, found.Results, 2, "%q", asked(question))
		}
		path := "/documents?title=" + url.QueryEscape(asked("gebühren"))
		require.Len(t, into[struct{ Items []any }](t, l.do(http.MethodGet, path, "")).Items, 2)
	}
}

func TestASubmissionIsIngestedOnce(t *testing.T) {
	r := newFixture(t)
	first := r.send("/ingest", "k", "a.txt", []byte("The same."))
	require.Equal(t, http.StatusAccepted, first.status, string(first.body))
	again := r.send("/ingest", "k", "a.txt", []byte("The same."))
	require.Equal(t, string(first.body), string(again.body))
	require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
	require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
	require.Equal(t, http.StatusUnprocessableEntity, r.send("/ingest", "k", "a.txt", []byte("Another.")).status)
	require.Equal(t, http.StatusUnprocessableEntity, r.send("/ingest", "k", "a.txt", []byte("The same."), "title", "T").status)

	text := `{"text":"By another way.","title":"T"}`
	one := r.do(http.MethodPost, "/ingest/text", text, "X-Idempotency-Key", "t")
	require.Equal(t, http.StatusAccepted, one.status, string(one.body))
	two := r.do(http.MethodPost, "/ingest/text", `{"title": "T", "text": "By another way."}`, "X-Idempotency-Key", "t")
	require.Equal(t, string(one.body), string(two.body))
	require.Equal(t, 2, r.count(`select count(*) from ingest_jobs`))
	require.Equal(t, 2, r.count(`select count(*) from river_job where kind = 'ingest.source'`))
	require.Equal(t, 2, r.count(`select count(*) from ingest_uploads`), "what was sent with a replay or a refusal is not kept")
	require.Zero(t, r.count(`select count(*) from river_job where args::text like '%same%'`), "content is never in the arguments")
}

func TestABadIngestRequestIsNamedAndStoresNothing(t *testing.T) {
	r := newFixture(t)
	for name, test := range map[string]struct {
		path, body string
		status     int
		field      string
	}{
		"nothing":              {"/ingest", `{}`, 422, "url"},
		"empty text":           {"/ingest", `{"text":"  \n"}`, 422, "text"},
		"no such type":         {"/ingest", `{"text":"x","source_type":"epub"}`, 422, "source_type"},
		"another type":         {"/ingest/pdf", `{"text":"x","source_type":"text"}`, 422, "source_type"},
		"no URL":               {"/ingest", `{"url":"not a url"}`, 422, "url"},
		"scheme":               {"/ingest", `{"url":"file:///etc/passwd"}`, 422, "url"},
		"credentials":          {"/ingest", `{"url":"https://me:secret@example.com/"}`, 422, "url"},
		"decimal address":      {"/ingest", `{"url":"http://2130706433/"}`, 422, "url"},
		"long URL":             {"/ingest", `{"url":"https://example.com/` + strings.Repeat("x", 2000) + `"}`, 422, "url"},
		"no video":             {"/ingest/youtube", `{"url":"https://www.youtube.com/channel/x"}`, 422, "url"},
		"language":             {"/ingest", `{"url":"https://youtu.be/dQw4w9WgXcQ","language":"english please"}`, 422, "language"},
		"long title":           {"/ingest", `{"text":"x","title":"` + strings.Repeat("t", 301) + `"}`, 422, "title"},
		"line break in a name": {"/ingest", `{"text":"x","name":"a\nb"}`, 422, "name"},
		"calendar":             {"/ingest/dataset", `{"text":"x","title":"d","calendar":300}`, 422, "calendar"},
		"dataset without name": {"/ingest/dataset", `{"text":"x"}`, 422, "title"},
		"unknown member":       {"/ingest", `{"text":"x","tag":"y"}`, 400, "tag"},
		"not JSON":             {"/ingest", `{`, 400, "body"},
		"invalid UTF-8":        {"/ingest", "{\"text\":\"\xff\"}", 400, "text"},
		"text over the limit":  {"/ingest", `{"text":"` + strings.Repeat("x", 10<<20) + `"}`, 413, "body"},
	} {
		a := r.do(http.MethodPost, test.path, test.body, "X-Idempotency-Key", "bad")
		require.Equal(t, test.status, a.status, "%s: %s", name, a.body)
		p := into[struct {
			Errors []struct{ Field, Message string }
		}](t, a)
		require.NotEmpty(t, p.Errors, "%s: %s", name, a.body)
		require.Equal(t, test.field, p.Errors[0].Field, "%s: %s", name, a.body)
		require.NotContains(t, string(a.body), "secret")
	}
	require.Equal(t, http.StatusBadRequest, r.do(http.MethodPost, "/ingest", `{"text":"x"}`).status, "no key")
	require.Equal(t, http.StatusUnprocessableEntity, r.send("/ingest", "k", "a.pdf", nil).status, "an empty file")
	require.Equal(t, http.StatusUnprocessableEntity, r.send("/ingest", "k", "a.txt", []byte("x"), "text", "y").status)
	require.Equal(t, http.StatusBadRequest, r.send("/ingest", "k", "a.txt", []byte("x"), "colour", "y").status)
	require.Equal(t, http.StatusBadRequest, r.send("/ingest", "k", "a.txt", []byte("x"), "title", "y", "title", "z").status)
	require.Equal(t, http.StatusBadRequest, r.do(http.MethodPost, "/ingest", "--x\r\nbroken", "Content-Type", "multipart/form-data; boundary=x", "X-Idempotency-Key", "k").status)
	viewer := r.newKey(r.alpha, tenants.RoleViewer)
	require.Equal(t, http.StatusForbidden, r.do(http.MethodPost, "/ingest", `{"text":"x"}`, "Authorization", "Bearer "+viewer, "X-Idempotency-Key", "k").status)
	for _, table := range []string{"ingest_jobs", "ingest_uploads", "ingest_upload_parts", "documents", "river_job", "idempotency_keys"} {
		require.Zero(t, r.count(`select count(*) from `+table), table)
	}
	for _, path := range []string{"/ingest/jobs?status=odd", "/ingest/jobs?source_type=odd", "/ingest/jobs?document_id=x", "/documents?cursor=!", "/documents?limit=0"} {
		require.Equal(t, http.StatusBadRequest, r.do(http.MethodGet, path, "").status, path)
	}
}

// endless is a body of a form that begins as given and continues with so many zeros; read counts those
// that were taken.
type endless struct {
	start io.Reader
	zeros int64
	read  int64
}

func (e *endless) Read(p []byte) (int, error) {
	if n, err := e.start.Read(p); n > 0 || err == nil {
		return n, nil
	}
	if e.read == e.zeros {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), e.zeros-e.read)]
	clear(p)
	e.read += int64(len(p))
	return len(p), nil
}

func TestAHugeUploadIsRefusedWithoutBeingHeld(t *testing.T) {
	r := newFixture(t)
	head := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n"
	send := func(zeros, length int64) *endless {
		body := &endless{start: strings.NewReader(head), zeros: zeros}
		req, err := http.NewRequest(http.MethodPost, r.url+"/ingest", body)
		require.NoError(t, err)
		req.ContentLength = length
		req.Header.Set("Authorization", "Bearer "+r.key)
		req.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		req.Header.Set("X-Idempotency-Key", "huge")
		req.Header.Set("Expect", "100-continue")
		resp, err := (&http.Client{Transport: &http.Transport{ExpectContinueTimeout: 10 * time.Second}}).Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		require.Equal(t, http.StatusRequestEntityTooLarge, resp.StatusCode)
		return body
	}
	require.Zero(t, send(1<<30, 1<<30).read, "one that says how long it is is refused before a byte is sent")
	send(101<<20, -1) // one that does not is read up to the limit, into the database and not into memory
	require.Zero(t, r.count(`select count(*) from ingest_uploads`))
	require.Zero(t, r.count(`select count(*) from ingest_upload_parts`))
}

func TestDocumentsOfAnotherWorkspaceAreNotThere(t *testing.T) {
	l := newLibrary(t)
	document, _ := l.put(l.alpha, pgtest.Document{Texts: []string{"one", "two", "three"}})
	job := l.do(http.MethodPost, "/ingest", `{"text":"x","name":"a.txt"}`, "X-Idempotency-Key", "k")
	require.Equal(t, http.StatusAccepted, job.status, string(job.body))
	path, at := "/documents/"+document.String(), job.header.Get("Location")
	foreign := []string{"Authorization", "Bearer " + l.other, "X-Idempotency-Key", "theirs"}
	for _, call := range [][2]string{
		{http.MethodGet, path}, {http.MethodDelete, path}, {http.MethodPost, path + "/reingest"}, {http.MethodGet, at}, {http.MethodPost, at + "/cancel"},
	} {
		require.Equal(t, http.StatusNotFound, l.do(call[0], call[1], "", foreign...).status, "%s %s", call[0], call[1])
	}
	for _, list := range []string{"/documents", "/ingest/jobs"} {
		require.Empty(t, into[struct{ Items []any }](t, l.do(http.MethodGet, list, "", foreign...)).Items, list)
		require.NotEmpty(t, into[struct{ Items []any }](t, l.do(http.MethodGet, list, "")).Items, list)
	}
	// The same name in both workspaces is two documents.
	theirs := into[ingestAnswer](t, l.do(http.MethodPost, "/ingest", `{"text":"x","name":"a.txt"}`, foreign...))
	require.NotEqual(t, into[ingestAnswer](t, job).DocumentID, theirs.DocumentID)
}

func TestADocumentIsReadPagedReingestedAndDeleted(t *testing.T) {
	l := newLibrary(t)
	document, chunks := l.put(l.alpha, pgtest.Document{Texts: []string{"one", "two", "three"}})
	path := "/documents/" + document.String()
	type page struct {
		Status     string
		ChunkCount int `json:"chunk_count"`
		Chunks     []struct {
			ChunkID string `json:"chunk_id"`
			Index   int
		}
		NextCursor *string `json:"next_cursor"`
	}
	first := into[page](t, l.do(http.MethodGet, path+"?limit=2", ""))
	require.Equal(t, "ready", first.Status)
	require.Equal(t, 3, first.ChunkCount)
	require.Len(t, first.Chunks, 2)
	rest := into[page](t, l.do(http.MethodGet, path+"?limit=2&cursor="+*first.NextCursor, ""))
	require.Len(t, rest.Chunks, 1)
	require.Equal(t, chunks[2].String(), rest.Chunks[0].ChunkID)
	require.Nil(t, rest.NextCursor)

	sent := l.do(http.MethodPost, path+"/reingest", "", "X-Idempotency-Key", "again")
	require.Equal(t, http.StatusUnprocessableEntity, sent.status, string(sent.body))
	_, err := l.db.OwnerPool(t).Exec(t.Context(), `update documents set canonical_url = 'https://example.com/a'`)
	require.NoError(t, err)
	again := l.do(http.MethodPost, path+"/reingest", "", "X-Idempotency-Key", "again")
	require.Equal(t, http.StatusAccepted, again.status, string(again.body))
	require.Equal(t, document.String(), into[ingestAnswer](t, again).DocumentID)
	require.Equal(t, string(again.body), string(l.do(http.MethodPost, path+"/reingest", "", "X-Idempotency-Key", "again").body))

	require.Equal(t, http.StatusNoContent, l.do(http.MethodDelete, path, "").status)
	require.Equal(t, http.StatusNotFound, l.do(http.MethodDelete, path, "").status)
	require.Equal(t, http.StatusNotFound, l.do(http.MethodGet, path, "").status)
	job := into[ingestAnswer](t, l.do(http.MethodGet, again.header.Get("Location"), ""))
	require.Equal(t, "canceled", job.Status)
	require.Contains(t, job.Reason, "deleted")
	require.Zero(t, l.count(`select count(*) from chunks`))
	require.Equal(t, http.StatusConflict, l.do(http.MethodPost, again.header.Get("Location")+"/cancel", "").status)
	l.ingesting()
	require.Eventually(t, func() bool { return l.count(`select count(*) from vectors where embedding is not null`) == 0 }, 20*time.Second, 20*time.Millisecond)
}
