package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// barsCSV writes bars so many minutes apart, each of open, high, low and close as given.
func barsCSV(minutes int, n int, shape func(i int) [4]float64) []byte {
	var out strings.Builder
	out.WriteString("time,open,high,low,close\n")
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		s := shape(i)
		fmt.Fprintf(&out, "%s,%v,%v,%v,%v\n", at.Add(time.Duration(i*minutes)*time.Minute).Format(time.RFC3339), s[0], s[1], s[2], s[3])
	}
	return []byte(out.String())
}

// An entry at 100 with a stop at 95 and a target at 105; the bar after it goes to 110, then to 90, as the bars
// of half an hour show. Without them a stop is assumed.
func TestIntrabarDatasetTakesThePlaceOfTheAssumedPath(t *testing.T) {
	r := newFixture(t)
	quiet := [4]float64{100, 101, 99, 100}
	const n = 400
	hours := barsCSV(60, n, func(i int) [4]float64 {
		if i == 2 {
			return [4]float64{100, 110, 90, 100}
		}
		return quiet
	})
	halves := func(of float64) []byte {
		return barsCSV(30, 2*n, func(i int) [4]float64 {
			s := quiet
			switch i {
			case 4:
				s = [4]float64{100, 110, 98, 104}
			case 5:
				s = [4]float64{104, 106, 90, 100}
			}
			for k := range s {
				s[k] *= of
			}
			return s
		})
	}
	for _, d := range []struct {
		name, symbol, timeframe string
		bars                    []byte
	}{{"hours", "A", "1h", hours}, {"halves", "A", "30m", halves(1)}, {"others", "A", "30m", halves(2)}, {"foreign", "B", "30m", halves(1)}} {
		a := r.send("/datasets", d.name, d.name+".csv", d.bars, "name", d.name, "symbol", d.symbol, "timeframe", d.timeframe)
		require.Equal(t, http.StatusCreated, a.status, string(a.body))
	}
	script := r.script(r.key, "bracket", "//@version=6\nstrategy(\"t\")\nlow_stop = input.float(95, \"Stop\")\nif bar_index == 0\n    strategy.entry(\"L\", strategy.long)\n    strategy.exit(\"X\", \"L\", stop=low_stop, limit=105)\n")
	run := func(intrabar string) types.Trade {
		a := r.do(http.MethodPost, "/backtests/run", fmt.Sprintf(`{"dataset":"hours","strategy_name":%q%s}`, script.Name, intrabar))
		require.Equal(t, http.StatusCreated, a.status, string(a.body))
		made := into[types.Run](t, a)
		if intrabar != "" {
			require.Contains(t, string(made.Spec), "follow the bars of intrabar_dataset")
		}
		trades := into[types.List[types.Trade]](t, r.do(http.MethodGet, "/backtests/runs/"+made.RunID+"/trades", ""))
		require.Len(t, trades.Items, 1)
		return trades.Items[0]
	}
	require.InDelta(t, 95, run("").ExitPrice, 1e-9)
	require.InDelta(t, 105, run(`,"intrabar_dataset":"halves"`).ExitPrice, 1e-9)

	// A worker reads the bars inside again, by the id that the tune has pinned.
	r.startWorker()
	tune := func(key, intrabar string) types.Tune {
		made := r.endedTune("/backtests/tune", fmt.Sprintf(`{"dataset":"hours","strategy_name":%q,"param_space":{"Stop":[94,95]},
			"objective_type":"return","gates":{"max_drawdown_pct":90,"min_trades":1}%s}`, script.Name, intrabar), key)
		require.Equal(t, types.TuneCompleted, made.Status, "%v", made.Error)
		require.NotNil(t, made.BestScore)
		return made
	}
	require.Negative(t, *tune("assumed", "").BestScore)
	followed := tune("followed", `,"intrabar_dataset":"halves"`)
	require.Positive(t, *followed.BestScore)
	require.Contains(t, strings.Join(followed.Warnings, "\n"), "follow the bars of intrabar_dataset")

	for name, want := range map[string]string{
		"hours": "is the dataset itself", "foreign": "is of the symbol", "others": "is not of the same prices", "none": "is not the id or name",
	} {
		a := r.do(http.MethodPost, "/backtests/run", fmt.Sprintf(`{"dataset":"hours","strategy_name":%q,"intrabar_dataset":%q}`, script.Name, name))
		require.GreaterOrEqual(t, a.status, 400, name)
		require.Contains(t, string(a.body), want, name)
		require.Contains(t, string(a.body), "intrabar_dataset", name)
	}
}
