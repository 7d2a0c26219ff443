package pine

import (
	"slices"
	"strings"
	"testing"

	"millrace/jobs/backtest"
)

const refill = "//@version=6\nstrategy(\"t\", calc_on_order_fills=true, pyramiding=9, margin_long=0, margin_short=0)\n"

// Bars of 10, 11, 12, … are O-L-H-C: bar k opens at 9+k, falls to 8.5+k and rises to 10.5+k.
func TestOrdersAfterFillsWorkOnTheRestOfTheBar(t *testing.T) {
	bars := barsOf(t, 10, 11, 12, 13, 14, 15)
	for _, c := range []struct{ name, script, want string }{
		// Decided on bar 1, filled at the open of bar 2; closed at that open by the calculation after the fill.
		{"a close after the entry", "if bar_index == 1 and strategy.position_size == 0 and strategy.closedtrades == 0\n    strategy.entry(\"L\", strategy.long)\nif strategy.position_size > 0\n    strategy.close(\"L\")", "L 2@11-2@11"},
		{"a bracket from the entry's own price", "if bar_index == 1\n    strategy.entry(\"L\", strategy.long)\nif strategy.position_size > 0\n    strategy.exit(\"X\", \"L\", limit=strategy.position_avg_price + 1.25)", "L 2@11-2@12.25"},
		{"variables go back before a bar is calculated again", "var n = 0\nn += 1\nif bar_index == 1\n    strategy.entry(\"L\", strategy.long)\nif strategy.position_size > 0 and n == bar_index + 1 and bar_index == 3\n    strategy.close(\"L\")", "L 2@11-4@13"},
		{"arrays go back too", "var a = array.new_int()\na.push(bar_index)\nif bar_index == 1\n    strategy.entry(\"L\", strategy.long)\nif strategy.position_size > 0 and a.size() == 4\n    strategy.close(\"L\")", "L 2@11-4@13"},
		{"histories go back too", "x = strategy.position_size * 1\nif bar_index == 1\n    strategy.entry(\"L\", strategy.long)\nif x > 0 and x[1] > 0\n    strategy.close(\"L\")", "L 2@11-4@13"},
		{"laws go back too", "n = ta.cum(strategy.position_size > 0 ? 1 : 0)\nif bar_index == 1\n    strategy.entry(\"L\", strategy.long)\nif n == 2\n    strategy.close(\"L\")", "L 2@11-4@13"},
	} {
		got, err := tradesOf(t, refill+c.script+"\n", bars)
		if err != nil || got != c.want {
			t.Errorf("%s: %q, error %v, want %q", c.name, got, err, c.want)
		}
	}
}

func TestProcessingOrdersOnTheCloseLeavesNothingToCalculateAgain(t *testing.T) {
	bars := barsOf(t, 10, 11, 12, 13, 14, 15)
	script := "if bar_index == 1\n    strategy.entry(\"L\", strategy.long)\nif bar_index == 3\n    strategy.close(\"L\")\n"
	with, err := tradesOf(t, strings.Replace(refill, "pyramiding=9", "process_orders_on_close=true", 1)+script, bars)
	if want := "L 1@11-3@13"; err != nil || with != want {
		t.Errorf("%q, error %v, want %q", with, err, want)
	}
}

// Random scripts trade alike whether all or only what needs the broker is calculated again.
func TestHoistedRunsCalculateAgainAsPlainOnes(t *testing.T) {
	bars := walkBars(7, 300)
	w := backtest.Window{From: 0, To: bars.Len()}
	traded := 0
	for seed := range uint64(60) {
		source := strings.Replace(randomScript(seed), "strategy(\"random\",", "strategy(\"random\", calc_on_order_fills=true,", 1)
		p := mustCompile(t, source)
		columns := p.NewColumns(bars, Market{})
		plain, equity, plainErr := runAs(t, columns, nil, w, func(r *Run) { r.plain = true })
		hoisted, hoistedEquity, hoistedErr := runAs(t, columns, nil, w, func(*Run) {})
		if !sameError(plainErr, hoistedErr) || !slices.Equal(plain, hoisted) || plainErr == nil && !slices.Equal(equity, hoistedEquity) {
			t.Fatalf("script %d: hoisted run differs (%v, %v): %s\n%s", seed, plainErr, hoistedErr, firstDifference(plain, hoisted), source)
		}
		traded += len(plain)
	}
	if traded < 100 {
		t.Fatalf("the scripts test too little: %d trades", traded)
	}
}
