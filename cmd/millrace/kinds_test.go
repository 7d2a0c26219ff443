package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// A verb that is given the id of something else says what it is, and which command shows that.
func TestAVerbNamesTheKindThatItDoesNotTake(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"GET /run-plans/p1":           `{"run_plan_id":"p1","status":"completed"}`,
		"POST /run-plans/p1/cancel":   `{"run_plan_id":"p1","status":"canceled","n_variants":4,"variants_done":1}`,
		"GET /backtests/runs/r1":      `{"run_id":"r1"}`,
		"GET /ingest/jobs/i1":         `{"job_id":"i1","status":"failed","name":"a.pdf","source_type":"pdf","reason":"this is not a PDF file"}`,
		"GET /ingest/jobs/i2":         `{"job_id":"i2","status":"completed","name":"b.md","source_type":"text","outcome":"created","chunks":3}`,
		"POST /ingest/jobs/i1/cancel": `{"job_id":"i1","status":"canceled"}`,
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.Method+" "+r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answer))
	}))
	t.Cleanup(web.Close)
	for _, c := range []struct {
		verb, id string
		status   int
		says     string
	}{
		{"watch", "p1", 1, "p1 is a run plan, which millrace watch does not take: see millrace plans show p1"},
		{"cancel", "p1", 0, "run plan p1 canceled after 1 of 4 variants"},
		{"retry", "r1", 1, "r1 is a single backtest, which millrace retry does not take: see millrace trades r1"},
		{"cancel", "r1", 1, "see millrace trades r1"},
		{"watch", "i1", 1, "the ingestion failed: this is not a PDF file"},
		{"watch", "i2", 0, "b.md"},
		{"cancel", "i1", 0, "ingestion i1 canceled"},
		{"watch", "x", 1, "nothing of this workspace has the id x"},
		{"retry", "x", 1, "nothing of this workspace has the id x"},
	} {
		var out, errs bytes.Buffer
		status := run(t.Context(), []string{c.verb, c.id, "--url", web.URL, "--api-key", "mr_x"}, &out, &errs)
		require.Equal(t, c.status, status, "%s %s: %s", c.verb, c.id, errs.String())
		require.Contains(t, out.String()+errs.String(), c.says, "%s %s", c.verb, c.id)
	}
}
