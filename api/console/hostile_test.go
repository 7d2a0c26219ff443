package console_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store/tenants"
)

// withBars uploads generated bars, or the first few of them, under a name.
func (s *site) withBars(name string, generated, kept int) *site {
	s.t.Helper()
	return s.withBarsEvery(name, 24*time.Hour, "1d", generated, kept)
}

func (s *site) withBarsEvery(name string, every time.Duration, timeframe string, generated, kept int) *site {
	s.t.Helper()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: generated, Interval: every})
	require.NoError(s.t, err)
	var csv, body bytes.Buffer
	require.NoError(s.t, ohlcv.WriteCSV(&csv, bars.Slice(0, kept)))
	form := multipart.NewWriter(&body)
	for field, value := range map[string]string{"name": name, "symbol": "X", "timeframe": timeframe} {
		require.NoError(s.t, form.WriteField(field, value))
	}
	part, err := form.CreateFormFile("file", "bars.csv")
	require.NoError(s.t, err)
	_, err = csv.WriteTo(part)
	require.NoError(s.t, err)
	require.NoError(s.t, form.Close())
	status, answer := s.do(http.MethodPost, "/datasets", form.FormDataContentType(), &body)
	require.Equal(s.t, http.StatusCreated, status, answer)
	return s
}

// longName is a name with markup, as long as a name may be.
func longName() string { return scripted + strings.Repeat("x", 200-len(scripted)) }

// manyInputs is a script with 40 inputs that all reach its orders, and names as long as they may be.
func manyInputs() string {
	var script strings.Builder
	fmt.Fprintf(&script, "//@version=6\nstrategy(%q, overlay=true)\n", longName())
	sum := "0.0"
	for i := range 40 {
		fmt.Fprintf(&script, "p%d = input.int(%d, %q, minval=1, maxval=99)\n", i, i+1, fmt.Sprintf("%02d %s", i, longName()[:150]))
		sum += fmt.Sprintf(" + p%d", i)
	}
	fmt.Fprintf(&script, "m = ta.sma(close, 10) + (%s) / 100000\nif ta.crossover(close, m)\n    strategy.entry(\"L\", strategy.long, comment=%q)\nif ta.crossunder(close, m)\n    strategy.close(\"L\")\nplot(m, %q)\n",
		sum, longName(), longName())
	return script.String()
}

// Results of one trial, one bar, no defined score, 40 parameters and names of 200 characters with markup make pages that
// are whole; what another workspace has is not there.
func TestExtremeResultsMakeWholePages(t *testing.T) {
	s := newSite(t).withWorkspace().withSample().withBars("one", 5, 1).withBars("flat", 600, 600)
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	shown := func(name string) {
		t.Helper()
		require.NotContains(t, b.text("main"), "Internal Server Error", name)
		require.NotEqual(t, "owned", eval[string](b, `document.title`), name)
		if strings.HasSuffix(name, "-40") {
			b.looksRight(name)
			return
		}
		b.resize(400) // where it is narrowest
		require.Zero(t, eval[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`), "%s sticks out", name)
		b.wellWorded(name)
	}

	// One trial, named as long as it may be.
	one := s.aTune(b, "one", `{"dataset":"sp500","oos_ratio":0.3,"strategy_name":"sma_cross","param_space":{"fast":[5],"slow":[50]}}`)
	status, answer := s.do(http.MethodPut, "/backtests/tunes/"+one.TuneID+"/label", "application/json", strings.NewReader(fmt.Sprintf(`{"name":%q,"tags":[%q]}`, longName(), "a<b>c")))
	require.Equal(t, http.StatusOK, status, answer)
	b.open("/admin/tunes/" + one.TuneID)
	b.until(`document.querySelectorAll("#equity canvas").length === 2`)
	require.Contains(t, b.text("#head"), "<script>")
	shown("tune-one-trial")
	b.open("/admin/tunes")
	shown("tunes-long-name")

	// No score is defined: nothing ever trades.
	none := s.aTune(b, "undefined", `{"dataset":"flat","strategy_name":"sma_cross","objective_type":"profit_factor","gates":{"min_trades":0},"param_space":{"fast":[590],"slow":[595,598]}}`)
	require.NotEmpty(t, none.TuneID)
	require.NotContains(t, b.text("main"), "NaN")
	require.Contains(t, b.text("#heat"), "no trial has a score yet")
	shown("tune-undefined")
	b.open("/admin/tunes/" + none.TuneID + "/trials/0")
	require.Contains(t, b.text("main"), "No closed trade")
	require.NotContains(t, b.text("main"), "NaN")
	shown("trial-undefined")

	// One bar: a page of the dataset, and a backtest of it.
	b.open("/admin/datasets?of=one")
	shown("dataset-one-bar")
	var run types.Run
	status, answer = s.do(http.MethodPost, "/backtests/run", "application/json", strings.NewReader(`{"dataset":"one","strategy_name":"sma_cross","params":{"fast":5,"slow":50}}`), "X-Idempotency-Key", "one-bar")
	require.Equal(t, http.StatusCreated, status, answer)
	require.NoError(t, json.Unmarshal([]byte(answer), &run))
	b.open("/admin/runs/" + run.RunID)
	require.NotContains(t, b.text("main"), "NaN")
	shown("run-one-bar")

	// 40 parameters.
	status, answer = s.do(http.MethodPost, "/strategies", "application/json", bytes.NewReader(must(t, types.StrategyRequest{Name: "many", Source: manyInputs()})), "X-Idempotency-Key", "many")
	require.Equal(t, http.StatusCreated, status, answer)
	var script types.Strategy
	require.NoError(t, json.Unmarshal([]byte(answer), &script))
	require.Len(t, script.Params, 40)
	b.open("/admin/strategies/" + script.StrategyID)
	shown("strategy-40")
	b.open("/admin/tunes/new?strategy=" + url.QueryEscape(script.Name))
	shown("tune-new-40")
	space := map[string]any{}
	for _, p := range script.Params {
		space[p.Name] = []float64{p.Default, p.Default + 1}
	}
	body := must(t, map[string]any{"dataset": "sp500", "strategy_name": script.Name, "search_type": "random", "n_trials": 60, "oos_ratio": 0.3, "param_space": space})
	many := s.aTune(b, "forty", string(body))
	b.until(`document.querySelectorAll("#explored figure").length > 2`)
	shown("tune-40")
	b.open("/admin/tunes/" + many.TuneID + "/trials/0")
	b.until(`document.querySelectorAll("figure.plot canvas").length === 4`)
	require.Contains(t, b.text("#plot-price .legend"), "<script>")
	shown("trial-40")

	// Another workspace's person.
	other, err := s.store.Tenants.CreateWorkspace(t.Context(), "beta", 2)
	require.NoError(t, err)
	key, err := s.store.Tenants.CreateKey(t.Context(), other.ID, "eve", tenants.RoleOwner)
	require.NoError(t, err)
	eve := s.openBrowser()
	eve.open("/admin/login")
	eve.run(chromedp.SendKeys(chromedp.CSS("#token"), key), chromedp.Click(chromedp.CSS("button.primary")), chromedp.WaitReady(chromedp.CSS("#content")))
	for _, path := range []string{
		"/admin/tunes/" + one.TuneID, "/admin/tunes/" + one.TuneID + "/trials/0", "/admin/tunes/" + one.TuneID + "/trials/0/plot?chart=price", "/admin/tunes/" + one.TuneID + "/trials/0/trades.csv",
		"/admin/tunes/" + one.TuneID + "/trials.csv", "/admin/runs/" + run.RunID, "/admin/runs/" + run.RunID + "/plot?chart=price", "/admin/strategies/" + script.StrategyID,
	} {
		require.Equal(t, http.StatusNotFound, eval[int](eve, `fetch("`+path+`").then(r => r.status)`), path)
	}
	eve.open("/admin/tunes/" + one.TuneID + "/trials/0")
	require.NotContains(t, eve.text("body"), "sma_cross")
	eve.looksRight("trial-of-another")
	eve.open("/admin/runs")
	require.Contains(t, eve.text("#list"), "No backtests yet")
}

// What a person looks at closely stays as it is while the stream is lost, and when its part is replaced after it.
func TestAZoomStaysWhenTheStreamIsLost(t *testing.T) {
	s := newSite(t).withWorkspace().withBarsEvery("minutes", time.Minute, "1m", 100_500, 100_500)
	b := s.openBrowser()
	b.logIn()
	made := s.submit("/backtests/tune", "zoomed", `{"dataset":"minutes","oos_ratio":0.3,"account":{"whole_units":false},"strategy_name":"sma_cross","search_type":"random","n_trials":400000,"param_space":{"fast":{"low":2,"high":600},"slow":{"low":3,"high":900}}}`)
	var tune types.Tune
	require.NoError(t, json.Unmarshal([]byte(made), &tune))
	s.startWorker()
	b.open("/admin/tunes/" + tune.TuneID)
	b.live()
	b.until(`JSON.parse(document.querySelector("#plot-history script")?.textContent ?? '{"x":[]}').x.length > 2 && document.querySelector("#plot-history canvas")`)
	zoomed := `document.querySelector("#plot-history")?.dataset.from`
	press := `document.querySelector("#plot-history .plane").dispatchEvent(new KeyboardEvent("keydown", {key: "+", bubbles: true})); [...document.querySelectorAll("#plot-history .tools button")].find(x => x.textContent === "Reset").disabled`
	b.until(`(() => { ` + strings.Replace(press, "; [", "; return ![", 1) + `; })()`)
	eval[int](b, `window.first = document.querySelector("#plot-history"); 0`)
	from := eval[string](b, zoomed)
	require.NotEmpty(t, from)
	s.down.Store(true)
	s.line.cut()
	b.until(`document.querySelector("[data-stream]").dataset.state === "retrying"`)
	require.Equal(t, from, eval[string](b, zoomed))
	s.down.Store(false)
	b.live()
	b.until(`document.querySelector("#plot-history") !== window.first && document.querySelector("#plot-history canvas")`)
	require.Equal(t, from, eval[string](b, zoomed), "the part was made again, and the zoom is gone")
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.errors)
	// It may have ended by itself: 409.
	status, answer := s.do(http.MethodPost, "/backtests/tunes/"+tune.TuneID+"/cancel", "application/json", nil)
	require.Contains(t, []int{http.StatusOK, http.StatusConflict}, status, answer)
}
