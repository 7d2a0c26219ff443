package console_test

import (
	"encoding/json"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// A dataset that a tune runs on says so before it is deleted, and several tunes are archived from the list.
func TestDeletingShowsWhatDependsAndSeveralAreArchived(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	var tune types.Tune
	for _, key := range []string{"a", "b"} {
		made := s.submit("/backtests/tune", key, `{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[50,100]}}`)
		require.NoError(t, json.Unmarshal([]byte(made), &tune))
	}
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/tunes?select=true")
	b.run(chromedp.Click(chromedp.CSS(`#list tbody tr:first-child input[type="checkbox"]`)))
	eval[int](b, `document.querySelector('#several [name="action"]').value = "archive", 0`)
	b.leave(chromedp.Click(chromedp.CSS(`#several button`)))
	require.Contains(t, b.text("h1"), "Archive 1 tune")
	b.looksRight("change-archive")
	b.leave(chromedp.Click(chromedp.CSS(`form[action="/admin/change"] button`)))
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#list tbody tr").length`))
	b.open("/admin/tunes?archived=true")
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#list tbody tr").length`))

	b.open("/admin/change?kind=tune&action=delete&id=" + tune.TuneID)
	require.Contains(t, b.text("main"), "have not ended")
	b.looksRight("change-delete")
	b.leave(chromedp.Click(chromedp.CSS(`[name="cascade"]`)), chromedp.Click(chromedp.CSS(`form[action="/admin/change"] button.danger`)))
	require.Equal(t, "/admin/tunes", eval[string](b, `location.pathname`))
	b.open("/admin/change?kind=tune&action=delete")
	require.Contains(t, b.text("main"), "Select at least one")
}
