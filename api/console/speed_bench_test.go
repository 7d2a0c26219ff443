package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	protocol "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// opened is how a page was for a person who opened it, in milliseconds since its address was entered.
type opened struct {
	FirstByte   float64 `json:"first"`
	Interactive float64 `json:"interactive"` // its scripts have run: links, forms and charts answer
	Whole       float64 `json:"whole"`       // what it asks for by itself is there and drawn
	WorstFrame  float64 `json:"-"`           // until then
	WorstMove   float64 `json:"frame"`       // while a pointer moves over every chart
	WireKB      float64 `json:"wire"`        // the page and what it asks for by itself, compressed
}

// watch measures the frames of the page from its first script on.
const watch = `(() => {
	let last = performance.now(), worst = 0;
	const next = (now) => { worst = Math.max(worst, now - last); last = now; requestAnimationFrame(next); };
	requestAnimationFrame((now) => { last = now; requestAnimationFrame(next); });
	window.worstFrame = () => { const was = worst; worst = 0; return was; };
})()`

// pointerMoves moves a pointer over every chart of the page, a step a frame.
const pointerMoves = `(async () => {
	const frame = () => new Promise(requestAnimationFrame);
	for (const figure of document.querySelectorAll("figure.plot, figure.spots")) {
		figure.scrollIntoView({block: "center"});
		await frame();
		const over = figure.querySelector(".u-over") || figure.querySelector(".plane"), box = over.getBoundingClientRect();
		for (let i = 0; i <= 20; i++) {
			const at = {bubbles: true, clientX: box.left + box.width * i / 20, clientY: box.top + box.height / 2};
			over.dispatchEvent(new PointerEvent("pointermove", {...at, pointerType: "mouse"}));
			over.dispatchEvent(new MouseEvent("mousemove", at));
			await frame();
		}
	}
	return 0;
})()`

// measure opens a page and waits until it is whole.
func (b *browser) measure(path string) opened {
	b.t.Helper()
	b.open(path)
	b.until(`performance.getEntriesByType("navigation")[0].loadEventEnd > 0 && !document.querySelector("[data-late]") && [...document.querySelectorAll("figure.plot")].every(f => "drawn" in f.dataset)`)
	whole := eval[float64](b, `window.wholeAt || performance.now()`)
	drawing := eval[float64](b, `window.worstFrame()`)
	eval[int](b, pointerMoves)
	found := eval[opened](b, `(() => {
		const n = performance.getEntriesByType("navigation")[0];
		const own = performance.getEntriesByType("resource").filter(r => r.initiatorType === "fetch" && r.name.startsWith(location.origin + location.pathname));
		return {first: n.responseStart, interactive: n.domContentLoadedEventEnd, frame: window.worstFrame(), wire: (n.encodedBodySize + own.reduce((sum, r) => sum + r.encodedBodySize, 0)) / 1024};
	})()`)
	found.Whole, found.WorstFrame = whole, drawing
	return found
}

// BenchmarkPages opens the pages of large results in Chromium and prints how long each takes to be interactive and
// to be whole, and its worst frame: the first time, when nothing of it is in the server's memory, and after that.
func BenchmarkPages(b *testing.B) {
	s := newSite(b).withWorkspace().withSample().withBars("days", 1500, 1500).withBarsEvery("million", time.Minute, "1m", 1_000_000, 1_000_000)
	s.startWorker()
	var run types.Run
	var answer string
	require.Eventually(b, func() bool {
		var status int
		status, answer = s.do(http.MethodPost, "/backtests/run", "application/json", strings.NewReader(`{"dataset":"million","strategy_name":"sma_cross","params":{"fast":5,"slow":50},"account":{"whole_units":false}}`), "X-Idempotency-Key", "million")
		return status == http.StatusCreated
	}, 5*time.Minute, time.Second, "%s", &answer)
	require.NoError(b, json.Unmarshal([]byte(answer), &run))
	var large, small types.Tune
	require.NoError(b, json.Unmarshal([]byte(s.submit("/backtests/tune", "large", `{"dataset":"days","oos_ratio":0.3,"strategy_name":"sma_cross","param_space":{"fast":{"low":2,"high":1000},"slow":{"low":2,"high":1000}}}`)), &large))
	require.NoError(b, json.Unmarshal([]byte(s.submit("/backtests/tune", "small", `{"dataset":"sp500","oos_ratio":0.3,"strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[50,100]}}`)), &small))
	page := s.openBrowser()
	page.logIn()
	page.call(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, protocol.AddScriptToEvaluateOnNewDocument, protocol.AddScriptToEvaluateOnNewDocumentParams{Source: watch})
		return err
	})
	for _, id := range []string{large.TuneID, small.TuneID} {
		require.Eventually(b, func() bool {
			_, answer := s.do(http.MethodGet, "/backtests/tunes/"+id+"?leaderboard=1", "", nil)
			return strings.Contains(answer, `"status":"completed"`)
		}, 10*time.Minute, 100*time.Millisecond)
	}
	for _, at := range []struct{ name, path string }{
		{"home", "/admin"}, {"tunes", "/admin/tunes"}, {"form", "/admin/tunes/new"}, {"datasets", "/admin/datasets"}, {"leaderboard", "/admin/leaderboard"},
		{"trial", "/admin/tunes/" + small.TuneID + "/trials/0"}, {"tune-of-4", "/admin/tunes/" + small.TuneID},
		{"tune-of-998001", "/admin/tunes/" + large.TuneID}, {"trial-of-998001", "/admin/tunes/" + large.TuneID + "/trials/500000"}, {"run-of-1000000-bars", "/admin/runs/" + run.RunID},
	} {
		first := page.measure(at.path)
		b.Run(at.name, func(b *testing.B) {
			var sum, worst opened
			for b.Loop() {
				o := page.measure(at.path)
				sum.FirstByte, sum.Interactive, sum.Whole = sum.FirstByte+o.FirstByte, sum.Interactive+o.Interactive, sum.Whole+o.Whole
				worst.Interactive, worst.WireKB = max(worst.Interactive, o.Interactive), o.WireKB
				worst.WorstFrame, worst.WorstMove = max(worst.WorstFrame, o.WorstFrame), max(worst.WorstMove, o.WorstMove)
			}
			n := float64(b.N)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(first.Interactive, "ms-interactive-first")
			b.ReportMetric(first.Whole, "ms-whole-first")
			b.ReportMetric(first.WorstFrame, "ms-frame-first")
			b.ReportMetric(sum.FirstByte/n, "ms-first-byte")
			b.ReportMetric(sum.Interactive/n, "ms-interactive")
			b.ReportMetric(worst.Interactive, "ms-interactive-worst")
			b.ReportMetric(sum.Whole/n, "ms-whole")
			b.ReportMetric(worst.WorstFrame, "ms-frame-worst")
			b.ReportMetric(worst.WorstMove, "ms-frame-pointer-worst")
			b.ReportMetric(worst.WireKB, "kB-wire")
		})
	}
}
