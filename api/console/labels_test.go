package console_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// A newcomer loads the sample, submits the form as it is filled in, and has a leaderboard; what is named
// then is found again.
func TestTheFirstTuneIsTwoButtonsAway(t *testing.T) {
	s := newSite(t).withWorkspace()
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	b.looksRight("first-run")
	b.leave(chromedp.Click(chromedp.CSS(`form[action="/admin/datasets/sample"] button`)))
	require.Equal(t, "/admin/tunes/new", eval[string](b, `location.pathname`))
	b.leave(chromedp.Click(chromedp.CSS(`form[action="/admin/tunes"] button.primary`), chromedp.NodeVisible))
	b.until(`document.querySelector("#head .pill")?.textContent === "completed" && document.querySelector("#trials tr.best")`)

	b.leave(
		chromedp.SendKeys(chromedp.CSS(`section[aria-labelledby="h-label"] [name="name"]`), `Baseline `+scripted), chromedp.SendKeys(chromedp.CSS(`[name="tags"]`), "first, spx"),
		chromedp.SendKeys(chromedp.CSS(`[name="note"]`), "as the form had it"), chromedp.Click(chromedp.CSS(`section[aria-labelledby="h-label"] button`)),
	)
	require.Contains(t, b.text("#head"), "<script>", "a name is text, not markup")
	require.NotEqual(t, "owned", eval[string](b, `document.title`))
	b.open("/admin/tunes")
	require.Contains(t, b.text("#list"), "Baseline")
	b.follow(`#list a.tag`)
	require.Equal(t, "/admin/search", eval[string](b, `location.pathname`))
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("main tbody tr").length`))
	b.looksRight("search")
	b.open("/admin/search?q=form+sma_cross")
	require.Contains(t, b.text("main tbody"), "Baseline")
}
