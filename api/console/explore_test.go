package console_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/require"
)

// savedColours saves a chart as an image and counts the colours of the drawing in the image that is offered.
func (b *browser) savedColours(figure string) int {
	b.t.Helper()
	return eval[int](b, `new Promise((done) => {
		const make = URL.createObjectURL;
		URL.createObjectURL = (blob) => {
			URL.createObjectURL = make;
			createImageBitmap(blob).then((image) => {
				const canvas = new OffscreenCanvas(image.width, image.height), ctx = canvas.getContext("2d");
				ctx.drawImage(image, 0, 0);
				const head = 44 * Math.max(2, devicePixelRatio); // the title and the legend have many colours, too
				const data = new Uint32Array(ctx.getImageData(0, head, image.width, image.height - head).data.buffer);
				done(blob.type === "image/png" ? new Set(data).size : 0);
			});
			return make(blob);
		};
		document.querySelector(`+strconv.Quote(figure+` .tools button`)+`).click();
	})`)
}

// The page of a tune says when the best was found, what matters and where the good trials lie; each place
// of a chart is read by pointer and keyboard and opens its trial. The table is sorted, narrowed and saved.
func TestATuneIsExplored(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	tune := s.aTune(b, "explored", `{"dataset":"sp500","oos_ratio":0.3,"strategy_name":"sma_cross","param_space":{"fast":{"low":5,"high":40,"step":5},"slow":[50,100,150,200]},"constraints":["fast < slow"]}`)
	b.until(`document.querySelectorAll("#explored figure").length === 4 && document.querySelector("#plot-history canvas")`)
	b.looksRight("tune-explored")
	b.fits("#trials table")
	require.Contains(t, b.text("#h-matters ~ *, #explored"), "slow")
	shares := eval[float64](b, `[...document.querySelectorAll("#explored progress")].reduce((sum, p) => sum + p.value, 0)`)
	require.InDelta(t, 1, shares, 1e-6)
	require.Equal(t, 5, eval[int](b, `document.querySelectorAll("#heat .ramp.named > span").length`), "the legend has values")
	require.Equal(t, []string{"Probabilistic Sharpe", "Deflated Sharpe of own returns", "Overfitting, PBO", "Slope", "P(loss)", "Stability"},
		eval[[]string](b, `[...document.querySelectorAll("#overfit dt")].map(e => e.textContent)`))
	require.True(t, eval[bool](b, `[...document.querySelectorAll("#overfit dd")].every(e => /^[−\d]/.test(e.textContent))`), b.text("#overfit"))
	require.Equal(t, []string{"#plot-drawdown", "#plot-equity", "#plot-history", "#spots-heat", "#spots-parallel", "#spots-scatter", "#spots-slice-0", "#spots-slice-1"}, b.pointed())

	// Each is saved as an image, in the colours of the page and with what is drawn in it.
	for _, id := range []string{"heat", "scatter", "slice-0", "parallel"} {
		require.Greater(t, b.savedColours("#spots-"+id), 20, "the image of %s shows little", id)
	}

	// By keyboard: from place to place, and into the trial.
	for _, id := range []string{"heat", "scatter", "slice-0", "parallel"} {
		figure := "#spots-" + id
		b.run(chromedp.Focus(chromedp.CSS(figure + " .plane")))
		b.press(kb.Home)
		first := b.text(figure + " .readout")
		require.NotContains(t, first, "Point at")
		require.Equal(t, first, eval[string](b, `document.activeElement.getAttribute("aria-valuetext")`))
		b.press(kb.End)
		require.NotEqual(t, first, b.text(figure+" .readout"))
		if id == "heat" {
			b.press(kb.ArrowLeft)
			require.Contains(t, b.text(figure+" .readout"), "fast 35, slow 200")
			b.press(kb.ArrowRight)
			require.Contains(t, b.text(figure+" .readout"), "fast 40, slow 200")
			b.press(kb.ArrowDown)
			require.Contains(t, b.text(figure+" .readout"), "fast 40, slow 150")
			b.press(kb.ArrowUp)
			require.Contains(t, b.text(figure+" .readout"), "fast 40, slow 200")
		}
	}
	b.run(chromedp.Focus(chromedp.CSS("#spots-heat .plane")))
	b.press(kb.Home)
	b.leave(chromedp.KeyEvent(kb.Enter))
	require.Contains(t, eval[string](b, `location.pathname`), "/trials/")
	require.Contains(t, b.text(".head .sub"), "fast 5 · slow 50")
	b.open("/admin/tunes/" + tune.TuneID)
	eval[int](b, `document.querySelector("#spots-scatter").scrollIntoView(); 0`)
	b.leave(chromedp.Click(chromedp.CSS("#spots-scatter svg")))
	require.Contains(t, eval[string](b, `location.pathname`), "/trials/", "a dot opens its trial")

	// The table.
	b.open("/admin/tunes/" + tune.TuneID + "?where=" + `fast%20%3C%2020%20and%20trades_oos%20%3E%3D%201` + "&order=-max_drawdown_pct_oos&col=fast&col=max_drawdown_pct_oos")
	require.Equal(t, "Trial|State|fast|Drawdown out of sample ↓", eval[string](b, `[...document.querySelectorAll("#trials th")].map(h => h.textContent).join("|")`))
	require.True(t, eval[bool](b, `(() => {
		const rows = [...document.querySelectorAll("#trials tbody tr")], v = rows.map(r => parseFloat(r.cells[3].textContent));
		return rows.length > 3 && rows.every(r => Number(r.cells[2].textContent) < 20) && v.every((x, i) => i === 0 || x <= v[i - 1]);
	})()`))
	csv := eval[string](b, `fetch(document.querySelector('a[href*="trials.csv"]').href).then(r => r.text())`)
	require.True(t, strings.HasPrefix(csv, "trial,status,fast,max_drawdown_pct_oos\n"), csv[:60])
	require.Equal(t, eval[int](b, `document.querySelectorAll("#trials tbody tr").length`)+1, strings.Count(csv, "\n"))
	b.open("/admin/tunes/" + tune.TuneID + "?where=" + `colour%20%3E%201`)
	require.Contains(t, b.text("#where-fault"), "colour")
	require.Equal(t, http.StatusBadRequest, eval[int](b, `fetch("/admin/tunes/`+tune.TuneID+`/trials.csv?where=colour").then(r => r.status)`))
}
