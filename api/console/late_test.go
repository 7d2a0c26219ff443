package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// The page of a large result shows at once, and asks by itself for what is made of its trials or bars; those parts come
// from one answer and agree. What was made is in memory: the next visit has it from the start, and so has a
// browser without scripts that asks for all.
func TestALargeResultShowsBeforeItsChartsAreMade(t *testing.T) {
	s := newSite(t).withWorkspace().withBars("days", 700, 700).withBarsEvery("minutes", time.Minute, "1m", 100_500, 100_500)
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	const first = `fetch(location.href.split("?")[0]).then(r => r.text())`
	loaded := `!("late" in document.body.dataset) && !document.querySelector(".late")`

	tune := s.aTune(b, "large", `{"dataset":"days","oos_ratio":0.3,"strategy_name":"sma_cross","gates":{"min_trades":0},"param_space":{"fast":{"low":2,"high":151},"slow":{"low":2,"high":151}}}`)
	b.until(loaded)
	b.until(`document.querySelectorAll("figure.plot canvas").length === 3 && document.querySelectorAll("figure.spots").length >= 5`)
	b.until(`document.querySelectorAll("#trials tbody tr").length === 50`) // parts are put in one after the other
	b.until(`document.querySelector("#matched").textContent === document.querySelector("#state .stats dd:has(+ *), #state .stats div:nth-child(2) dd").firstChild.textContent.trim()`)
	require.NotContains(t, eval[string](b, first), "data-late", "what was made is in memory")
	late := strings.ReplaceAll(first, `split("?")[0]`, `split("?")[0] + "?of=mean"`)
	page := eval[string](b, late)
	require.Contains(t, page, "data-late", "another heat map is not")
	require.Contains(t, page, "Reading 22\u202f500 trials…")
	require.NotContains(t, page, `id="spots-heat"`)
	require.Contains(t, page, `href="?of=mean&amp;whole=true"`)
	whole := eval[string](b, strings.ReplaceAll(late, "of=mean", "of=mean&whole=true"))
	require.NotContains(t, whole, "data-late")
	require.Contains(t, whole, `id="spots-heat"`)
	require.NotContains(t, eval[string](b, late), "data-late")

	var run types.Run
	status, answer := s.do(http.MethodPost, "/backtests/run", "application/json", strings.NewReader(`{"dataset":"minutes","strategy_name":"sma_cross","params":{"fast":50,"slow":200},"account":{"whole_units":false}}`), "X-Idempotency-Key", "minutes")
	require.Equal(t, http.StatusCreated, status, answer)
	require.NoError(t, json.Unmarshal([]byte(answer), &run))
	b.open("/admin/runs/" + run.RunID)
	require.Contains(t, b.text(".stats"), "Sharpe", "the figures are there before the charts")
	b.until(loaded)
	b.until(`document.querySelectorAll("figure.plot[data-drawn] .readout").length === 4`)
	require.Greater(t, eval[int](b, `document.querySelectorAll("#trades tbody tr").length`), 100)
	require.NotContains(t, eval[string](b, first), "data-late")
	require.Equal(t, http.StatusOK, eval[int](b, `fetch(JSON.parse(document.querySelector("#plot-equity script").textContent).more + "&from=0&to=1e9").then(r => r.status)`))

	// A trial of a tune over as many bars is late too.
	long := s.aTune(b, "long", `{"dataset":"minutes","oos_ratio":0.3,"strategy_name":"sma_cross","gates":{"min_trades":0},"account":{"whole_units":false},"param_space":{"fast":[20,40],"slow":[200]}}`)
	b.open("/admin/tunes/" + long.TuneID + "/trials/0")
	b.until(loaded)
	b.until(`document.querySelectorAll("figure.plot[data-drawn] .readout").length === 4`)
	require.NotContains(t, eval[string](b, first), "data-late")

	// A page that waits for its parts says so when the server does not answer, and asks again.
	eval[int](b, `history.replaceState(null, "", "/admin/tunes/`+tune.TuneID+`?of=count"), 0`)
	page = eval[string](b, `fetch(location.href).then(r => r.text())`)
	require.Contains(t, page, "data-late")
	s.lateDown.Store(true)
	b.open("/admin/tunes/" + tune.TuneID + "?of=count")
	b.until(`document.querySelector("[data-waits]")?.textContent.includes("Asking again")`)
	s.lateDown.Store(false)
	b.until(loaded)
	b.until(`document.querySelector("#spots-heat")`)

	// One that was deleted before its parts came says that, and does not ask again.
	s.lateDown.Store(true)
	b.open("/admin/tunes/" + tune.TuneID + "?of=oos")
	b.until(`document.querySelector("[data-waits]")?.textContent.includes("Asking again")`)
	status, answer = s.do(http.MethodDelete, "/backtests/tunes/"+tune.TuneID, "", nil)
	require.Equal(t, http.StatusAccepted, status, answer)
	s.lateDown.Store(false)
	b.until(`document.querySelector("[data-waits]")?.textContent === "It has been deleted meanwhile." && document.getElementById("refused-note") && !("late" in document.body.dataset)`)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.errors)
}
