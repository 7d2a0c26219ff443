package pine

import (
	"testing"

	"millrace/jobs/backtest"
)

// Products that are added or subtracted become one instruction each, in whichever order they stand, and give what the
// two instructions give.
func TestSumsAndDifferencesOfProductsAreOneInstruction(t *testing.T) {
	bars := barsOf(t, 10, 11, 12, 13, 14, 15)
	for _, c := range []struct {
		expression string
		op         opcode
		want       float64 // with no closed trade k is 2
	}{
		{"k * 3 + 100", opMulAdd, 106},
		{"100 + k * 3", opMulAdd, 106},
		{"k * 30 - 7", opMulSub, 53},
		{"100 - k * 3", opSubMul, 94},
		{"strategy.initial_capital / 10000 - k * -3", opSubMul, 106},
	} {
		source := v6 + "k = strategy.closedtrades + 2\nq = " + c.expression + "\nif bar_index == 1\n    strategy.entry(\"L\", strategy.long, qty=q)\nif bar_index == 3\n    strategy.close(\"L\")\n"
		for _, plain := range []bool{false, true} {
			run, err := mustCompile(t, source).NewRun(bars, Market{})
			if err != nil {
				t.Fatal(err)
			}
			run.plain = plain
			if err := run.Prepare(run.program.Defaults()); err != nil {
				t.Fatal(err)
			}
			trades, err := run.Trades(backtest.Window{From: 0, To: bars.Len()})
			if err != nil || len(trades) != 1 || trades[0].Size != c.want {
				t.Errorf("%s, plain %v: trades %+v, error %v, want a quantity of %v", c.expression, plain, trades, err, c.want)
			}
			if plain {
				continue
			}
			found := 0
			for _, in := range run.residue.c.instrs {
				if in.op == c.op {
					found++
				}
			}
			if found != 1 {
				t.Errorf("%s: %d instructions of the fused form, want 1", c.expression, found)
			}
		}
	}
}
