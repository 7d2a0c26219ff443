package chaos

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// strategies are those of the tunes, one after the other: a built-in strategy and a script.
var strategies = [...]string{"sma_cross", "pine:cross"}

// crossScript has the parameters of sma_cross, and exits that fill inside bars.
const crossScript = `//@version=6
strategy("Cross", default_qty_type=strategy.percent_of_equity, default_qty_value=100)
fast = input.int(10, "fast", minval=1, maxval=5000)
slow = input.int(50, "slow", minval=2, maxval=5000)
a = ta.sma(close, fast)
b = ta.sma(close, slow)
if ta.crossover(a, b)
    strategy.entry("L", strategy.long)
    strategy.exit("X", "L", stop=close * 0.97, limit=close * 1.05)
if ta.crossunder(a, b)
    strategy.close("L")
`

// tuneBody is a tune of sixty trials for each value of its second parameter: with a hundred values
// some seconds of one core, in shards of a tenth of one.
func tuneBody(strategy string, slow int) []byte {
	return fmt.Appendf(nil, `{"dataset":"walk","strategy_name":%q,"oos_ratio":0.3,
		"param_space":{"fast":{"low":2,"high":61},"slow":{"low":62,"high":%d}},
		"gates":{"max_drawdown_pct":95,"min_trades":1}}`, strategy, 61+slow)
}

// storeScript uploads the script that some of the tunes name.
func (d *submitter) storeScript() {
	d.t.Helper()
	body, err := json.Marshal(types.StrategyRequest{Name: "cross", Source: crossScript})
	require.NoError(d.t, err)
	status, answer := d.call(http.MethodPost, "/strategies", "application/json", body)
	require.Equal(d.t, http.StatusCreated, status, string(answer))
}

// tune submits a tune of a built-in strategy until it is accepted.
func (d *submitter) tune(key string, slow int) string { return d.tuneOf(strategies[0], key, slow) }

// tuneOf submits a tune of a strategy until it is accepted.
func (d *submitter) tuneOf(strategy, key string, slow int) string {
	for d.t.Context().Err() == nil {
		status, answer := d.call(http.MethodPost, "/backtests/tune", "application/json", tuneBody(strategy, slow), "X-Idempotency-Key", key)
		var tune types.Tune
		switch {
		case status == http.StatusAccepted && json.Unmarshal(answer, &tune) == nil:
			return tune.TuneID
		case status >= 400 && status < 500 && status != http.StatusConflict && status != http.StatusTooManyRequests:
			d.t.Errorf("tune %s: %d %s", key, status, answer)
			return ""
		}
		<-time.After(100 * time.Millisecond)
	}
	return ""
}
