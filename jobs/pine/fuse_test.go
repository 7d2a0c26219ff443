package pine

import (
	"reflect"
	"testing"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/broker"
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

// A branch on a conjunction leaves it at the first false condition. What is read elsewhere too is still computed, and the
// order in which the conditions are computed does not matter.
func TestConjunctionsAreLeftAtTheirFirstFalseCondition(t *testing.T) {
	bars := barsOf(t, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20)
	for name, c := range map[string]struct {
		declared, condition string
		jumps               bool
	}{
		"three conditions":           {"", "n > 2 and n < 6 and strategy.closedtrades == 0", true},
		"read elsewhere":             {"early = n < 6\nlate = n > 2\n", "late and early", false},
		"computed the other way":     {"", "strategy.closedtrades == 0 and (n < 6 and n > 2)", false},
		"the same condition twice":   {"both = n > 2 and n > 2\n", "both and n < 6", true},
		"a condition that is na":     {"", "n > 2 and n < 6 and not (na(strategy.closedtrades) and n > 2)", false},
		"a disjunction among them":   {"", "(n > 2 or n > 99) and n < 6", true},
		"with another side to go to": {"", "n > 2 and n < 6", true},
	} {
		source := v6 + "var int n = 0\nvar int others = 0\nn += strategy.equity > 0 ? 1 : 0\n" + c.declared +
			"if " + c.condition + "\n    strategy.entry(\"L\", strategy.long, qty=n)\nelse\n    others += 1\n" +
			"if n == 7\n    strategy.close(\"L\")\n"
		if name == "read elsewhere" { // what the branch read is read after it
			source += "if not early\n    others += 10\nif not late\n    others += 100\n"
		}
		source += "if n == 8\n    strategy.entry(\"O\", strategy.long, qty=others)\nif n == 10\n    strategy.close(\"O\")\n"
		var got [2][]broker.Trade
		for i, plain := range []bool{false, true} {
			run, err := mustCompile(t, source).NewRun(bars, Market{})
			if err != nil {
				t.Fatal(err)
			}
			run.plain = plain
			if err := run.Prepare(run.program.Defaults()); err != nil {
				t.Fatal(err)
			}
			if got[i], err = run.Trades(backtest.Window{From: 0, To: bars.Len()}); err != nil {
				t.Fatal(err)
			}
			if plain {
				continue
			}
			ands := 0
			for _, in := range run.residue.c.instrs {
				if in.op == opJumpAnd {
					ands++
				}
			}
			if c.jumps && ands > 0 {
				t.Errorf("%s: %d conjunctions are computed whole", name, ands)
			}
		}
		if len(got[0]) < 2 || !reflect.DeepEqual(got[0], got[1]) {
			t.Errorf("%s: trades %+v, without jumps %+v", name, got[0], got[1])
		}
	}
}
