package console_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
)

func TestGuessingTheTokenIsThrottled(t *testing.T) {
	s := newSite(t)
	b := s.openBrowser()
	b.open("/admin/login")
	for range 10 {
		b.leave(chromedp.SendKeys(chromedp.CSS("#token"), "a wrong guess"), chromedp.Click(chromedp.CSS("button.primary")))
	}
	require.Contains(t, b.text("#login-fault"), "Too many tries")
	b.looksRight("login-throttled")
	b.leave(chromedp.SendKeys(chromedp.CSS("#token"), adminToken), chromedp.Click(chromedp.CSS("button.primary")))
	require.Contains(t, b.text("#login-fault"), "Too many tries", "even the right one waits")
}

// The page says that it is behind, and is right again by itself: nothing that happened is missing.
func TestALostStreamIsAnnouncedAndRecovers(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/tunes")
	b.live()
	s.down.Store(true)
	s.line.cut()
	b.until(`document.querySelector("[data-stream]").dataset.state === "retrying"`)
	require.Contains(t, b.text("[data-stream]"), "stream lost")
	s.down.Store(false)
	s.submit("/backtests/tune", "meanwhile", `{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5],"slow":[50]}}`)
	b.live()
	b.until(`document.querySelector("#list").textContent.includes("sma_cross")`)
}

// What happens after the page was made and before its stream has begun is in the page all the same,
// once.
func TestNothingIsLostWhileTheStreamBegins(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	b := s.openBrowser()
	b.logIn()
	for _, page := range []struct{ path, rows, shows string }{
		{"/admin/events", "[data-tail] tr", "backtest.tune.queued"},
		{"/admin/tunes", "#list tbody tr", "rsi_reversal"},
	} {
		s.streams.Lock()
		b.open(page.path)
		s.submit("/backtests/tune", page.path, `{"dataset":"sp500","strategy_name":"rsi_reversal","param_space":{"period":[7,14]}}`)
		s.published()
		s.streams.Unlock()
		shown := fmt.Sprintf(`[...document.querySelectorAll(%q)].filter(r => r.textContent.includes(%q)).length`, page.rows, page.shows)
		b.live()
		b.until(shown + ` > 0`)
		if page.rows == "[data-tail] tr" {
			require.Equal(t, 1, eval[int](b, shown))
			continue
		}
		b.until(shown + ` === 2`)
	}
}

// A page that nobody looks at gives its connection back, and catches up when it is looked at again.
func TestAHiddenPageClosesItsStream(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/tunes")
	b.live()
	hide := `Object.defineProperty(document, "hidden", {value: %v, configurable: true}); document.dispatchEvent(new Event("visibilitychange")); 0`
	eval[int](b, `const later = setTimeout; window.setTimeout = (f, ms) => later(f, ms === 20000 ? 0 : ms); `+fmt.Sprintf(hide, true))
	b.until(`document.querySelector("[data-stream]").dataset.state === "off"`)
	s.submit("/backtests/tune", "meanwhile", `{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5],"slow":[50]}}`)
	eval[int](b, fmt.Sprintf(hide, false))
	b.live()
	b.until(`document.querySelector("#list").textContent.includes("sma_cross")`)
}

func TestAnExpiredSessionIsAnnounced(t *testing.T) {
	s := newSite(t).withWorkspace()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/tunes")
	b.live()
	for _, table := range []string{"admin_sessions", "event_tickets"} {
		_, err := s.db.OwnerPool(t).Exec(t.Context(), "update "+table+" set expires_at = now() - interval '1 second'")
		require.NoError(t, err)
	}
	s.line.cut()
	b.until(`document.querySelector("[data-stream]").dataset.state === "ended" && !document.querySelector("#stream-note").hidden`)
	b.looksRight("session-expired")
	b.run(chromedp.Click(chromedp.CSS("#stream-note a")), chromedp.WaitReady(chromedp.CSS("#token")))
}

// A page of another origin cannot act with the console's cookies, even from the same site.
func TestAnotherOriginCannotAct(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<main><form method="post" action="%s/admin/access/workspaces"><input name="name" value="mine"><button>Win</button></form></main>`, s.url)
	}))
	t.Cleanup(evil.Close)
	b := s.openBrowser()
	b.logIn()
	b.run(chromedp.Navigate(evil.URL), chromedp.Click(chromedp.CSS("button")))
	b.until(`document.body.textContent.includes("403")`)
	all, err := s.store.Tenants.Workspaces(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
}

// A heat map of 100,000 trials and more is made on the server: the page stays small.
func TestAHundredThousandTrialsMakeASmallPage(t *testing.T) {
	s := newSite(t).withWorkspace()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 600, Interval: 24 * time.Hour})
	require.NoError(t, err)
	var csv, body bytes.Buffer
	require.NoError(t, ohlcv.WriteCSV(&csv, bars))
	form := multipart.NewWriter(&body)
	for field, value := range map[string]string{"name": scripted, "symbol": "X", "timeframe": "1d"} {
		require.NoError(t, form.WriteField(field, value))
	}
	part, err := form.CreateFormFile("file", "bars.csv")
	require.NoError(t, err)
	_, err = io.Copy(part, &csv)
	require.NoError(t, err)
	require.NoError(t, form.Close())
	status, answer := s.do(http.MethodPost, "/datasets", form.FormDataContentType(), &body)
	require.Equal(t, http.StatusCreated, status, answer)
	named, err := json.Marshal(scripted)
	require.NoError(t, err)
	made := s.submit("/backtests/tune", "large", `{"dataset":`+string(named)+`,"strategy_name":"sma_cross","oos_ratio":0.3,
		"param_space":{"fast":{"low":2,"high":318},"slow":{"low":2,"high":318}},"gates":{"max_drawdown_pct":100,"min_trades":0}}`)
	var tune types.Tune
	require.NoError(t, json.Unmarshal([]byte(made), &tune))
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/tunes/" + tune.TuneID)
	b.until(`document.querySelector("#head .pill").textContent === "completed"`)
	began := time.Now()
	size := eval[int](b, `fetch(location.href + "?whole=true").then(r => r.text()).then(t => t.length)`)
	t.Logf("100,489 trials: a page of %d kB in %s", size/1000, time.Since(began).Round(time.Millisecond))
	require.Less(t, size, 1_000_000)
	b.open("/admin/tunes/" + tune.TuneID + "?whole=true") // what else would come after the page is in it
	wire := eval[int](b, `performance.getEntriesByType("navigation")[0].encodedBodySize`)
	t.Logf("%d kB on the wire", wire/1000)
	require.Less(t, wire, 500_000, "bytes on the wire")
	cells := eval[int](b, `document.querySelectorAll("#heat rect.cell").length`)
	require.Greater(t, cells, 1000)
	require.LessOrEqual(t, cells, 1600)
	require.Contains(t, b.text("h1"), "<script>", "a dataset's name is text, not markup")
	require.NotEqual(t, "owned", eval[string](b, `document.title`))
	b.looksRight("tune-large")
}
