package sweep_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/pricefile"
	"millrace/jobs/sweep"
)

// A tune is planned, cut into shards that run anywhere and in any order, and collected.
func Example() {
	bars, err := pricefile.Sample()
	if err != nil {
		log.Fatal(err)
	}
	plan, faults := sweep.NewPlan(sweep.Spec{
		StrategyName: "sma_cross",
		ParamSpace: map[string]sweep.Range{
			"fast": {Low: new(5.0), High: new(50.0), Step: new(5.0)},
			"slow": {Values: []float64{50, 100, 200}},
		},
		Constraints: []string{"fast < slow"},
		OOSRatio:    new(0.3),
	}, bars, backtest.CalendarExchange)
	if len(faults) > 0 {
		log.Fatal(faults)
	}
	type stored struct{ columns, top, stats []byte }
	shards, results := plan.Shards(10), map[int]stored{}
	for i, shard := range shards {
		result, err := plan.RunShard(context.Background(), shard, func(int) {})
		if err != nil {
			log.Fatal(err)
		}
		var s stored
		if s.columns, s.top, s.stats, err = result.Encode(); err != nil {
			log.Fatal(err)
		}
		results[i] = s
	}
	out, err := sweep.Collect(plan, shards, func(shard int) (columns, top, stats []byte, err error) {
		s := results[shard]
		return s.columns, s.top, s.stats, nil
	})
	if err != nil {
		log.Fatal(err)
	}
	best := out.Leaderboard[0]
	fmt.Printf("%d of %d trials pass the gates\n", out.Counts.Completed, plan.Trials())
	fmt.Printf("best: fast %v, slow %v\n", best.Params["fast"], best.Params["slow"])
	fmt.Printf("Sharpe %.2f in sample, %.2f out of sample\n", *best.ScoreIS, *best.ScoreOOS)
	fmt.Printf("deflated Sharpe ratio %.2f, probability of overfitting %.2f\n", *out.Overfit.DSR, *out.Overfit.PBO)
	// Output:
	// 29 of 29 trials pass the gates
	// best: fast 40, slow 200
	// Sharpe 0.55 in sample, -0.23 out of sample
	// deflated Sharpe ratio 0.63, probability of overfitting 0.34
}

// Check names every field that is invalid, without bars.
func ExampleSpec_Check() {
	spec := sweep.Spec{
		StrategyName: "sma_cross",
		ParamSpace:   map[string]sweep.Range{"fast": {Values: []float64{5}}, "pace": {Values: []float64{1}}},
		Constraints:  []string{"fast < slow)"},
		OOSRatio:     new(0.9),
	}
	for _, fault := range spec.Check() {
		fmt.Println(fault)
	}
	// Output:
	// oos_ratio: must be above 0 and at most 0.5, or null for no split
	// constraints[0]: cannot be read at column 12: unexpected token Bracket(")")
	// param_space.pace: sma_cross has no such parameter
}

// Folds cuts the bars of a walk-forward into training and test windows.
func ExampleWFOConfig_Folds() {
	bars, err := pricefile.Sample()
	if err != nil {
		log.Fatal(err)
	}
	config := sweep.WFOConfig{TrainDays: new(1460), TestDays: new(730)}
	config.Normalize()
	folds, _, faults := config.Folds(bars)
	if len(faults) > 0 {
		log.Fatal(faults)
	}
	date := func(t time.Time) string { return t.Format(time.DateOnly) }
	for _, fold := range folds[:3] {
		fmt.Printf("train %s to %s (%d bars), test to %s (%d bars)\n",
			date(fold.TrainStart), date(fold.TrainEnd), fold.TrainBars, date(fold.TestEnd), fold.TestBars)
	}
	fmt.Println(len(folds), "folds")
	// Output:
	// train 2000-01-03 to 2004-01-02 (1004 bars), test to 2006-01-01 (504 bars)
	// train 2002-01-02 to 2006-01-01 (1008 bars), test to 2008-01-01 (502 bars)
	// train 2004-01-02 to 2008-01-01 (1006 bars), test to 2009-12-31 (504 bars)
	// 8 folds
}

// Size counts the trials of a spec without its bars.
func ExampleSize() {
	n, faults := sweep.Size(sweep.Spec{
		StrategyName: "sma_cross",
		ParamSpace: map[string]sweep.Range{
			"fast": {Low: new(5.0), High: new(50.0), Step: new(5.0)},
			"slow": {Values: []float64{20, 50}},
		},
		Constraints: []string{"fast < slow"},
	})
	fmt.Println(n, len(faults))
	// Output: 12 0
}
