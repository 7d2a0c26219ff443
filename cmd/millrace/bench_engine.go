package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
	"millrace/ops/routine"
)

// benchEngine times trials of each strategy on one core, signals, fills and every metric, at the default
// parameters: alone, and side by side as a sweep runs them. Each is the fastest of several, which other work on the
// machine disturbs least. Opening ranges need several bars a day.
func benchEngine(ctx context.Context, found *figures, days, minutes *backtest.Bars) error {
	for _, strategy := range backtest.Strategies() {
		bars := days
		if strategy.Name() == "orb" {
			bars = minutes
		}
		alone, together, err := benchTrials(ctx, strategy, bars, benchConfig(nil))
		if err != nil {
			return err
		}
		found.add(strategy.Name(), "ns/bar", alone)
		found.add(strategy.Name()+", side by side", "ns/bar", together)
		if strategy.Name() != "sma_cross" {
			continue
		}
		found.ratio("sma_cross, alone / side by side", alone/together)
		stopped, _, err := benchTrials(ctx, strategy, bars, benchConfig(&backtest.Stops{StopPct: 5, TargetPct: 10}))
		if err != nil {
			return err
		}
		found.add("sma_cross with stops", "ns/bar", stopped)
		found.ratio("sma_cross, without / with stops", alone/stopped)
	}
	return nil
}

// benchTrials times one trial alone, and each of as many as run side by side, in nanoseconds a bar.
func benchTrials(ctx context.Context, strategy backtest.Strategy, bars *backtest.Bars, cfg backtest.Config) (alone, together float64, err error) {
	cache := backtest.NewIndicatorCache(bars)
	window := backtest.Window{To: bars.Len()}
	var runners [backtest.Lanes]*backtest.Runner
	var metrics [backtest.Lanes]*backtest.Metrics
	var params [backtest.Lanes]backtest.Params
	for i := range runners {
		runner, ok := strategy.Trader(cache, cfg).(*backtest.Runner)
		if !ok {
			return 0, 0, fmt.Errorf("strategy %s has no runner", strategy.Name())
		}
		runners[i], metrics[i] = runner, new(backtest.Metrics)
		for _, spec := range strategy.Params() {
			value := spec.Default
			if spec.Kind == backtest.KindInt {
				value += float64(i)
			}
			params[i] = append(params[i], value)
		}
	}
	one, err := fastest(ctx, func() {
		runners[0].Prepare(params[0])
		runners[0].Simulate(window, metrics[0])
	})
	if err != nil {
		return 0, 0, err
	}
	all, err := fastest(ctx, func() {
		for i, r := range runners {
			r.Prepare(params[i])
		}
		backtest.SimulateTogether(runners[:], window, metrics[:])
	})
	a := float64(bars.Len())
	return float64(one.Nanoseconds()) / a, float64(all.Nanoseconds()) / a / backtest.Lanes, err
}

// fastest is the shortest time of many runs.
func fastest(ctx context.Context, run func()) (time.Duration, error) {
	best := time.Duration(0)
	for end := time.Now().Add(50 * time.Millisecond); best == 0 || time.Now().Before(end); {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		start := time.Now()
		run()
		if took := time.Since(start); best == 0 || took < best {
			best = took
		}
	}
	return best, nil
}

// computedAlone is the figure of benchCompute.
const computedAlone = "tune, computed alone"

// benchCompute times the trials of the tune without queue or database, on every core.
func benchCompute(ctx context.Context, found *figures, bars *backtest.Bars, body types.TuneRequest) error {
	space := map[string]sweep.Range{}
	for name, r := range body.ParamSpace {
		space[name] = sweep.Range{Low: r.Low, High: r.High}
	}
	plan, faults := sweep.NewPlan(sweep.Spec{
		StrategyName: body.StrategyName, SearchType: sweep.Search(body.SearchType), NTrials: body.NTrials, Seed: body.Seed,
		OOSRatio: body.OOSRatio, ParamSpace: space, Gates: sweep.GateLimits(body.Gates),
	}, bars, backtest.CalendarExchange)
	if len(faults) > 0 {
		return fmt.Errorf("plan the tune: %v", faults)
	}
	start := time.Now()
	group, ctx := routine.NewGroup(ctx)
	group.Limit(runtime.NumCPU())
	for _, shard := range plan.Shards(max(1, plan.Trials()/(8*runtime.NumCPU()))) {
		group.Run(func() error {
			_, err := plan.RunShard(ctx, shard, func(int) {})
			return err
		})
	}
	err := group.Wait()
	found.add(computedAlone, "trials/s", float64(plan.Trials())/time.Since(start).Seconds())
	return err
}
