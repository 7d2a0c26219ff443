package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// Two entries of seven units, on bars that open and close at 100.
const declaredScript = `//@version=6
strategy("Declared", initial_capital=50000, commission_type=strategy.commission.percent, commission_value=0.5,
     slippage=3, default_qty_value=7, pyramiding=2, calc_on_every_tick=true, use_bar_magnifier=true)
bars = input.int(5, "Bars", minval=2)
varip seen = 0
if bar_index < 4
    strategy.entry("L", strategy.long)
if bar_index == 4 + bars
    strategy.close_all()
`

// scriptRun is a run's trades and what is stored of its request.
type scriptRun struct {
	trades []types.Trade
	final  float64
	spec   struct {
		Account struct {
			Cash float64 `json:"cash"`
		} `json:"account"`
		Notes []string `json:"notes"`
	}
}

func (r *fixture) declaredRun(rest string) scriptRun {
	r.t.Helper()
	a := r.do(http.MethodPost, "/backtests/run", fmt.Sprintf(`{"dataset":"flat","strategy_name":"pine:declared"%s}`, rest))
	require.Equal(r.t, http.StatusCreated, a.status, string(a.body))
	made := into[types.Run](r.t, a)
	ran := scriptRun{trades: into[types.List[types.Trade]](r.t, r.do(http.MethodGet, a.header.Get("Location")+"/trades", "")).Items}
	require.NotNil(r.t, made.Metrics.FinalEquity)
	ran.final = *made.Metrics.FinalEquity
	require.NoError(r.t, json.Unmarshal(made.Spec, &ran.spec))
	require.Len(r.t, ran.trades, 2, "pyramiding is the script's")
	return ran
}

func TestResultsOfAScriptSayWhatItDeclaresAndWhatIsOverridden(t *testing.T) {
	r := newFixture(t)
	quiet := func(int) [4]float64 { return [4]float64{100, 101, 99, 100} }
	for name, minutes := range map[string]int{"flat": 60, "inside": 30} {
		timeframe := map[int]string{60: "1h", 30: "30m"}[minutes]
		a := r.send("/datasets", name, name+".csv", barsCSV(minutes, 400*60/minutes, quiet), "name", name, "symbol", "A", "timeframe", timeframe)
		require.Equal(t, http.StatusCreated, a.status, string(a.body))
	}
	r.script(r.key, "declared", declaredScript)

	own := r.declaredRun("")
	require.InDelta(t, 50000, own.spec.Account.Cash, 0)
	paid := 0.0
	for _, trade := range own.trades {
		require.InDelta(t, 7, trade.Size, 0)
		require.InDelta(t, 100.03, trade.EntryPrice, 1e-9)
		require.InDelta(t, 99.97, trade.ExitPrice, 1e-9)
		paid += 7*0.06 + 0.005*7*(100.03+99.97)
	}
	require.InDelta(t, 50000-paid, own.final, 1e-6)
	require.Equal(t, []string{
		"line 3: calc_on_every_tick changes nothing: history has one calculation a bar",
		"line 3: use_bar_magnifier: the path inside a bar is assumed from its four prices",
		"line 5: varip is var: bars are seen once, on their close",
	}, own.spec.Notes)

	const account = `,"account":{"cash":80000,"commission":0.001,"slippage":0,"size":2}`
	other := r.declaredRun(account)
	require.InDelta(t, 80000, other.spec.Account.Cash, 0)
	require.InDelta(t, 80000-0.001*4*200, other.final, 1e-6)
	for _, trade := range other.trades {
		require.InDelta(t, 2, trade.Size, 0)
		require.InDelta(t, 100, trade.EntryPrice, 1e-9)
	}
	overridden := []string{
		"account.cash 80000 takes the place of the script's initial_capital 50000",
		"account.commission 0.001 takes the place of the script's commission",
		"account.slippage 0 takes the place of the script's slippage",
		"account.size 2 takes the place of the script's quantity: so many units",
	}
	require.Equal(t, append(append([]string{}, own.spec.Notes...), overridden...), other.spec.Notes)

	// Bars that have others inside have no assumed path.
	inside := r.declaredRun(`,"intrabar_dataset":"inside"`).spec.Notes
	require.NotContains(t, strings.Join(inside, "\n"), "use_bar_magnifier")
	require.Contains(t, inside, "fills inside a bar follow the bars of intrabar_dataset in place of an assumed path")

	r.startWorker()
	tune := r.endedTune("/backtests/tune", `{"dataset":"flat","strategy_name":"pine:declared","param_space":{"Bars":[5,6]},
		"gates":{"min_trades":1}`+account+`}`, "declared")
	require.Equal(t, types.TuneCompleted, tune.Status, "%v", tune.Error)
	require.Subset(t, tune.Warnings, other.spec.Notes)
}
