package pine

import (
	"testing"

	"millrace/jobs/backtest"
)

// Scripts whose state moves on bars without a position, each in a way that skipping a bar too many would change.
var idleScripts = map[string]string{
	"a counter that an entry waits for": `
var n = 0
n := strategy.position_size == 0 ? n + 1 : 0
if bar_index % 7 == 3 and n > 4
    strategy.entry("L", strategy.long)
if strategy.position_size > 0
    strategy.close("L")
`,
	"state that takes two bars to come to rest": `
var a = 0.0
var b = 0.0
if strategy.position_size == 0
    b := a
    a := 1.0
else
    a := 0.0
    b := 0.0
if ta.crossover(close, ta.sma(close, 5)) and b > 0
    strategy.entry("L", strategy.long)
if strategy.position_size > 0
    strategy.close("L")
`,
	"a condition that the first bar decides": `
var n = 0
var early = bar_index == 0 and strategy.position_size == 0
if strategy.position_size > 0
    n += 1
    if n % 3 == 0
        strategy.close("L")
if early and bar_index % 7 == 3
    strategy.entry("L", strategy.long)
`,
	"a level that a column sets between trades": `
var level = 0.0
if close < ta.lowest(close[1], 5) and strategy.position_size == 0
    level := high
if strategy.position_size > 0
    level := 0.0
    strategy.close("L")
if level > 0 and ta.crossover(close, ta.sma(close, 3))
    strategy.entry("L", strategy.long)
`,
	"the other side of a column's condition": `
var n = 0
if close > open
    n := 0
else
    n += 1
if strategy.position_size > 0
    n := 10
    strategy.close("L")
if n > 2 and bar_index % 5 == 0
    strategy.entry("L", strategy.long)
`,
	"days in a row with a loss": `
strategy.risk.max_cons_loss_days(2)
if bar_index % 250 == 3
    strategy.entry("L", strategy.long)
if bar_index % 250 == 5
    strategy.close("L")
`,
}

func TestIdleBarsAreSkippedOnlyWhereNothingChanges(t *testing.T) {
	for name, lines := range idleScripts {
		t.Run(name, func(t *testing.T) {
			traded := 0
			for seed := range uint64(4) {
				bars := walkBars(seed, 3000)
				p := mustCompile(t, v6+lines)
				traded += compareWays(t, lines, p.NewColumns(bars, Market{}), p.Defaults(), backtest.Window{From: int(seed) * 3, To: bars.Len()})
			}
			if traded < 10 {
				t.Errorf("only %d trades", traded)
			}
		})
	}
	if p := mustCompile(t, residueScript); !p.plan.idle.possible {
		t.Error("a script that trails its position runs on every bar without one")
	}
}
