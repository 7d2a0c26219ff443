package console_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// press sends keys to whatever has the focus.
func (b *browser) press(keys string) {
	b.t.Helper()
	b.run(chromedp.KeyEvent(keys))
}

// tabTo presses the tabulator until the focus is on an element, and sees on the way that every
// stop shows that it has the focus.
func (b *browser) tabTo(selector string) {
	b.t.Helper()
	for range 60 {
		b.press(kb.Tab)
		require.NotEqual(b.t, "none", eval[string](b, `getComputedStyle(document.activeElement).outlineStyle`), "the focus does not show")
		if eval[bool](b, `document.activeElement.matches("`+selector+`")`) {
			return
		}
	}
	b.t.Fatalf("the tabulator never comes to %s", selector)
}

// Log in, skip the navigation, and submit a tune: no pointer is needed.
func TestTheConsoleIsUsedByKeyboard(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	b := s.openBrowser()
	b.open("/admin/tunes/new")
	b.leave(chromedp.KeyEvent(adminToken + kb.Enter)) // the focus is on the token already
	b.press(kb.Tab)
	require.Equal(t, "Skip to content", eval[string](b, `document.activeElement.textContent`))
	b.press(kb.Enter)
	b.until(`location.hash === "#content"`)
	b.tabTo(`[name='param.fast']`)
	require.Contains(t, eval[string](b, `location.pathname`), "/admin/tunes/new", "the login leads to where one wanted to go")
	b.tabTo(`button.primary`)
	b.leave(chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector("#head .pill")?.textContent === "queued"`)

	// At 400 pixels the navigation is behind a button, which says whether it is open.
	b.resize(400)
	b.tabTo(`[data-menu]`)
	b.press(kb.Enter)
	require.Equal(t, "true", eval[string](b, `document.activeElement.getAttribute("aria-expanded")`))
	require.True(t, eval[bool](b, `document.querySelector("#side a.item").checkVisibility()`))
}

// Failures are shown where one looks first, with a way to the job.
func TestFailuresAreShownOnTheHomePage(t *testing.T) {
	s := newSite(t).withWorkspace()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/datasets")
	b.leave(
		chromedp.SendKeys(chromedp.CSS(`main [name="name"]`), "sp500"), chromedp.SendKeys(chromedp.CSS(`[name="symbol"]`), "SPX"),
		chromedp.SendKeys(chromedp.CSS(`[name="timeframe"]`), "1d"), chromedp.SetUploadFiles(chromedp.CSS(`[type="file"]`), []string{sampleFile(t)}),
		chromedp.Click(chromedp.CSS(`form[enctype] button`)),
	)
	require.Contains(t, b.text(".note.good"), "5\u202f105 bars")
	b.looksRight("datasets")
	b.leave(chromedp.Click(chromedp.CSS(`a[href^="/admin/datasets?of="]`)))
	require.Contains(t, b.text(`section[aria-labelledby="h-versions"] tbody`), "upload")
	b.looksRight("versions")

	s.submit("/backtests/tune", "breaks", `{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[50,100]}}`)
	owner := s.db.OwnerPool(t)
	_, err := owner.Exec(t.Context(), `update tunes set status = 'failed', error = 'a shard failed 3 times: no space left', completed_at = now()`)
	require.NoError(t, err)
	_, err = owner.Exec(t.Context(), `insert into river_job (kind, args, queue, max_attempts, attempt, state, finalized_at, errors)
		values ('tune.shard', jsonb_build_object('workspace_id', $1::text), 'trials', 3, 3, 'discarded', now(), array['{"attempt": 3, "error": "no space left"}'::jsonb])`, s.alpha.ID)
	require.NoError(t, err)
	b.open("/admin")
	require.Contains(t, b.text("#failures"), "a shard failed 3 times")
	require.Contains(t, b.text(`#failures a[href^="/admin/riverui/jobs/"]`), "tune.shard")
	b.looksRight("home-broken")
	b.leave(chromedp.Click(chromedp.CSS(`#failures a[href^="/admin/tunes/"]`)))
	require.Contains(t, b.text("#state [role=alert]"), "no space left")
	require.Contains(t, b.text("#equity"), "It ended before its trials were ranked")
	b.looksRight("tune-failed")
}
