package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/backtest/ohlcv"
)

// The comment is a mark that may be found in no log, event or job.
const meansScript = `//@version=6
// crocus-in-the-source
strategy("Two means", initial_capital=20000, default_qty_type=strategy.percent_of_equity, default_qty_value=100)
fast = input.int(10, "Fast Length", minval=1, maxval=200)
slow = input.int(50, "Slow Length", minval=2, maxval=400)
kind = input.string("SMA", "Kind", options=["SMA", "EMA"])
strict = input.bool(false, "Strict")
if fast == 13
    runtime.error("unlucky")
a = kind == "SMA" ? ta.sma(close, fast) : ta.ema(close, fast)
b = ta.sma(close, slow)
if ta.crossover(a, b) and (not strict or close > open)
    strategy.entry("Long", strategy.long, comment="up")
if ta.crossunder(a, b)
    strategy.close("Long")
`

func body(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	require.NoError(t, err)
	return string(raw)
}

func (r *fixture) script(key, name, source string) types.Strategy {
	r.t.Helper()
	a := r.do(http.MethodPost, "/strategies", body(r.t, types.StrategyRequest{Name: name, Source: source}), "Authorization", "Bearer "+key)
	require.Equal(r.t, http.StatusCreated, a.status, string(a.body))
	return into[types.Strategy](r.t, a)
}

// checked waits until a worker has examined a script.
func (r *fixture) checked(id string) types.Strategy {
	r.t.Helper()
	var script types.Strategy
	require.Eventually(r.t, func() bool {
		script = into[types.Strategy](r.t, r.do(http.MethodGet, "/strategies/"+id, ""))
		return script.Status != "checking"
	}, 60*time.Second, 20*time.Millisecond)
	require.NotNil(r.t, script.CheckedAt)
	return script
}

func (r *fixture) endedTune(path, body, key string) types.Tune {
	r.t.Helper()
	a := r.do(http.MethodPost, path, body, "X-Idempotency-Key", key)
	require.Equal(r.t, http.StatusAccepted, a.status, string(a.body))
	var tune types.Tune
	require.Eventually(r.t, func() bool {
		tune = into[types.Tune](r.t, r.do(http.MethodGet, a.header.Get("Location"), ""))
		return tune.Status.Ended()
	}, 60*time.Second, 50*time.Millisecond)
	return tune
}

func TestScriptIsUploadedTunedAndTraded(t *testing.T) {
	r := newFixture(t).withSample()
	made := r.script(r.key, "", meansScript)
	require.Equal(t, "pine:two-means@1", made.Name)
	require.EqualValues(t, "checking", made.Status)
	require.Nil(t, made.Examination)
	require.Len(t, made.Params, 4)
	require.Equal(t, []string{"SMA", "EMA"}, made.ParamSpace["Kind"].Labels)
	require.Equal(t, made.StrategyID, r.script(r.key, "", meansScript).StrategyID, "the same source is the same version")
	second := r.script(r.key, "two-means", strings.Replace(meansScript, "(50,", "(60,", 1))
	require.Equal(t, "pine:two-means@2", second.Name)

	r.startWorker()
	checked := r.checked(made.StrategyID)
	require.EqualValues(t, "ready", checked.Status)
	require.True(t, checked.Examination.Complete)
	require.Empty(t, checked.Examination.Problems)
	require.Positive(t, checked.Examination.Trades)
	require.Positive(t, checked.Examination.NsPerBar)
	request := `{"dataset":"sp500","strategy_name":"pine:two-means@1","oos_ratio":0.3,"gates":{"max_drawdown_pct":90,"min_trades":1},
		"param_space":{"Fast Length":{"low":11,"high":14,"step":1},"Slow Length":[50,100],"Kind":["EMA","SMA"],"Strict":[true,false]},
		"constraints":["\"Fast Length\" < \"Slow Length\""],"account":{"commission":0.001}}`
	tune := r.endedTune("/backtests/tune", request, "first")
	require.Equal(t, types.TuneCompleted, tune.Status, "%v", tune.Error)
	require.Equal(t, 32, tune.NTrials)
	require.Equal(t, 8, tune.Counts.Failed, "the trials that the script refuses")
	require.Equal(t, 24, tune.Counts.Completed)
	require.Equal(t, made.SHA256, tune.Spec.Script.SHA256)
	require.Contains(t, strings.Join(tune.Warnings, "\n"), "line 9")
	require.Contains(t, strings.Join(tune.Warnings, "\n"), "commission")
	require.Equal(t, tune.Leaderboard, r.endedTune("/backtests/tune", request, "again").Leaderboard)

	// The same parameters in one run, whose trades are those of the script's orders.
	var best map[string]float64
	require.NoError(t, json.Unmarshal([]byte(body(t, tune.BestParams)), &best))
	run := r.do(http.MethodPost, "/backtests/run", body(t, map[string]any{
		"dataset": "sp500", "strategy_name": "pine:" + made.StrategyID, "params": best, "account": map[string]any{"commission": 0.001}}))
	require.Equal(t, http.StatusCreated, run.status, string(run.body))
	ran := into[types.Run](t, run)
	require.Equal(t, "pine:two-means@1", ran.Strategy)
	require.Contains(t, string(ran.Spec), "takes the place of the script's commission")
	trades := into[types.List[types.Trade]](t, r.do(http.MethodGet, run.header.Get("Location")+"/trades", "")).Items
	require.Len(t, trades, ran.Metrics.Trades)
	require.NotEmpty(t, trades)
	require.Equal(t, "up", trades[0].EntrySignal)
	for _, version := range []string{"3", "2147483648", "9223372036854775808"} {
		unknown := r.do(http.MethodPost, "/backtests/run", `{"dataset":"sp500","strategy_name":"pine:two-means@`+version+`","params":{"Fast Length":13}}`)
		require.Equal(t, http.StatusUnprocessableEntity, unknown.status, string(unknown.body))
		require.Contains(t, string(unknown.body), `"field":"strategy_name"`)
	}
	refused := r.do(http.MethodPost, "/backtests/run", `{"dataset":"sp500","strategy_name":"pine:two-means@1","params":{"Fast Length":13}}`)
	require.Equal(t, http.StatusUnprocessableEntity, refused.status)
	require.Contains(t, string(refused.body), "line 9")

	// Deleted, it is found by nothing new; what ran with it keeps it.
	require.Equal(t, http.StatusNoContent, r.do(http.MethodDelete, "/strategies/"+made.StrategyID, "").status)
	require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, "/strategies/"+made.StrategyID+"/source", "").status)
	gone := r.do(http.MethodPost, "/backtests/tune", request, "X-Idempotency-Key", "late")
	require.Equal(t, http.StatusUnprocessableEntity, gone.status)
	require.Equal(t, 1, r.count(`select count(*) from strategies where name = 'two-means' and version = 1`), "the tune still needs it")
	for _, table := range []string{"event_log", "river_job", "tunes", "idempotency_keys"} {
		require.Zero(t, r.count(`select count(*) from `+table+` t where t::text like '%crocus-in-the-source%'`), table)
	}
}

// A tune is submitted while its script waits to be examined, and another once it was refused.
func TestARefusedScriptFailsTheTuneThatWaitsForItAndTakesNoOther(t *testing.T) {
	r := newFixture(t).withSample()
	endless := strings.Replace(meansScript, "if fast == 13\n", "x = 0\nwhile fast == 10\n    x += 1\nif x > 99\n", 1)
	made := r.script(r.key, "endless", endless)
	const request = `{"dataset":"sp500","strategy_name":"pine:endless","param_space":{"Fast Length":[20,30]},"gates":{"max_drawdown_pct":99,"min_trades":1}}`
	waiting := r.do(http.MethodPost, "/backtests/tune", request, "X-Idempotency-Key", "waits")
	require.Equal(t, http.StatusAccepted, waiting.status, string(waiting.body))
	r.startWorker()
	refused := r.checked(made.StrategyID)
	require.EqualValues(t, "refused", refused.Status)
	require.Contains(t, refused.Examination.Refusal, "line 9", "%+v", refused.Examination)
	var tune types.Tune
	require.Eventually(t, func() bool {
		tune = into[types.Tune](t, r.do(http.MethodGet, waiting.header.Get("Location"), ""))
		return tune.Status.Ended()
	}, 60*time.Second, 50*time.Millisecond)
	require.Equal(t, types.TuneFailed, tune.Status)
	require.Contains(t, *tune.Error, "endless@1 was refused")
	require.Contains(t, *tune.Error, "line 9")

	walk := strings.TrimSuffix(request, "}") + `,"wfo_config":{"train_days":1460,"test_days":730,"min_folds":2}}`
	plan := `{"name":"plan","base":` + request + `,"overrides":[{"side":"long"}]}`
	for path, body := range map[string]string{"/backtests/tune": request, "/backtests/wfo": walk, "/run-plans": plan} {
		a := r.do(http.MethodPost, path, body, "X-Idempotency-Key", "late")
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", path, a.body)
		p := into[types.ProblemError](t, a)
		require.Equal(t, "strategy_name", p.Errors[0].Field, path)
		require.Contains(t, p.Errors[0].Message, "line 9", path)
		require.Contains(t, p.Errors[0].Advice, "upload it", path)
	}
	require.Equal(t, 1, r.count(`select count(*) from tunes`))
	fixed := r.script(r.key, "endless", meansScript)
	require.Equal(t, "pine:endless@2", fixed.Name)
	require.Equal(t, types.TuneCompleted, r.endedTune("/backtests/tune", request, "fixed").Status)
}

func TestScriptIsWalkedForward(t *testing.T) {
	r := newFixture(t).withSample()
	r.script(r.key, "means", meansScript)
	r.startWorker()
	a := r.do(http.MethodPost, "/backtests/wfo", `{"dataset":"sp500","strategy_name":"pine:means","gates":{"max_drawdown_pct":90,"min_trades":1},
		"param_space":{"Fast Length":[5,10],"Kind":["EMA","SMA"]},
		"wfo_config":{"train_days":1460,"test_days":730,"min_folds":2}}`, "X-Idempotency-Key", "walk")
	require.Equal(t, http.StatusAccepted, a.status, string(a.body))
	var wfo types.WFO
	require.Eventually(t, func() bool {
		wfo = into[types.WFO](t, r.do(http.MethodGet, a.header.Get("Location"), ""))
		return wfo.Status.Ended()
	}, 60*time.Second, 50*time.Millisecond)
	require.Equal(t, types.WFOCompleted, wfo.Status, "%v", wfo.Error)
	require.NotEmpty(t, wfo.Candidates)
	require.Equal(t, "pine:means@1", wfo.StrategyName)
}

func TestScriptOfAnotherWorkspaceIsNotThere(t *testing.T) {
	r := newFixture(t).withSample()
	require.Equal(t, http.StatusCreated, r.upload(r.other, "sp500", ohlcv.Sample()).status)
	made := r.script(r.key, "mine", meansScript)
	as := []string{"Authorization", "Bearer " + r.other}
	for _, path := range []string{"/strategies/" + made.StrategyID, "/strategies/" + made.StrategyID + "/source"} {
		require.Equal(t, http.StatusNotFound, r.do(http.MethodGet, path, "", as...).status, path)
	}
	require.Equal(t, http.StatusNotFound, r.do(http.MethodDelete, "/strategies/"+made.StrategyID, "", as...).status)
	require.NotContains(t, string(r.do(http.MethodGet, "/strategies", "", as...).body), "pine:")
	for i, name := range []string{"pine:mine", "pine:mine@1", "pine:" + made.StrategyID} {
		request := fmt.Sprintf(`{"dataset":"sp500","strategy_name":%q,"param_space":{"Fast Length":[5]}}`, name)
		a := r.do(http.MethodPost, "/backtests/tune", request, append(as, "X-Idempotency-Key", fmt.Sprint("theirs ", i))...)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", name, a.body)
	}
	// A pin that the request brings is not believed.
	pinned := fmt.Sprintf(`{"dataset":"sp500","strategy_name":"pine:mine@1","param_space":{"Fast Length":[5]},
		"script":{"id":%q,"name":"mine","version":1,"sha256":%q,"params":[]}}`, made.StrategyID, made.SHA256)
	require.Equal(t, http.StatusUnprocessableEntity, r.do(http.MethodPost, "/backtests/tune", pinned, append(as, "X-Idempotency-Key", "pinned")...).status)
	theirs := r.script(r.other, "theirs", meansScript)
	require.NotEqual(t, made.StrategyID, theirs.StrategyID)
}

func TestHostileScriptsAreRefusedWithTheirLine(t *testing.T) {
	r := newFixture(t)
	post := func(source string) answer {
		return r.do(http.MethodPost, "/strategies/check", body(t, types.StrategyCheckRequest{Source: source}))
	}
	head := "//@version=6\nstrategy(\"S\")\n"
	for name, source := range map[string]string{
		"not Pine": "PK\x03\x04 what is this", "an indicator": "//@version=6\nindicator(\"I\")\nplot(close)\n", "a library": "//@version=6\nlibrary(\"L\")\n",
		"an import":         head + "import a/b/1 as c\n",
		"recursion":         head + "f(x) => f(x - 1)\nif f(1) > 0\n    strategy.entry(\"L\", strategy.long)\n",
		"bounds":            head + "n = input.int(5, \"n\", minval=10, maxval=1)\nif close > n\n    strategy.entry(\"L\", strategy.long)\n",
		"another symbol":    head + "x = request.security(\"NASDAQ:AAPL\", \"D\", close)\nif close > x\n    strategy.entry(\"L\", strategy.long)\n",
		"a deep nest":       head + "x = " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000) + "\n",
		"an unknown name":   head + "if whatever > 1\n    strategy.entry(\"L\", strategy.long)\n",
		"a negative offset": head + "if close[-1] > close\n    strategy.entry(\"L\", strategy.long)\n",
	} {
		a := post(source)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, "%s: %s", name, a.body)
		p := into[types.ProblemError](t, a)
		require.NotEmpty(t, p.Errors, name)
		require.Equal(t, "source", p.Errors[0].Field, name)
		require.Positive(t, p.Errors[0].Line, name)
		require.NotEmpty(t, p.Errors[0].Code, name)
	}
	for name, source := range map[string]string{"nothing": "", "too much": strings.Repeat("/", 256<<10+1)} {
		require.Equal(t, http.StatusUnprocessableEntity, post(source).status, name)
	}
	require.Equal(t, http.StatusBadRequest, post(head+"// \x00\n").status, "a zero byte")
	// These compile: their runs go beyond a limit or do nothing, and the report says so.
	for name, source := range map[string]string{
		"an endless loop":    head + "x = 0\nwhile true\n    x += 1\nif x > 0\n    strategy.entry(\"L\", strategy.long)\n",
		"a huge array":       head + "a = array.new_float(1000000000, 0)\nif array.size(a) > 0\n    strategy.entry(\"L\", strategy.long)\n",
		"many orders":        head + "for i = 0 to 10000\n    strategy.entry(str.tostring(i), strategy.long, limit=0.01)\n",
		"na everywhere":      head + "float x = na\nif x > close\n    strategy.entry(\"L\", strategy.long)\n",
		"division by zero":   head + "if 1 / (close - close) > 0\n    strategy.entry(\"L\", strategy.long)\n",
		"an input of no use": head + "n = input.int(5, \"n\")\nif bar_index == 3\n    strategy.entry(\"L\", strategy.long)\n",
	} {
		a := post(source)
		require.Equal(t, http.StatusOK, a.status, "%s: %s", name, a.body)
		found := into[types.Strategy](t, a).Examination
		require.True(t, len(found.Warnings) > 0 || found.Refusal != "" || name == "an input of no use" || name == "division by zero", "%s: %+v", name, found)
		require.Empty(t, found.Problems, name)
	}
	require.Zero(t, r.count(`select count(*) from strategies`))
}
