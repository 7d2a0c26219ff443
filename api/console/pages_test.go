package console_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/store/pgtest"
)

// emptyPages are those that have to make sense before there is anything to show.
var emptyPages = []string{
	"/admin", "/admin/tunes", "/admin/tunes/new", "/admin/runs", "/admin/runs/new", "/admin/leaderboard", "/admin/compare", "/admin/definitions", "/admin/wfo", "/admin/wfo/new",
	"/admin/strategies", "/admin/schedules", "/admin/webhooks", "/admin/plans", "/admin/datasets", "/admin/ingestion", "/admin/coverage", "/admin/query", "/admin/events", "/admin/retention", "/admin/access",
}

func name(path string) string { return strings.ReplaceAll(strings.Trim(path, "/"), "/", "-") }

func TestEveryPageMakesSenseWhileEmpty(t *testing.T) {
	s := newSite(t)
	b := s.openBrowser()
	b.logIn()
	for _, path := range emptyPages {
		b.open(path)
		require.NotContains(t, b.text("main"), "Internal Server Error", path)
		if path != "/admin/retention" && path != "/admin/access" && path != "/admin/definitions" {
			require.Contains(t, b.text("main"), "no workspace yet", path)
		}
	}
	b.looksRight("no-workspace")
	s.withWorkspace()
	for _, path := range emptyPages {
		b.open(path)
		require.Contains(t, b.text(".top select"), "alpha", path)
		require.NotContains(t, b.text("main"), "404", path)
		b.looksRight("empty-" + name(path))
	}
	b.open("/admin/system/health")
	require.Contains(t, b.text("main"), "Database")
	b.looksRight("health")
	b.open("/admin/audit-log?of=server")
	require.Contains(t, b.text("main"), "POST /admin/login")
	b.looksRight("audit")
	b.open("/admin/nothing-here")
	require.Contains(t, b.text("main"), "404")
	b.looksRight("not-found")
}

func TestAWalkForwardIsSubmittedAndWatched(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/wfo/new")
	b.looksRight("wfo-new")
	b.run(
		chromedp.SetValue(chromedp.CSS(`[name="param.fast"]`), "5:20:5"), chromedp.SetValue(chromedp.CSS(`[name="param.slow"]`), "50,100,200"),
		chromedp.SetValue(chromedp.CSS(`[name="train_days"]`), "1460"), chromedp.SetValue(chromedp.CSS(`[name="test_days"]`), "365"),
		chromedp.SetValue(chromedp.CSS(`[name="max_drawdown_pct"]`), "90"),
		chromedp.Click(chromedp.CSS(`form[method="post"] button.primary`), chromedp.NodeVisible), chromedp.WaitReady(chromedp.CSS(`#h-folds`)),
	)
	b.until(`document.querySelector("#head .pill").textContent === "completed"`)
	b.until(`document.querySelectorAll("#folds rect.test").length > 5 && document.querySelector("#equity canvas") && document.querySelector("#stable rect.cell")`)
	b.until(`document.querySelector('#jobs a[href^="/admin/riverui/jobs/"]')`)
	// Every window, score and candidate of the folds is read by keyboard, at both widths.
	for _, width := range []int64{400, 1280} {
		b.resize(width)
		folds := map[int64]string{400: "folds-narrow", 1280: "folds"}[width]
		for id, says := range map[string][2]string{folds: {"fold 0 trains", "fold 0 tests"}, "scores": {"fold 0: ", "fold "}, "candidates": {"rank ", " on fold "}} {
			figure := "#spots-" + id
			b.run(chromedp.Focus(chromedp.CSS(figure+" .plane"), chromedp.NodeVisible))
			b.press(kb.Home)
			first := b.text(figure + " .readout")
			require.Contains(t, first, says[0], "%s at %d", id, width)
			b.press(kb.PageDown)
			next := b.text(figure + " .readout")
			require.Contains(t, next, says[1])
			require.NotEqual(t, first, next)
			require.Equal(t, next, eval[string](b, `document.activeElement.getAttribute("aria-valuetext")`))
			require.NotContains(t, eval[string](b, `document.activeElement.getAttribute("aria-label")`), "Enter")
			require.Greater(t, b.savedColours(figure), 5)
		}
	}
	b.looksRight("wfo")
	b.open(eval[string](b, `document.querySelector('.actions a[href$="/tearsheet"]').getAttribute("href")`))
	require.Contains(t, b.text("body"), "Returns by month")
	require.Equal(t, "rgb(31, 111, 178)", eval[string](b, `getComputedStyle(document.querySelector(".chart .line.s1")).stroke`), "the page's policy lets its own style in")
	b.looksRight("tearsheet")
	b.open("/admin/wfo")
	require.Contains(t, b.text("#list"), "sma_cross")
	b.looksRight("wfos")
}

func TestTunesAreComparedAndRanked(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	compare := "/admin/compare?"
	for _, strategy := range []string{`"sma_cross","param_space":{"fast":[5,10,20],"slow":[50,100,200]}`, `"rsi_reversal","param_space":{"period":[7,14,21]}`} {
		var made types.Tune
		answer := s.submit("/backtests/tune", strategy, `{"dataset":"sp500","oos_ratio":0.3,"gates":{"max_drawdown_pct":99,"min_trades":1},"strategy_name":`+strategy+`}`)
		require.NoError(t, json.Unmarshal([]byte(answer), &made))
		b.open("/admin/tunes/" + made.TuneID)
		b.until(`document.querySelector("#head .pill").textContent === "completed"`)
		compare += "tune=" + made.TuneID + "&"
	}
	b.looksRight("tune-one-parameter")
	b.open(compare)
	require.Contains(t, b.text("main"), "rsi_reversal")
	require.Equal(t, 2, eval[int](b, `document.querySelectorAll("#plot-growth .legend i").length`))
	b.looksRight("compare")
	b.open("/admin/leaderboard")
	require.Contains(t, b.text("#list"), "sma_cross")
	b.looksRight("leaderboard")
	b.open("/admin/events")
	require.Contains(t, b.text("main"), "backtest.tune.completed")
	b.looksRight("events")
	b.live()
	s.submit("/backtests/tune", "tail", `{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5],"slow":[50]}}`)
	b.until(`[...document.querySelectorAll("[data-tail] tr")].filter(r => r.textContent.includes("backtest.tune.completed")).length === 3`)
	require.Positive(t, eval[int](b, `document.querySelectorAll('[data-tail] a[href^="/admin/riverui/jobs/"]').length`))
}

func TestARetentionJobIsRunDry(t *testing.T) {
	s := newSite(t).withWorkspace()
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/retention")
	eval[int](b, `window.confirm = () => true; 0`)
	b.run(chromedp.SetValue(chromedp.CSS(`#d-job-runs`), "30"))
	eval[int](b, `document.querySelector("#d-job-runs").form.requestSubmit(); 0`)
	b.until(`document.querySelector("#runs .tag")?.textContent === "dry run"`)
	b.until(`document.querySelector("#runs .pill.completed") !== null`)
	b.looksRight("retention")
}

const scripted = `<script>document.title="owned"</script><img src=x onerror="document.title='owned'">`

func TestAQuestionIsAnsweredWithItsSources(t *testing.T) {
	s := newSite(t).withWorkspace()
	s.put(pgtest.Document{Title: "Notes " + scripted, Texts: []string{
		"A walk-forward chooses parameters on a training window and judges them on the window after it. " + scripted,
		"The deflated Sharpe ratio corrects for the number of trials that were tried.",
	}})
	s.put(pgtest.Document{SourceType: "pine", Title: "Crossover", Texts: []string{"// crossover of yesterday\n\nif close[1] > average[1] // crossover"}})
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/query")
	b.run(chromedp.SendKeys(chromedp.CSS(`[name="question"]`), "What does a walk-forward judge?"), chromedp.Click(chromedp.CSS("main button.primary")))
	b.until(`document.querySelector(".source") !== null`)
	require.Contains(t, b.text(".answer"), "training window")
	require.Contains(t, b.text(".source h3"), "<script>", "the title is text, not markup")
	require.Positive(t, eval[int](b, `document.querySelectorAll(".answer a.cite").length`))
	require.NotEqual(t, "owned", eval[string](b, `document.title`))
	b.looksRight("query")
	ask := func(question string) {
		b.open("/admin/query")
		b.leave(chromedp.SendKeys(chromedp.CSS(`[name="question"]`), question), chromedp.Click(chromedp.CSS("main button.primary")))
		require.NotZero(t, eval[int](b, `document.querySelectorAll(".source").length`))
	}
	ask("close crossover of yesterday against its average")
	require.Contains(t, b.text(".answer"), "close[1] > average[1]")
	require.Equal(t, b.text("#h-answer"), "Answer")
	cites := eval[[]string](b, `[...document.querySelectorAll(".answer a.cite")].map(a => a.previousSibling.textContent.trim() + document.querySelector(a.getAttribute("href")).querySelector(".cited").textContent)`)
	require.NotEmpty(t, cites)
	for _, cite := range cites { // a mark stands behind its quotation, and names the passage that has it
		require.Regexp(t, `”\[\d\]$|^\[\d\]$`, cite)
	}
	require.Contains(t, eval[string](b, `[...document.querySelectorAll(".source")].find(s => s.textContent.includes("close[1]")).innerText`), "\nif close[1] > average[1]", "a passage keeps its lines")
	ask("How long is the window of the kitchen?")
	require.Equal(t, b.text("#h-answer"), "Not covered")
	require.Equal(t, b.text("#h-found"), "Nearest passages")
	b.open("/admin/query")
	b.run(chromedp.SendKeys(chromedp.CSS(`[name="question"]`), " \u00a0"))
	eval[int](b, `document.querySelector("main form").requestSubmit(); 0`)
	b.until(`document.querySelector("[role=alert].note.bad:not([hidden])") !== null`)
}

// What is wrong in a form is shown beside its field, and nothing that was typed is lost.
func TestAFormIsRefusedWithReasons(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/tunes/new")
	b.leave(
		chromedp.SetValue(chromedp.CSS(`[name="param.fast"]`), "5:ten"), chromedp.SetValue(chromedp.CSS(`[name="seed"]`), scripted),
		chromedp.Click(chromedp.CSS(`form[method="post"] button.primary`), chromedp.NodeVisible),
	)
	require.Contains(t, b.text(".fault"), "not a number")
	require.Equal(t, scripted, eval[string](b, `document.querySelector('[name="seed"]').value`))
	b.leave(
		chromedp.SetValue(chromedp.CSS(`[name="param.fast"]`), "5:99999"), chromedp.SetValue(chromedp.CSS(`[name="seed"]`), "1"),
		chromedp.Click(chromedp.CSS(`form[method="post"] button.primary`), chromedp.NodeVisible),
	)
	b.until(`document.querySelector('[name="param.fast"]')?.getAttribute("aria-invalid") === "true"`)
	b.looksRight("tune-new-refused")
	status, _ := s.do(http.MethodGet, "/backtests/tunes", "", nil)
	require.Equal(t, http.StatusOK, status)
}

// Jobs are shown by River's own pages, behind the same login, for reading only.
func TestJobsAreShownByRiver(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	s.submit("/backtests/tune", "k", `{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5],"slow":[50]}}`)
	b := s.openBrowser()
	b.open("/admin/riverui/")
	require.Contains(t, eval[string](b, `location.pathname`), "/admin/login")
	b.logIn()
	b.run(chromedp.Navigate(s.url + "/admin/riverui/jobs?state=available"))
	b.until(`document.body.textContent.includes("tune.plan")`)
	refused := eval[int](b, `fetch("/admin/riverui/api/jobs/cancel", {method: "POST", headers: {"Content-Type": "application/json"}, body: '{"ids":["1"]}'}).then(r => r.status)`)
	require.Equal(t, http.StatusMethodNotAllowed, refused)
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(t, b.errors)
}

func TestTheAPIsDocumentIsReadable(t *testing.T) {
	s := newSite(t)
	b := s.openBrowser()
	b.open("/docs")
	require.Contains(t, b.text("main"), "/backtests/tunes/{id}/trials")
	require.Contains(t, b.text("main"), `-H "Authorization: Bearer $MILLRACE_API_KEY"`)
	b.looksRight("docs")
}

func TestAWorkspaceAndItsKeysAreKept(t *testing.T) {
	s := newSite(t)
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/access")
	b.leave(chromedp.SendKeys(chromedp.CSS(`form[action$="/workspaces"] [name="name"]`), "desk"), chromedp.Click(chromedp.CSS(`form[action$="/workspaces"] button`)))
	b.until(`document.querySelector(".top select")?.textContent.includes("desk")`)
	b.leave(chromedp.SendKeys(chromedp.CSS(`form[action$="/keys"] [name="name"]`), scripted), chromedp.Click(chromedp.CSS(`form[action$="/keys"] button`)))
	b.until(`document.querySelector("#secret")?.textContent.startsWith("mr_")`)
	s.key = b.text("#secret")
	status, _ := s.do(http.MethodGet, "/datasets", "", nil)
	require.Equal(t, http.StatusOK, status)
	b.looksRight("access")
	eval[int](b, `window.confirm = () => true; 0`)
	b.leave(chromedp.Click(chromedp.CSS("button.danger")))
	b.until(`document.querySelector("main table + *, main")?.textContent.includes("revoked") && !document.querySelector("#secret")`)
	status, _ = s.do(http.MethodGet, "/datasets", "", nil)
	require.Equal(t, http.StatusUnauthorized, status)
}
