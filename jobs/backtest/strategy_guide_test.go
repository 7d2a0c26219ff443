package backtest

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// momentum follows the change of the close over some bars.
type momentum struct{}

func (momentum) Name() string { return "momentum" }

func (momentum) Doc() string {
	return "Long while the close is above that of some bars before, short below."
}

func (momentum) Params() []ParamSpec {
	return []ParamSpec{
		{Name: "lookback", Kind: KindInt, Default: 20, Min: 1, Max: 5000, Step: 1, Doc: "bars between the two closes"},
	}
}

func (s momentum) Trader(c *IndicatorCache, cfg Config) Trader { return c.NewRunner(s, cfg) }

func (momentum) Signals(ind *Indicators, p Params, out *Signals) {
	closes, lookback := ind.Bars().Close, int(p[0])
	for i := lookback; i < len(closes); i++ {
		switch {
		case closes[i] > closes[i-lookback]:
			out.Long(i)
		case closes[i] < closes[i-lookback]:
			out.Short(i)
		}
	}
}

func TestStrategyGuideQuotesCodeThatTrades(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("strategy_guide_test.go")
	require.NoError(t, err)
	_, code, _ := strings.Cut(string(source), "// momentum follows")
	code, _, _ = strings.Cut(code, "\nfunc TestStrategyGuide")
	guide, err := os.ReadFile("../../ops/docs/strategies.md")
	require.NoError(t, err)
	require.Contains(t, string(guide), "```go\npackage backtest\n\n// momentum follows"+code+"```\n",
		"ops/docs/strategies.md must quote the strategy of this file")

	closes := []float64{10, 11, 12, 11, 9, 8, 9, 12, 13}
	time := make([]int64, len(closes))
	for i := range time {
		time[i] = int64(i) * microsPerDay
	}
	bars, err := NewBars(time, closes, closes, closes, closes, make([]float64, len(closes)))
	require.NoError(t, err)
	params, faults := CheckParams(momentum{}, map[string]float64{"lookback": 2})
	require.Empty(t, faults)
	r := NewRunner(bars, momentum{}, Config{Side: SideBoth, Account: DefaultAccount(), Policy: PolicyWorst, Calendar: CalendarExchange})
	r.Prepare(params)
	trades, _ := r.Trace(Window{To: bars.Len()})
	require.Len(t, trades, 3, "long, short, long")
}
