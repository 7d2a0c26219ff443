package console_test

import (
	"encoding/json"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// Limits that nobody meets are no dead end: the page says what they excluded, and one button submits
// the tune again with those that admit the nearest.
func TestATuneWithoutSurvivorsIsRunAgainWithRelaxedLimits(t *testing.T) {
	s := newSite(t).withWorkspace().withSample()
	s.startWorker()
	b := s.openBrowser()
	b.logIn()
	var made types.Tune
	require.NoError(t, json.Unmarshal([]byte(s.submit("/backtests/tune", "strict", `{"dataset":"sp500","oos_ratio":0.3,"strategy_name":"sma_cross",
		"param_space":{"fast":[5,10,20],"slow":[50,100,200]},"gates":{"max_drawdown_pct":2,"min_trades":20}}`)), &made))
	b.open("/admin/tunes/" + made.TuneID)
	b.until(`document.querySelector("#h-nearest")`)
	require.Contains(t, b.text("main"), "drawdown ≤ 2 %, trades ≥ 20")
	require.Contains(t, b.text("main"), "is above the gate of 2 %")
	require.Equal(t, 9, eval[int](b, `document.querySelectorAll("#h-nearest").length && document.querySelectorAll('[aria-label="Trials nearest to the limits"] tbody tr').length`))
	b.looksRight("tune-no-survivor")
	b.leave(chromedp.Click(chromedp.CSS(`form[action$="/relax"] button`)))
	b.until(`document.querySelector("#head .pill")?.textContent === "completed" && document.querySelector("#equity canvas") !== null`)
	require.NotContains(t, eval[string](b, `location.pathname`), made.TuneID)
	require.Empty(t, b.text("#h-nearest"))
}
