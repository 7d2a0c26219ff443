package console_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// A source goes from the form to a document, by text and by file, and can be asked.
func TestASourceIsIngested(t *testing.T) {
	s := newSite(t).withWorkspace()
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/ingestion")
	b.live()
	b.run(
		chromedp.SendKeys(chromedp.CSS(`[name="text"]`), "The turtle system buys breakouts of twenty days. "+scripted),
		chromedp.SendKeys(chromedp.CSS(`form[action="/admin/ingestion"] [name="title"]`), "Turtles "+scripted),
		chromedp.Click(chromedp.CSS(`form[action="/admin/ingestion"] button`)),
	)
	b.until(`document.querySelector("#jobs .pill.completed") !== null`)
	b.until(`document.querySelector("#documents td")?.textContent.includes("Turtles <script>")`)
	require.NotEqual(t, "owned", eval[string](b, `document.title`))
	require.Positive(t, eval[int](b, `document.querySelectorAll('#jobs a[href^="/admin/riverui/jobs/"]').length`))
	b.looksRight("ingestion")

	file := filepath.Join(t.TempDir(), "notes.md")
	require.NoError(t, os.WriteFile(file, []byte("# Kelly\n\nThe Kelly criterion sizes a bet as its edge over its odds.\n"), 0o600))
	b.run(chromedp.SetUploadFiles(chromedp.CSS(`[type="file"]`), []string{file}), chromedp.Click(chromedp.CSS(`form[enctype] button`)))
	b.until(`document.querySelectorAll("#documents tbody tr").length === 2`)

	b.run(chromedp.SendKeys(chromedp.CSS(`[name="url"]`), "http://127.0.0.1/secret"), chromedp.Click(chromedp.CSS(`form[action="/admin/ingestion"] button`)))
	b.until(`document.querySelector("[role=alert]:not([hidden])") !== null || document.querySelector("#jobs").textContent.includes("127.0.0.1/secret")`)

	b.open("/admin/ingestion")
	eval[int](b, `window.confirm = () => true; 0`)
	b.run(chromedp.Click(chromedp.CSS("#documents button.danger")))
	b.until(`document.querySelectorAll("#documents tbody tr").length === 1`)
}

// What waits is cancelled from the list, and fetched again from it; a text, which is not kept, is not offered again.
func TestAnIngestionIsCancelledAndRetried(t *testing.T) {
	s := newSite(t).withWorkspace()
	s.submit("/ingest", "text", `{"text":"Turtles buy breakouts."}`)
	s.submit("/ingest", "address", `{"url":"http://192.0.2.1/turtles"}`)
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/ingestion")
	b.live()
	press := func(button string) { // in one step: an event may replace the part that it is in
		b.until(`document.querySelector('` + button + `')`)
		eval[int](b, `document.querySelector('`+button+`').click(), 0`)
	}
	press(`#jobs [aria-label="Cancel pasted text"]`)
	b.until(`document.querySelectorAll("#jobs .pill.canceled").length === 1`)
	press(`#jobs [aria-label="Cancel http://192.0.2.1/turtles"]`)
	b.until(`document.querySelectorAll("#jobs .pill.canceled").length === 2`)
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#jobs button").length`))
	b.looksRight("ingestion-canceled")
	press(`#jobs [aria-label="Retry http://192.0.2.1/turtles"]`)
	b.until(`document.querySelectorAll("#jobs .pill.queued").length === 1`)
	_, listed := s.do("GET", "/ingest/jobs", "", nil)
	require.Contains(t, listed, `"retries":1`)
	_, err := s.db.OwnerPool(t).Exec(t.Context(), `update ingest_jobs set status = 'failed', final = true, completed_at = now(), reason = 'port 22 is not allowed' where url is not null`)
	require.NoError(t, err)
	b.open("/admin/ingestion")
	require.Contains(t, b.text("#jobs"), "port 22 is not allowed")
	require.Zero(t, eval[int](b, `document.querySelectorAll("#jobs button").length`), "a retry cannot help")
}

// A question that finds nothing opens a gap, which is acknowledged and resolved in the cockpit; to
// resolve it with neither a candidate nor a note is refused.
func TestAGapIsTriaged(t *testing.T) {
	s := newSite(t).withWorkspace()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/coverage")
	b.live()
	s.post("/query", `{"question":"Does volatility targeting help? `+"<i>really</i>"+`","mode":"retrieve"}`)
	b.until(`document.querySelector("#gaps h2")?.textContent.includes("<i>really</i>")`)
	b.looksRight("coverage")
	press := func(button string) { // in one step: an event may replace the part that it is in
		b.until(`document.querySelector('` + button + `')`)
		eval[int](b, `document.querySelector('`+button+`').click(), 0`)
	}
	press(`form[action$="/acknowledge"] button`)
	b.until(`location.search.includes("acknowledged") && document.querySelector("#gaps .pill.acknowledged") !== null`)
	press(`form[action$="/resolve"] button`)
	b.until(`document.querySelector("[role=alert].bad:not([hidden])") !== null`)
	b.open("/admin/coverage?status=acknowledged")
	b.run(chromedp.SendKeys(chromedp.CSS(`[name="note"]`), "Two papers are on their way."), chromedp.Click(chromedp.CSS(`form[action$="/resolve"] button`)))
	b.until(`location.search.includes("resolved") && document.querySelector("#gaps")?.textContent.includes("Two papers")`)
	b.looksRight("coverage-resolved")
}
