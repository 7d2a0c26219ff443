package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/store/tenants"
)

// A person with a viewer's key signs in, opens the running tune, whose page stays current, and follows the
// events of the workspace with an EventSource; nothing that a viewer may not do is offered.
func TestAViewerWatchesARunningTune(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	viewer, err := s.store.Tenants.CreateKey(t.Context(), s.alpha.ID, "ada", tenants.RoleViewer)
	require.NoError(t, err)
	tune := s.submit("/backtests/tune", "watched",
		`{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5,10,20],"slow":[50,100,200]},"gates":{"max_drawdown_pct":90}}`)
	var made types.Tune
	require.NoError(t, json.Unmarshal([]byte(tune), &made))

	b := s.openBrowser()
	b.open("/admin/login")
	b.run(chromedp.SendKeys(chromedp.CSS("#token"), viewer), chromedp.Click(chromedp.CSS("button.primary")), chromedp.WaitReady(chromedp.CSS("#content")))
	require.Contains(t, b.text(".top"), "alpha")
	require.Contains(t, b.text(".top"), "ada (viewer)")
	require.NotContains(t, b.text("main"), "New tune")
	require.NotContains(t, b.text("#side"), "Retention")
	b.looksRight("viewer-home")
	b.run(chromedp.Click(chromedp.CSS(`#running a[href^="/admin/tunes/"]`), chromedp.NodeVisible), chromedp.WaitReady(chromedp.CSS("#head")))
	require.Equal(t, "queued", b.text("#head .pill"))
	require.NotContains(t, b.text("main"), "Cancel tune")
	b.live()
	require.True(t, eval[bool](b, `new Promise((done) => {
		const source = new EventSource("/events/stream");
		source.onopen = () => { source.close(); done(true); };
		source.onerror = () => done(false);
	})`), "an EventSource needs no header")
	s.startWorker()
	b.until(`document.querySelector("#head .pill").textContent === "completed"`)
	b.until(`document.querySelector("#equity canvas")`)
	b.looksRight("viewer-tune")
	b.until(`document.querySelector('tr.best a[href*="/trials/"]') !== null`)
	b.leave(chromedp.Click(chromedp.CSS(`tr.best a[href*="/trials/"]`), chromedp.NodeVisible))
	b.until(`location.pathname.includes("/trials/") && document.querySelector("main canvas") !== null`)
	require.Contains(t, b.text("main"), "Trades")
	b.open("/admin") // whose stream is open as long as somebody looks
	b.live()
	require.Equal(t, float64(http.StatusForbidden), eval[float64](b, `fetch("/admin/retention").then((r) => r.status)`))
	require.Equal(t, float64(http.StatusForbidden), eval[float64](b, `fetch("/admin/tunes/`+made.TuneID+`/cancel", {method: "POST"}).then((r) => r.status)`))

	// The key is revoked: the page says so by itself.
	principal, err := s.store.Tenants.KeyBySecret(t.Context(), viewer)
	require.NoError(t, err)
	require.NoError(t, s.store.Tenants.RevokeKey(t.Context(), s.alpha.ID, principal.KeyID))
	b.until(`!document.getElementById("stream-note").hidden`)
	require.True(t, strings.Contains(b.text("#stream-note"), "session has ended"), b.text("#stream-note"))
}
