package console_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store/tenants"
)

// clicks counts what a person clicks, and follows each to where it leads.
type clicks struct {
	*browser
	made int
}

// on finds and clicks in one step: the lists of a running tune are replaced all the time, and a row that was found
// before may be gone.
func (c *clicks) on(selector string) {
	c.t.Helper()
	c.made++
	script, err := json.Marshal(selector)
	require.NoError(c.t, err)
	c.until("document.querySelector(" + string(script) + ")")
	eval[int](c.browser, `window.left = true; document.querySelector(`+string(script)+`).click(); 0`)
	c.until(`!window.left && document.readyState === "complete"`)
}

// From sign-in with a viewer's key to the trades of the best trial of a running tune are four clicks at most.
func TestAViewerIsFourClicksFromTheTradesOfARunningTune(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	viewer, err := s.store.Tenants.CreateKey(t.Context(), s.alpha.ID, "ada", tenants.RoleViewer)
	require.NoError(t, err)
	var made types.Tune
	require.NoError(t, json.Unmarshal([]byte(s.submit("/backtests/tune", "long",
		`{"dataset":"sp500","strategy_name":"sma_cross","search_type":"random","n_trials":1000000,"evidence":{"permutations":19},"param_space":{"fast":{"low":2,"high":200},"slow":{"low":3,"high":400}}}`)), &made))
	s.startWorker()
	running := func() (view types.Tune) {
		status, answer := s.do("GET", "/backtests/tunes/"+made.TuneID, "application/json", nil)
		require.Equal(t, 200, status, answer)
		require.NoError(t, json.Unmarshal([]byte(answer), &view))
		return view
	}
	require.Eventually(t, func() bool { return running().TrialsCompleted > 0 }, time.Minute, 20*time.Millisecond, "no trial has ended")

	b := &clicks{browser: s.openBrowser()}
	b.open("/admin/login")
	b.run(chromedp.SendKeys(chromedp.CSS("#token"), viewer))
	b.on("button.primary")
	b.until(`document.querySelector('#running a[href^="/admin/tunes/"]')`)
	b.on(`#running a[href^="/admin/tunes/"]`)
	const best = `#trials tbody tr:first-child a[href*="/trials/"]` // of a running tune the best so far stands first
	b.until("document.querySelector('" + best + "')")
	require.Equal(t, types.TuneRunning, running().Status, "the tune has ended already")
	first := b.text(best)
	require.NotEmpty(t, first)
	b.on(best)
	b.until(`document.querySelector("#trades, [aria-labelledby='h-trades']")`)
	require.Contains(t, b.text("main"), "Trades")
	require.Contains(t, b.text("h1"), first)
	require.LessOrEqual(t, b.made, 4)
	t.Logf("%d clicks", b.made)
	s.post("/backtests/tunes/"+made.TuneID+"/cancel", "")
}

// The form says how many trials it makes and how long they take, as it is filled in; it has the account under Advanced,
// which a refused field opens, and what is run again is as it was. The same holds for a walk-forward.
func TestTheFormStatesTheAccountAndIsFilledAgain(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/tunes/new?strategy=sma_cross")
	fill := func(name, text string) {
		eval[int](b, `(() => { const e = document.querySelector('[name="`+name+`"]'); e.value = "`+text+`"; e.dispatchEvent(new Event("input", {bubbles: true})); return 0; })()`)
	}
	fill("param.fast", "5,10,20")
	fill("param.slow", "50,100")
	b.until(`document.querySelector("[data-estimated]").textContent.startsWith("6 trials")`)
	b.looksRight("tune-new")
	fill("account.slippage", "-1")
	b.leave(chromedp.Click(chromedp.CSS("button.primary"), chromedp.NodeVisible))
	require.Contains(t, b.text("main .note.bad:not([hidden])"), "account.slippage")
	require.True(t, eval[bool](b, `document.querySelector("details:has([name='account.slippage'])").open`), "what is refused is hidden")
	b.looksRight("tune-new-refused")
	fill("account.slippage", "0.0003")
	fill("account.whole_units", "no")
	fill("stops.stop_pct", "9")
	b.leave(chromedp.Click(chromedp.CSS("button.primary"), chromedp.NodeVisible))
	b.until(`document.querySelector("#head .pill")?.textContent === "completed"`)
	b.leave(chromedp.Click(chromedp.CSS(`a[href^="/admin/tunes/new?from="]`), chromedp.NodeVisible))
	value := func(name string) string { return eval[string](b, `document.querySelector('[name="`+name+`"]').value`) }
	require.Equal(t, []string{"0.0003", "no", "9", "5,10,20"}, []string{value("account.slippage"), value("account.whole_units"), value("stops.stop_pct"), value("param.fast")})
	b.until(`document.querySelector("[data-estimated]").textContent.includes("at the speed of the last tunes")`)

	b.open("/admin/wfo/new?strategy=sma_cross")
	fill("param.fast", "5,10")
	fill("param.slow", "50,100")
	fill("step_days", "700")
	fill("account.cash", "5000")
	b.until(`/^4 trials in each of \d+ folds/.test(document.querySelector("[data-estimated]").textContent)`)
	b.leave(chromedp.Click(chromedp.CSS("button.primary"), chromedp.NodeVisible))
	b.until(`document.querySelector("#head .pill")?.textContent === "completed"`)
	b.until(`document.querySelector("#equity canvas")`)
	require.Contains(t, eval[string](b, `document.querySelector("#equity").innerHTML`), "buy and hold")
	b.looksRight("wfo")
	b.leave(chromedp.Click(chromedp.CSS(`a[href^="/admin/wfo/new?again="]`), chromedp.NodeVisible))
	require.Equal(t, []string{"700", "5000", "5,10"}, []string{value("step_days"), value("account.cash"), value("param.fast")})
}

// Bars are appended on the page of a dataset; what they leave open is asked there.
func TestBarsAreAppendedOnThePageOfADataset(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	all := bytes.SplitAfter(ohlcv.Sample(), []byte("\n"))
	file := func(name string, rows [][]byte) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, append(bytes.Clone(all[0]), bytes.Join(rows, nil)...), 0o600))
		return path
	}
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/datasets?of=sp500")
	b.looksRight("dataset")
	require.Contains(t, b.text(`section[aria-labelledby="h-bars"]`), "Read as")
	require.Contains(t, b.text(`section[aria-labelledby="h-sessions"] tbody`), "Monday")
	require.NotContains(t, b.text(`section[aria-labelledby="h-sessions"] tbody`), "Sunday")
	require.Contains(t, b.text(`section[aria-labelledby="h-gaps"] tbody tr:first-child`), "2001-09-10 00:00")
	require.Contains(t, b.text(`section[aria-labelledby="h-gaps"] tbody tr:first-child`), "7 d")
	lines := eval[int](b, `(() => { const r = new XMLHttpRequest(); r.open("GET", JSON.parse(document.querySelector("#plot-price script").textContent).csv, false); r.send(); return r.responseText.trim().split("\n").length })()`)
	require.Equal(t, len(all), lines, "the values of the chart as CSV: a head and a line for each bar")
	send := func(path string) {
		b.run(chromedp.SetUploadFiles(chromedp.CSS(`form[action$="/bars"] [type="file"]`), []string{path}))
		b.leave(chromedp.Click(chromedp.CSS(`form[action$="/bars"] button`), chromedp.NodeVisible))
	}
	send(file("same.csv", all[len(all)-10:]))
	require.Contains(t, b.text(".note.good"), "stored already")
	late := file("late.csv", [][]byte{[]byte("2031-03-03,9000,9010,8990,9000,9000,1\n"), []byte("2031-03-04,9000,9010,8990,9000,9000,1\n")})
	send(late)
	require.Contains(t, b.text("main .note.bad:not([hidden])"), "time_range")
	send(file("monday.csv", [][]byte{[]byte("2021-03-01,9000,9010,8990,9000,9000,1\n")}))
	require.Contains(t, b.text("main .note.bad:not([hidden])"), "gap")
	require.True(t, eval[bool](b, `document.querySelector("details:has([name='gap'])").open`))
	b.run(chromedp.SetUploadFiles(chromedp.CSS(`form[action$="/bars"] [type="file"]`), []string{file("monday.csv", [][]byte{[]byte("2021-03-01,9000,9010,8990,9000,9000,1\n")})}))
	for _, option := range []string{"gap", "jump"} {
		eval[int](b, `document.querySelector('form[action$="/bars"] [name="`+option+`"]').value = "any"; 0`)
	}
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/bars"] button`), chromedp.NodeVisible))
	require.Contains(t, b.text(".note.good"), "1 bar appended")
	require.Contains(t, b.text(`section[aria-labelledby="h-versions"] tbody`), "append")
}
