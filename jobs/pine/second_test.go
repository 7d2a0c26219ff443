package pine_test

import (
	"math"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"millrace/jobs/pine"
)

// secondVariable names a folder of the platform's trade lists over other instruments: slippage, sizes in
// percent of equity, point values. It is not part of this repository; the scripts below are ours.
const secondVariable = "MILLRACE_PINE_SECOND"

// secondCase is one of its lists and a script of ours that trades by the same rules.
type secondCase struct {
	name   string
	bars   string // folder of the bars, "" the case's own
	market pine.Market
	script string
}

func secondCases() []secondCase {
	euro := pine.Market{Tick: 0.00001, LotStep: 0.1, Ticker: "EURUSD", Type: "forex", Currency: "USD"}
	oil := pine.Market{Tick: 0.025, LotStep: 1, PointValue: 500, Ticker: "QM1!", Type: "futures", Currency: "USD"}
	return []secondCase{
		{"barupdn", "", euro, `//@version=6
strategy("bars up and down", default_qty_type=strategy.percent_of_equity, default_qty_value=10, initial_capital=1000000)
strategy.risk.max_intraday_loss(1, strategy.percent_of_equity)
if close > open and open > close[1]
    strategy.entry("BarUp", strategy.long)
if close < open and open < close[1]
    strategy.entry("BarDn", strategy.short)
`},
		{"bollinger", "barupdn", euro, `//@version=6
strategy("bands")
[_, upper, lower] = ta.bb(close, 20, 2.0)
if ta.crossover(close, lower)
    strategy.entry("BBandLE", strategy.long, stop=lower, oca_name="bands", oca_type=strategy.oca.cancel)
else
    strategy.cancel("BBandLE")
if ta.crossunder(close, upper)
    strategy.entry("BBandSE", strategy.short, stop=upper, oca_name="bands", oca_type=strategy.oca.cancel)
else
    strategy.cancel("BBandSE")
`},
		{"channelbreakout", "barupdn", euro, `//@version=6
strategy("channel breakout")
up = ta.highest(high, 5)
down = ta.lowest(low, 5)
if not na(close[5])
    strategy.entry("ChBrkLE", strategy.long, stop=up + syminfo.mintick)
strategy.entry("ChBrkSE", strategy.short, stop=down - syminfo.mintick)
`},
		{"keltnerchannel", "barupdn", euro, `//@version=6
strategy("channels around an average")
middle = ta.ema(close, 20)
width = 2.0 * ta.atr(10)
aboveUpper = ta.crossover(close, middle + width)
belowLower = ta.crossunder(close, middle - width)
var buyPrice = 0.0
var sellPrice = 0.0
var buying = false
var selling = false
if aboveUpper
    buyPrice := high + syminfo.mintick
    buying := true
if belowLower
    sellPrice := low - syminfo.mintick
    selling := true
if buying and (close < middle or high >= buyPrice)
    strategy.cancel("KltChLE")
if aboveUpper
    strategy.entry("KltChLE", strategy.long, stop=buyPrice)
if selling and (close > middle or low <= sellPrice)
    strategy.cancel("KltChSE")
if belowLower
    strategy.entry("KltChSE", strategy.short, stop=sellPrice)
`},
		{"rsi", "barupdn", euro, `//@version=6
strategy("strength")
r = ta.rsi(close, 14)
up = ta.crossover(r, 30)
down = ta.crossunder(r, 70)
if up
    strategy.entry("RsiLE", strategy.long)
if down
    strategy.entry("RsiSE", strategy.short)
`},
		{"macd", "barupdn", euro, `//@version=6
strategy("averages apart")
line = ta.ema(close, 12) - ta.ema(close, 26)
delta = line - ta.ema(line, 9)
if ta.crossover(delta, 0)
    strategy.entry("MacdLE", strategy.long)
if ta.crossunder(delta, 0)
    strategy.entry("MacdSE", strategy.short)
`},
		{"supertrend", "barupdn", euro, `//@version=6
strategy("trend", default_qty_type=strategy.percent_of_equity, default_qty_value=15, initial_capital=1000000)
[_, direction] = ta.supertrend(3.0, 10)
if ta.change(direction) < 0
    strategy.entry("L", strategy.long)
if ta.change(direction) > 0
    strategy.entry("S", strategy.short)
`},
		{"slippage_basic", "barupdn", euro, `//@version=6
strategy("market orders that slip", initial_capital=10000, slippage=10, commission_value=0.1)
if bar_index == 10
    strategy.entry("Long", strategy.long)
if bar_index == 20
    strategy.close("Long")
if bar_index == 40
    strategy.entry("Short", strategy.short)
if bar_index == 50
    strategy.close("Short")
`},
		{"slippage_direction", "", euro, `//@version=6
strategy("reversals that slip", initial_capital=10000, slippage=15, commission_value=0.1)
since = bar_index - 20
if since >= 0 and since % 10 == 0
    if since % 20 == 0
        strategy.entry("Long", strategy.long)
    else
        strategy.entry("Short", strategy.short)
`},
		{"slippage_limit", "", euro, `//@version=6
strategy("limits do not slip", initial_capital=10000, slippage=20, commission_value=0.1)
fast = ta.sma(close, 10)
slow = ta.sma(close, 20)
if ta.crossover(fast, slow)
    strategy.entry("Long", strategy.long, limit=close * (1 - 0.5 / 100))
if ta.crossunder(fast, slow)
    strategy.entry("Short", strategy.short, limit=close * (1 + 0.5 / 100))
if strategy.position_size > 0
    strategy.exit("Long Stop", "Long", stop=strategy.position_avg_price * (1 - 1.0 / 100))
if strategy.position_size < 0
    strategy.exit("Short Stop", "Short", stop=strategy.position_avg_price * (1 + 1.0 / 100))
`},
		{"slippage_pyramiding", "", euro, `//@version=6
strategy("entries that slip", initial_capital=10000, pyramiding=3, slippage=5, commission_value=0.1, default_qty_type=strategy.percent_of_equity, default_qty_value=10)
since = bar_index - 20
if since >= 0 and since <= 10 and since % 5 == 0
    strategy.entry("Long " + str.tostring(since), strategy.long)
if since == 20
    strategy.close_all()
`},
		{"futures_pnl", "", oil, `//@version=6
strategy("averages cross", initial_capital=100000)
fast = ta.sma(close, 10)
slow = ta.sma(close, 30)
if ta.crossover(fast, slow)
    strategy.entry("L", strategy.long)
if ta.crossunder(fast, slow)
    strategy.entry("S", strategy.short)
`},
	}
}

func TestTradesOfOtherInstrumentsEqualThePlatforms(t *testing.T) {
	dir := os.Getenv(secondVariable)
	if dir == "" {
		t.Skipf("%s names no folder: slippage, percent sizes and point values are NOT compared with the platform's", secondVariable)
	}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secondCases() {
		t.Run(s.name, func(t *testing.T) {
			folder := s.bars
			if folder == "" {
				folder = s.name
			}
			bars := readParityBars(t, filepath.Join(dir, folder, "bars.csv.xz"), "time_ms")
			s.market.Zone = zone
			c := &parityCase{ID: s.name, source: s.script, trades: readSecondTrades(t, filepath.Join(dir, s.name, "trades.csv.xz"))}
			mine, err := play(c, bars, s.market)
			if err != nil {
				t.Fatal(err)
			}
			sort.SliceStable(mine, func(i, j int) bool { return mine[i].exitTime < mine[j].exitTime })
			v := verdict{c: c}
			compareTrades(&v, c, mine, s.market.Tick)
			t.Logf("%-9s %6.2f %% %s: %s", v.kind, 100*v.share, s.name, v.reason)
			if v.kind != "exact" {
				t.Errorf("%s: %s", v.kind, v.reason)
			}
			compareProfits(t, c.trades, mine)
		})
	}
}

// compareProfits reports the first profit that differs by more than the platform's rounding. The lists
// may hold rows of one exit in different orders; only rows of the same bars are compared.
func compareProfits(t *testing.T, want, got []parityTrade) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		w, g := want[i], got[i]
		if w.pair() == g.pair() && math.Abs(w.profit-g.profit) > w.rounding {
			t.Errorf("profit of %s is %v, ours %v", w.String(), w.profit, g.profit)
			return
		}
	}
}

// rounding is how far a number may be from what was printed as text.
func rounding(text string) float64 {
	_, decimals, _ := strings.Cut(text, ".")
	return 0.51 * math.Pow(10, -float64(len(decimals)))
}

// readSecondTrades reads a list of this set.
func readSecondTrades(t *testing.T, path string) []parityTrade {
	t.Helper()
	columns := table(t, path)
	var trades []parityTrade
	for i := range columns["n"] {
		if signal := columns["exit_signal"][i]; signal == "" || signal == "Open" {
			continue
		}
		get := func(name string) float64 { return number(t, columns[name][i]) }
		trades = append(trades, parityTrade{
			long: columns["side"][i] == "long", qty: get("qty"), entryTime: int64(get("entry_ms")) / 1000, exitTime: int64(get("exit_ms")) / 1000,
			entryPrice: get("entry_price"), exitPrice: get("exit_price"), profit: get("pnl"), rounding: rounding(columns["pnl"][i]),
			entryName: columns["entry_signal"][i], exitName: columns["exit_signal"][i],
		})
	}
	return trades
}
