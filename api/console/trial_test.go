package console_test

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// aTune submits a tune and waits for its end.
func (s *site) aTune(b *browser, key, body string) types.Tune {
	s.t.Helper()
	var made types.Tune
	require.NoError(s.t, json.Unmarshal([]byte(s.submit("/backtests/tune", key, body)), &made))
	b.open("/admin/tunes/" + made.TuneID)
	b.until(`document.querySelector("#head .pill").textContent === "completed"`)
	return made
}

// follow opens a link of a part that may be swapped at any moment.
func (b *browser) follow(selector string) {
	b.t.Helper()
	b.until(`document.querySelector(` + strconv.Quote(selector) + `)`)
	eval[int](b, `window.left = true; document.querySelector(`+strconv.Quote(selector)+`).click(); 0`)
	b.until(`!window.left && document.readyState === "complete"`)
}

// pointed points at the middle of each chart of the page, and returns those whose values are then read out.
func (b *browser) pointed() []string {
	b.t.Helper()
	return eval[[]string](b, `[...document.querySelectorAll("figure.plot, figure.spots")].filter((figure) => {
		const read = figure.querySelector(".readout"), before = read.textContent;
		const over = figure.querySelector(".u-over") || figure.querySelector(".plane"), box = over.getBoundingClientRect();
		const at = {bubbles: true, clientX: box.left + box.width / 2, clientY: box.top + box.height / 2};
		over.dispatchEvent(new PointerEvent("pointermove", {...at, pointerType: "mouse"}));
		over.dispatchEvent(new MouseEvent("mousemove", at));
		return /\d/.test(read.textContent);
	}).map(figure => "#" + figure.id).sort()`)
}

// A trial opens from where it is listed, with its charts, trades and tables; every value of a chart is
// read by keyboard, and a part of it is shown by zooming.
func TestATrialIsOpenedAndItsChartsAreRead(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	tune := s.aTune(b, "trial", `{"dataset":"sp500","oos_ratio":0.3,"strategy_name":"sma_cross","param_space":{"fast":[5,10,20],"slow":[50,100,200]}}`)
	b.until(`document.querySelectorAll("#equity canvas").length === 2`)
	b.open("/admin/leaderboard")
	b.follow(`#list a[href*="/trials/"]`)
	b.until(`document.querySelectorAll("figure.plot canvas").length === 4`)
	require.Contains(t, b.text(".head .sub"), "#1 in tune")
	require.Contains(t, b.text("main"), "Out of sample begins")
	require.Greater(t, eval[int](b, `document.querySelectorAll("#trades tbody tr").length`), 5)
	require.Equal(t, eval[int](b, `document.querySelectorAll(".months tbody tr").length`), 21, "a line a year")
	b.looksRight("trial")
	b.fits("#trades", "table.months", `[aria-label="All figures"] table`)

	// Every chart is read by the pointer; the price has the trades and what the strategy decides by.
	require.Equal(t, []string{"#plot-drawdown", "#plot-equity", "#plot-price", "#plot-sharpe"}, b.pointed())
	legend := func(id string) []string {
		return eval[[]string](b, `[...document.querySelectorAll("#plot-`+id+` .legend button")].map(e => e.textContent)`)
	}
	require.Equal(t, []string{"close", "fast mean", "slow mean"}, legend("price"))
	require.Equal(t, []string{"equity", "buy and hold"}, legend("equity"))
	require.Equal(t, []string{"exit", "long", "short"}, eval[[]string](b, `[...new Set(JSON.parse(document.querySelector("#plot-price script").textContent).marks.map(m => m.kind))].sort()`))
	require.Greater(t, eval[int](b, `document.querySelectorAll('[aria-label="Worst drawdowns"] tbody tr').length`), 3)

	// No two lines of a chart have a colour in common.
	require.True(t, eval[bool](b, `[...document.querySelectorAll("figure.plot .legend")].every(l => {
		const all = [...l.querySelectorAll("i")].map(i => getComputedStyle(i).backgroundColor);
		return all.length > 0 && new Set(all).size === all.length;
	})`))
	// Out of sample the equity continues from in sample: nowhere does it fall back to the account's cash.
	require.Less(t, eval[float64](b, `(() => {
		const d = JSON.parse(document.querySelector("#plot-equity script").textContent), from = d.spans[0].from;
		const i = d.x.findIndex(x => x >= from), v = d.lines[0].values;
		return Math.abs(v[i] / v[i - 1] - 1);
	})()`), 0.1)

	// The keyboard reads, zooms and resets.
	b.run(chromedp.Focus(chromedp.CSS(`#plot-equity .plane`)))
	b.press(kb.Home)
	require.Contains(t, eval[string](b, `document.activeElement.getAttribute("aria-valuetext")`), "equity 10\u202f000")
	first := eval[string](b, `document.activeElement.getAttribute("aria-valuetext")`)
	b.press(kb.ArrowRight)
	require.NotEqual(t, first, eval[string](b, `document.activeElement.getAttribute("aria-valuetext")`))
	require.Equal(t, b.text("#plot-equity .readout"), eval[string](b, `document.activeElement.getAttribute("aria-valuetext")`))
	b.press("+")
	b.until(`!document.querySelector("#plot-price .tools button[disabled]") && document.querySelector("#plot-price canvas")`)
	from := `document.querySelector("#plot-equity").dataset.from`
	left := eval[string](b, from)
	b.run(chromedp.Focus(chromedp.CSS(`#plot-equity .plane`)))
	b.run(chromedp.KeyEvent(kb.ArrowRight, chromedp.KeyModifiers(chromedp.ModifierShift)))
	b.until(from + ` > "` + left + `"`) // it is panned
	b.run(chromedp.Focus(chromedp.CSS(`#plot-equity .plane`)))
	b.press(kb.Escape)
	b.until(`document.querySelector("#plot-price .tools button[disabled]")`)

	// The pointer zooms by dragging.
	eval[int](b, `document.querySelector("#plot-price").scrollIntoView(); 0`)
	eval[int](b, `(() => {
		const over = document.querySelector("#plot-price .u-over"), box = over.getBoundingClientRect();
		const at = (type, x) => over.dispatchEvent(new MouseEvent(type, {bubbles: true, clientX: box.left + x, clientY: box.top + 50, button: 0, movementX: 1, movementY: 1}));
		at("mousemove", 100); at("mousedown", 100); at("mousemove", 180); at("mousemove", 200);
		document.dispatchEvent(new MouseEvent("mouseup", {bubbles: true, clientX: box.left + 200, clientY: box.top + 50, button: 0}));
		return 0;
	})()`)
	b.until(`!document.querySelector("#plot-drawdown .tools button[disabled]")`)
	b.looksRight("trial-zoomed")
	eval[int](b, `[...document.querySelectorAll("#plot-price .tools button")].find(x => x.textContent === "Reset").click(); 0`)

	// The scale, the image, the table and the values.
	eval[int](b, `document.querySelector("#plot-equity .tools button").click(); 0`)
	require.Equal(t, "true", eval[string](b, `document.querySelector("#plot-equity .tools button").getAttribute("aria-pressed")`))
	eval[int](b, `[...document.querySelectorAll("#plot-equity .tools button")].find(x => x.textContent === "PNG").click(); 0`)
	b.until(`Number(document.querySelector("#plot-equity").dataset.saved) > 5000`)
	eval[int](b, `document.querySelector("#plot-equity details").open = true; 0`)
	b.until(`document.querySelectorAll("#plot-equity details tbody tr").length > 100`)
	csv := eval[string](b, `fetch(document.querySelector("#plot-equity a[download]").href).then(r => r.text())`)
	require.Equal(t, 5105+1, strings.Count(csv, "\n"), "the values of every bar")
	require.Contains(t, csv, "time,equity,buy and hold")
	trades := eval[string](b, `fetch(document.querySelector('a[href$="trades.csv"]').href).then(r => r.text())`)
	require.Equal(t, eval[int](b, `document.querySelectorAll("#trades tbody tr").length`)+1, strings.Count(trades, "\n"))

	// Trades are sorted by any column, all of them.
	b.leave(chromedp.Click(chromedp.CSS(`#trades th a[href^="?sort=-profit"]`)))
	require.True(t, eval[bool](b, `(() => {
		const at = [...document.querySelectorAll("#trades thead th")].findIndex(h => h.getAttribute("aria-sort") === "descending");
		const v = [...document.querySelectorAll("#trades tbody tr")].map(r => Number(r.cells[at].textContent.replace(/[\u202f+]/g, "").replace("−", "-")));
		return v.length > 5 && v.every((x, i) => i === 0 || x <= v[i - 1]);
	})()`))

	require.Contains(t, b.text("#copy-curl"), `"slow":200`)
	require.Contains(t, b.text("#copy-python"), "/backtests/run")
	require.NotContains(t, b.text("main"), s.key)

	// From here on: compare, walk forward, run with changes.
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/compare/add"] button`)))
	b.until(`document.querySelector("#plot-growth canvas")`)
	require.Contains(t, b.text("main"), "trial ")
	b.open("/admin/tunes/" + tune.TuneID + "/trials/0")
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/compare/add"] button`)))
	require.Equal(t, 3, eval[int](b, `document.querySelector("#h-differs").closest("section").querySelectorAll("thead th").length`), "two trials side by side")
	b.looksRight("compare-trials")
	b.open("/admin/tunes/" + tune.TuneID + "/trials/0")
	b.leave(chromedp.Click(chromedp.CSS(`.actions a[href^="/admin/wfo/new"]`)))
	require.Equal(t, "5,10,20", eval[string](b, `document.querySelector('[name="param.fast"]').value`))
	b.open("/admin/tunes/" + tune.TuneID + "/trials/0")
	b.leave(chromedp.Click(chromedp.CSS(`.actions a[href^="/admin/runs/new"]`)))
	b.looksRight("run-new")
	require.Equal(t, "5", eval[string](b, `document.querySelector('[name="input.fast"]').value`))
	b.leave(chromedp.SetValue(chromedp.CSS(`[name="input.fast"]`), "7"), chromedp.Click(chromedp.CSS(`form[action="/admin/runs"] button.primary`)))
	b.until(`document.querySelectorAll("figure.plot canvas").length === 4`)
	require.Contains(t, b.text(".head .sub"), "fast 7")
	require.Contains(t, b.text("#copy-curl"), `"fast":7`)
	b.looksRight("run-builtin")

	// What is not there is said, not guessed.
	for _, path := range []string{"/trials/9", "/trials/-1", "/trials/x", "/trials/0/plot?chart=none"} {
		require.Equal(t, http.StatusNotFound, eval[int](b, `fetch("/admin/tunes/`+tune.TuneID+path+`").then(r => r.status)`), path)
	}
}
