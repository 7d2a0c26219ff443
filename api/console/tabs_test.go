package console_test

import (
	"encoding/json"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// The workspace is chosen for all tabs of a browser. A tab that shows another one keeps showing that, and what is done in it is done
// there.
func TestATabStaysInTheWorkspaceItShows(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	beta, err := s.store.Tenants.CreateWorkspace(t.Context(), "beta", 2)
	require.NoError(t, err)
	b := s.openBrowser()
	b.logIn()
	s.submit("/backtests/tune", "one", `{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5],"slow":[50]}}`)
	b.open("/admin/tunes")
	b.live()
	elsewhere := `fetch("/admin/workspace", {method: "POST", body: new URLSearchParams({workspace: "` + beta.ID.String() + `", next: "/admin"})}).then(r => r.status)`
	require.Equal(t, 200, eval[int](b, elsewhere))
	answer := s.submit("/backtests/tune", "two", `{"dataset":"sp500","strategy_name":"rsi_reversal","param_space":{"period":[7]}}`)
	b.until(`document.querySelector("#list").textContent.includes("rsi_reversal")`)
	require.Contains(t, b.text("#list"), "sma_cross")

	var tune types.Tune
	require.NoError(t, json.Unmarshal([]byte(answer), &tune))
	b.open("/admin/tunes/" + tune.TuneID + "?workspace=alpha")
	require.Equal(t, 200, eval[int](b, elsewhere))
	eval[int](b, `window.confirm = () => true, 0`)
	b.run(chromedp.Click(chromedp.CSS(`form[action$="/cancel"] button`)))
	b.until(`document.querySelector("a[href*='action=retry']")`)
	require.Equal(t, s.alpha.ID.String(), eval[string](b, `document.body.dataset.workspace`))
}
