package console_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/store/pgtest"
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
	require.Contains(t, b.text("main"), "not ended")
	b.looksRight("change-delete")
	b.leave(chromedp.Click(chromedp.CSS(`[name="cascade"]`)), chromedp.Click(chromedp.CSS(`form[action="/admin/change"] button.danger`)))
	require.Equal(t, "/admin/tunes", eval[string](b, `location.pathname`))
	b.open("/admin/change?kind=tune&action=delete")
	require.Contains(t, b.text("main"), "Select at least one")
}

// Datasets, documents, scripts, run plans and single runs are archived, restored and deleted from their pages, one or several.
func TestEveryKindIsArchivedAndDeletedFromItsPages(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	for _, title := range []string{"Notes", "More notes"} {
		s.put(pgtest.Document{Title: title, Texts: []string{"A text of " + title + "."}})
	}
	for _, name := range []string{"one", "two"} {
		status, answer := s.do(http.MethodPost, "/strategies", "application/json", strings.NewReader(`{"name":"`+name+`","source":"//@version=5\nstrategy(\"`+name+`\")\nif close > open\n    strategy.entry(\"L\", strategy.long)\n"}`), "X-Idempotency-Key", name)
		require.Equal(t, http.StatusCreated, status, answer)
	}
	s.submit("/run-plans", "plan", `{"name":"Wider","base":{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[50]}},"overrides":[{"side":"long"}]}`)
	var run types.Run
	status, answer := s.do(http.MethodPost, "/backtests/run", "application/json", strings.NewReader(`{"dataset":"sp500","strategy_name":"sma_cross","params":{"fast":10,"slow":50}}`), "X-Idempotency-Key", "run")
	require.Equal(t, http.StatusCreated, status, answer)
	require.NoError(t, json.Unmarshal([]byte(answer), &run))
	b := s.openBrowser()
	b.logIn()
	selected := func(at, action, list string, left int) {
		t.Helper()
		b.open(at)
		b.run(chromedp.Click(chromedp.CSS(list + ` tbody tr:first-child input[type="checkbox"]`)))
		eval[int](b, `document.querySelector('#several [name="action"]').value = "`+action+`", 0`)
		b.leave(chromedp.Click(chromedp.CSS(`#several button`)))
		require.Regexp(t, `(?i)`+action+` (this|1)`, b.text("h1"), at)
		if eval[bool](b, `document.querySelector('[name="cascade"]') !== null`) {
			b.run(chromedp.Click(chromedp.CSS(`[name="cascade"]`)))
		}
		b.leave(chromedp.Click(chromedp.CSS(`form[action="/admin/change"] button`)))
		require.Equal(t, left, eval[int](b, `document.querySelectorAll("`+list+` tbody tr").length`), at)
	}
	b.open("/admin/plans?select=true")
	require.Contains(t, b.text("#list"), "Wider")
	b.looksRight("plans")
	b.leave(chromedp.Click(chromedp.CSS(`#list tbody a`)))
	require.Contains(t, b.text("#variants"), "long")
	b.looksRight("plan")
	selected("/admin/plans?select=true", "archive", "#list", 0)
	b.open("/admin/plans?archived=true")
	b.follow(`#list tbody a`)
	require.Contains(t, b.text(".head .tag"), "archived")
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll('.actions a[href*="action=restore"]').length`))
	selected("/admin/plans?select=true&archived=true", "delete", "#list", 0)
	for _, of := range []struct {
		at, list string
		n        int
	}{{"/admin/ingestion", "#documents", 2}, {"/admin/strategies", "#scripts", 2}} {
		selected(of.at+"?select=true", "archive", of.list, of.n-1)
		b.open(of.at + "?archived=true")
		require.Equal(t, 1, eval[int](b, `document.querySelectorAll("`+of.list+` tbody tr").length`))
		b.looksRight("archived-" + name(of.at))
		if of.at == "/admin/strategies" {
			b.follow(`#scripts tbody a[href^="/admin/strategies/"]`)
			require.Contains(t, b.text(".head .tag"), "archived")
			require.Equal(t, "Restore", b.text(`.actions a[href*="kind=strategy&action=restore"]`))
		}
		selected(of.at+"?select=true&archived=true", "restore", of.list, of.n)
		b.open(of.at + "?select=true")
		eval[int](b, `document.querySelectorAll('`+of.list+` input[type="checkbox"]').forEach((box) => { box.checked = true; }), document.querySelector('#several [name="action"]').value = "delete", 0`)
		b.leave(chromedp.Click(chromedp.CSS(`#several button`)))
		require.Contains(t, b.text("h1"), "Delete 2")
		b.leave(chromedp.Click(chromedp.CSS(`form[action="/admin/change"] button`)))
		require.Equal(t, 0, eval[int](b, `document.querySelectorAll("`+of.list+` tbody tr").length`))
	}
	// The page of a script says what waits for it before both go.
	status, answer = s.do(http.MethodPost, "/strategies", "application/json", bytes.NewReader(must(t, types.StrategyRequest{Name: "busy", Source: "//@version=5\nstrategy(\"busy\")\nn = input.int(5, \"n\")\nif close > close[n]\n    strategy.entry(\"L\", strategy.long)\n"})), "X-Idempotency-Key", "busy")
	require.Equal(t, http.StatusCreated, status, answer)
	var busy types.Strategy
	require.NoError(t, json.Unmarshal([]byte(answer), &busy))
	s.schedule("of-busy", map[string]any{"cron": "@daily", "request": map[string]any{"dataset": "sp500", "strategy_name": busy.Name, "param_space": map[string]any{"n": []int{5, 10}}}})
	b.open("/admin/strategies/" + busy.StrategyID)
	b.leave(chromedp.Click(chromedp.CSS(`.actions a[href*="action=delete"]`)))
	require.Contains(t, b.text("main"), "1 depends on it")
	require.Contains(t, b.text("main"), "of-busy")
	b.leave(chromedp.Click(chromedp.CSS(`[name="cascade"]`)), chromedp.Click(chromedp.CSS(`form[action="/admin/change"] button.danger`)))
	require.Equal(t, "/admin/strategies", eval[string](b, `location.pathname`))
	require.NotContains(t, b.text("main"), "busy")
	b.open("/admin/strategies/" + busy.StrategyID)
	require.Contains(t, b.text("main"), `No script "`+busy.StrategyID+`" here; Strategies in the menu shows those there are.`)

	b.open("/admin/runs?select=true")
	require.Contains(t, b.text("#list tbody"), "sma_cross · sp500")
	b.looksRight("runs-select")
	selected("/admin/runs?select=true", "archive", "#list", 0)
	b.open("/admin/runs?archived=true")
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#list tbody tr").length`))
	// What is archived says so on its own page, which puts it back.
	b.follow(`#list tbody a`)
	require.Contains(t, b.text(".head .tag"), "archived")
	b.leave(chromedp.Click(chromedp.CSS(`.actions a[href*="kind=run&action=restore"]`)))
	require.Regexp(t, "Restore (this|1) run", b.text("h1"))
	b.leave(chromedp.Click(chromedp.CSS(`form[action="/admin/change"] button`)))
	require.Equal(t, "/admin/runs", eval[string](b, `location.pathname`))
	require.Equal(t, 1, eval[int](b, `document.querySelectorAll("#list tbody tr").length`))
	b.open("/admin/runs/" + run.RunID)
	b.leave(chromedp.Click(chromedp.CSS(`.actions a[href*="kind=run&action=delete"]`)))
	require.Contains(t, b.text("h1"), "Delete this run?")
	b.leave(chromedp.Click(chromedp.CSS(`form[action="/admin/change"] button`)))
	b.open("/admin/runs/" + run.RunID)
	require.Contains(t, b.text("main"), "404")
	selected("/admin/datasets?select=true", "archive", "section[aria-label='Datasets']", 0)
	b.open("/admin/datasets?select=true&archived=true")
	b.looksRight("datasets-select")
	selected("/admin/datasets?select=true&archived=true", "delete", "section[aria-label='Datasets']", 0)
}
