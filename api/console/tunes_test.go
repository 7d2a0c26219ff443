package console_test

import (
	"encoding/json"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// A newcomer logs in, submits a tune and watches it to its end without touching the page again.
func TestATuneIsSubmittedAndWatched(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	b := s.openBrowser()
	b.open("/admin/tunes")
	require.Contains(t, eval[string](b, `location.pathname`), "/admin/login")
	b.looksRight("login")
	b.logIn()
	b.live()
	b.looksRight("home-empty")

	b.open("/admin/tunes/new")
	b.looksRight("tune-new")
	b.run(
		chromedp.SetValue(chromedp.CSS(`[name="param.fast"]`), "2:41:1"), chromedp.SetValue(chromedp.CSS(`[name="param.slow"]`), "50:300:2"),
		chromedp.SetValue(chromedp.CSS(`[name="max_drawdown_pct"]`), "80"),
		chromedp.Click(chromedp.CSS(`form[method="post"] button.primary`), chromedp.NodeVisible), chromedp.WaitReady(chromedp.CSS(`#h-heat`)),
	)
	require.Contains(t, b.text("#head"), "queued")
	b.live()
	b.looksRight("tune-queued")
	s.startWorker()
	b.until(`document.querySelector("#head .pill").textContent === "running" && Number(document.querySelector("progress").value) > 0`)
	b.looksRight("tune-running")
	b.until(`document.querySelector("#head .pill").textContent === "completed"`)
	b.until(`document.querySelectorAll("#heat rect.cell").length > 500 && document.querySelector("#equity canvas") !== null`)
	b.until(`document.querySelector("#trials").textContent.includes("completed")`) // those of a page that was read as the tune ended may be of before
	b.until(`document.querySelector('#jobs a[href^="/admin/riverui/jobs/"]') && document.querySelector("#jobs").textContent.includes("tune.collect")`)
	b.looksRight("tune-completed")

	b.open("/admin")
	b.live()
	b.looksRight("home")
	b.open("/admin/tunes")
	require.Contains(t, b.text("#list"), "sma_cross")
	b.looksRight("tunes")
}

func TestATuneIsCanceled(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	made := s.submit("/backtests/tune", "k", `{"dataset":"sp500","strategy_name":"sma_cross","param_space":{"fast":[5,10],"slow":[50,100]}}`)
	var tune types.Tune
	require.NoError(t, json.Unmarshal([]byte(made), &tune))
	b := s.openBrowser()
	b.logIn()
	b.open("/admin/tunes/" + tune.TuneID)
	eval[int](b, `window.confirm = () => true; 0`)
	b.run(chromedp.Click(chromedp.CSS("button.danger")))
	b.until(`document.querySelector("#head .pill")?.textContent === "canceled"`)
}
