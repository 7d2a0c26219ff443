package pine

import (
	"testing"

	"millrace/jobs/backtest"
)

// TestColumnsOfManyTrialsStayWithinTheirBytes sweeps more combinations than the cache keeps, of columns of numbers and
// of bits, and counts what it holds.
func TestColumnsOfManyTrialsStayWithinTheirBytes(t *testing.T) {
	for class, source := range map[string]string{"S": crossScript, "B": bracketScript, "P": residueScript} {
		bars := walkBars(3, 500)
		p := mustCompile(t, source)
		columns := p.NewColumns(bars, Market{})
		columns.limit = 100_000
		run, err := columns.NewRun()
		if err != nil {
			t.Fatal(err)
		}
		w := backtest.Window{From: 0, To: bars.Len()}
		first := map[int]int{}
		for i := range 3000 {
			if err := run.Prepare([]float64{float64(2 + i%40), float64(50 + i/40%60), 2}); err != nil {
				t.Fatal(err)
			}
			trades, err := run.Trades(w)
			if err != nil {
				t.Fatal(err)
			}
			if n, known := first[i%2400]; known && n != len(trades) {
				t.Fatalf("class %s: trial %d makes %d trades, and %d when its columns are computed again", class, i%2400, n, len(trades))
			}
			first[i%2400] = len(trades)
			held := 0
			for _, e := range columns.all {
				held += e.bytes
			}
			if held != columns.held || held > columns.limit || len(columns.byKey) != len(columns.all) || len(columns.free) > keepFree {
				t.Fatalf("class %s, trial %d: %d bytes counted as %d, of %d allowed; %d entries of %d; %d free columns", class, i, held, columns.held, columns.limit, len(columns.byKey), len(columns.all), len(columns.free))
			}
		}
	}
}
