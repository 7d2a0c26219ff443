package console_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// means is a script with inputs of every kind that a form shows, and markup in its texts.
const means = `//@version=6
strategy("Two means <b>bold</b>", overlay=true, default_qty_type=strategy.percent_of_equity, default_qty_value=50)
fast = input.int(5, "Fast Length", minval=2, maxval=50, group="Averages", tooltip="Bars of the faster <i>average</i>")
slow = input.int(20, "Slow Length", minval=2, group="Averages")
kind = input.string("SMA", "MA Type", options=["SMA", "EMA"], group="Averages")
stops = input.bool(false, "Use Stop", group="Exits")
lost = input.float(5.0, "Stop %", minval=0.5, step=0.5, group="Exits")
f = kind == "SMA" ? ta.sma(close, fast) : ta.ema(close, fast)
s = kind == "SMA" ? ta.sma(close, slow) : ta.ema(close, slow)
if ta.crossover(f, s)
    strategy.entry("Long", strategy.long, comment="<b>up</b>")
if ta.crossunder(f, s)
    strategy.close("Long", comment="down")
if stops and strategy.position_size > 0
    strategy.exit("Out", "Long", stop=strategy.position_avg_price * (1 - lost / 100))
plot(f)
plot(s, "Slow <b>mean</b>")
plot(f - s, "gap", display=display.none)
`

// A script is uploaded from a file, run once and tuned by its inputs, all in the console.
func TestAScriptIsUploadedRunAndTuned(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	b := s.openBrowser()
	b.logIn()
	file := filepath.Join(t.TempDir(), "means.pine")
	require.NoError(t, os.WriteFile(file, []byte(means), 0o600))
	b.open("/admin/strategies")
	b.run(chromedp.SetValue(chromedp.CSS(`[name="name"]`), "means"), chromedp.SetUploadFiles(chromedp.CSS(`[name="file"]`), []string{file}))
	b.leave(chromedp.Click(chromedp.CSS(`form[action="/admin/strategies"] button.primary`)))
	require.Contains(t, b.text("h1"), "pine:means@1")
	require.Contains(t, b.text(".head .sub"), "Two means <b>bold</b>", "a title is text, not markup")
	require.Contains(t, b.text("main"), "all bars before the window")
	require.Contains(t, b.text("#h-inputs ~ .body, main"), "Bars of the faster <i>average</i>")
	require.Equal(t, []string{"Averages", "Exits"}, eval[[]string](b, `[...document.querySelectorAll("main h3")].map(e => e.textContent)`))
	require.Equal(t, "SMA,EMA,true,false", eval[string](b, `[...document.querySelectorAll('select[name^="input."] option')].map(e => e.textContent).join()`))
	require.Equal(t, 18, eval[int](b, `document.querySelectorAll(".script tr").length`))
	require.Contains(t, b.text("#L8"), "ta.sma keeps state", "a note stands beside its line")
	require.Positive(t, eval[int](b, `document.querySelectorAll("#L8 .finding").length`))
	b.looksRight("strategy")

	b.run(chromedp.SetValue(chromedp.CSS(`[name="input.Fast Length"]`), "fast"))
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/run"] button.primary`)))
	require.Contains(t, b.text("[role=alert].note.bad:not([hidden])"), "2 to 50, default 5", "what it takes is said")
	b.looksRight("strategy-refused")
	b.run(chromedp.SetValue(chromedp.CSS(`[name="input.Fast Length"]`), "99"))
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/run"] button.primary`)))
	require.Contains(t, b.text("[role=alert].note.bad:not([hidden])"), "99 is outside 2 to 50")
	b.run(chromedp.SetValue(chromedp.CSS(`[name="input.Fast Length"]`), "10"), chromedp.SetValue(chromedp.CSS(`[name="input.MA Type"]`), "EMA"))
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/run"] button.primary`)))
	require.Contains(t, b.text("h1"), "pine:means@1 · sp500")
	require.Contains(t, b.text("#trades tbody tr"), "<b>up</b>", "a comment is text, not markup")
	require.Contains(t, b.text("#trades tbody tr"), "down")
	b.until(`document.querySelectorAll("figure.plot canvas").length >= 3`)
	legend := `[...document.querySelectorAll("#plot-price .legend button")].map(e => e.textContent).join()`
	require.Equal(t, "close,f,Slow <b>mean</b>", eval[string](b, legend), "what the script plots is on the price")
	require.True(t, eval[bool](b, `(() => {
		const d = JSON.parse(document.querySelector("#plot-price script").textContent), [close, f, slow] = d.lines.map(l => l.values);
		const near = close.filter((v, i) => f[i] !== null && Math.abs(f[i] / v - 1) < 0.2).length;
		return d.lines[1].class !== d.lines[2].class && near > close.length * 0.9 && slow[0] === null && slow[slow.length - 1] !== null;
	})()`))
	b.looksRight("run")
	list := eval[string](b, `fetch(document.querySelector('a[href$="trades.csv"]').href).then(r => r.text())`)
	require.True(t, strings.HasPrefix(list, "Trade #,Type,Date and time,Signal,Price,"), list[:80])
	require.Equal(t, eval[int](b, `document.querySelectorAll("#trades tbody tr").length`), strings.Count(list, "Entry long"))

	b.open("/admin/strategies")
	require.Contains(t, b.text("table"), "pine:means@1")
	b.looksRight("strategies")
	b.leave(chromedp.Click(chromedp.CSS(`table a.button`)))
	require.Equal(t, "SMA,EMA", eval[string](b, `document.querySelector('[name="param.MA Type"]').value`))
	require.Equal(t, "2:20:1", eval[string](b, `document.querySelector('[name="param.Fast Length"]').value`))
	b.looksRight("tune-new-script")
	b.run(
		chromedp.SetValue(chromedp.CSS(`[name="param.Fast Length"]`), "5,10"), chromedp.SetValue(chromedp.CSS(`[name="param.Slow Length"]`), "50"),
		chromedp.SetValue(chromedp.CSS(`[name="param.Use Stop"]`), "false"),
		chromedp.SetValue(chromedp.CSS(`[name="max_drawdown_pct"]`), "99"),
	)
	eval[int](b, `document.querySelector('[name="param.Stop %"]').value = document.querySelector('[name="oos_ratio"]').value = ""; 0`)
	b.leave(chromedp.Click(chromedp.CSS(`form[method="post"][action="/admin/tunes"] button.primary`)))
	require.Contains(t, b.text("h1"), "pine:means@1")
	s.startWorker()
	b.until(`document.querySelector("#head .pill").textContent === "completed"`)
	b.until(`document.querySelectorAll("#trials tbody tr").length === 4`)
	require.Contains(t, b.text("#trials tbody"), "SMA", "an option has its name")
	require.Contains(t, b.text("#trials tbody"), "false")
	require.Contains(t, b.text("main"), "SMA,EMA", "the space has the names too")
	b.looksRight("tune-script")
	b.follow(`#trials tbody a[href*="/trials/"]`)
	b.until(`document.querySelectorAll("figure.plot canvas").length === 4`)
	require.Equal(t, "close,f,Slow <b>mean</b>", eval[string](b, legend))
	b.looksRight("trial-script")
	b.open(eval[string](b, `document.querySelector('.crumb a[href^="/admin/tunes/"]').getAttribute("href")`))
	b.leave(chromedp.Click(chromedp.CSS(`a[href^="/admin/tunes/new?from="]`)))
	require.Equal(t, "pine:means@1", eval[string](b, `document.querySelector('[name="strategy_name"]').value`))
	require.Equal(t, "SMA,EMA", eval[string](b, `document.querySelector('[name="param.MA Type"]').value`))
	require.Empty(t, eval[string](b, `document.querySelector('[name="commission"]').value`), "the script's own commission is kept")
}

// What the compiler refuses is said beside the line, and the text is not lost.
// The upload is examined by a worker, and the page says what it found and how fast the script is.
func TestAScriptThatAWorkerHasExaminedShowsWhatItFound(t *testing.T) {
	s := newSite(t).withWorkspace()
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	status, answer := s.do(http.MethodPost, "/strategies", "application/json", strings.NewReader(string(must(t, map[string]string{"name": "means", "source": means}))))
	require.Equal(t, http.StatusCreated, status, answer)
	var made types.Strategy
	require.NoError(t, json.Unmarshal([]byte(answer), &made))
	require.Eventually(t, func() bool {
		status, answer = s.do(http.MethodGet, "/strategies/"+made.StrategyID, "", nil)
		require.Equal(t, http.StatusOK, status, answer)
		require.NoError(t, json.Unmarshal([]byte(answer), &made))
		return made.Status == "ready"
	}, time.Minute, 20*time.Millisecond)
	require.Positive(t, made.Examination.NsPerBar)
	b.open("/admin/strategies/" + made.StrategyID)
	require.Contains(t, b.text("h1"), "pine:means@1")
	require.Contains(t, b.text("#facts"), "ns a bar")
	b.looksRight("strategy-examined")
}

func TestARefusedScriptShowsItsFaultsBesideTheLines(t *testing.T) {
	s := newSite(t).withWorkspace()
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/strategies")
	eval[int](b, `document.querySelector('[name="source"]').value = "//@version=6\nstrategy(\"Bad <script>document.title='owned'</script>\")\nx = unheard_of + 1\nplot(x)\n"; 0`)
	b.leave(chromedp.Click(chromedp.CSS(`form[action="/admin/strategies"] button.primary`)))
	require.Contains(t, b.text("#L3"), "unheard_of + 1")
	require.Contains(t, b.text("#L3 .finding"), "column 5")
	require.Zero(t, eval[int](b, `document.querySelectorAll("#L1 .finding, #L2 .finding").length`))
	require.Contains(t, eval[string](b, `document.querySelector('[name="source"]').value`), "unheard_of", "the text is still there to be changed")
	require.NotEqual(t, "owned", eval[string](b, `document.title`))
	b.looksRight("strategies-refused")
	b.leave(chromedp.Click(chromedp.CSS(`form[action="/admin/strategies"] button.primary`)))

	// A script of another workspace is not there.
	beta, err := s.store.Tenants.CreateWorkspace(t.Context(), "beta", 2)
	require.NoError(t, err)
	status, answer := s.do(http.MethodPost, "/strategies", "application/json", strings.NewReader(string(must(t, map[string]string{"name": "mine", "source": means}))))
	require.Equal(t, http.StatusCreated, status, answer)
	var made types.Strategy
	require.NoError(t, json.Unmarshal([]byte(answer), &made))
	b.open("/admin/strategies/" + made.StrategyID)
	require.Contains(t, b.text("h1"), "pine:mine@1")
	b.leave(chromedp.SetValue(chromedp.CSS("#workspace"), beta.ID.String()))
	b.open("/admin/strategies/" + made.StrategyID)
	require.Contains(t, b.text("main"), "404")
	require.NotContains(t, b.text("main"), "Two means")
}

func must(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return raw
}
