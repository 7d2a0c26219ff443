package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"time"

	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/sweep"
)

// benchCmd is the verb `bench`: what this machine does, for sizing a fleet. It has a throwaway
// Postgres of its own, whatever DATABASE_URL says, so that it never adds load to a fleet's.
type benchCmd struct {
	Rounds      int    `default:"3" help:"Rounds. Each measures everything once, what is compared one right after the other; medians are printed."`
	Bars        int    `default:"50000" help:"Synthetic daily bars that everything runs over."`
	Trials      int    `default:"20000" help:"Trials of the tune, at most 20000."`
	Submissions int    `default:"1000" help:"Tunes, and as many ingestions and a quarter as many walk-forwards, that 8 clients submit to one workspace in a round."`
	Jobs        int    `default:"10000" help:"Jobs that do nothing, worked in a round by each of three fleets."`
	Against     string `help:"File of the least that ratios may be; a smaller median is an error."`
}

// Validate is called by kong.
func (c *benchCmd) Validate() error {
	for _, n := range []struct {
		flag             string
		got, least, most int
	}{
		{"--rounds", c.Rounds, 1, 100}, {"--bars", c.Bars, 1000, 5_000_000}, {"--trials", c.Trials, 100, 20_000},
		{"--submissions", c.Submissions, 16, 20_000}, {"--jobs", c.Jobs, 1000, 1_000_000},
	} {
		if n.got < n.least || n.got > n.most {
			return fmt.Errorf("%s is %d, not from %d to %d", n.flag, n.got, n.least, n.most)
		}
	}
	return nil
}

// Run measures in rounds, so that what else the machine does meets every figure alike, and prints medians.
func (c *benchCmd) Run(ctx context.Context, env *environment) error {
	least, err := readLeast(c.Against)
	if err != nil {
		return err
	}
	quiet := *env
	quiet.stdout = io.Discard
	quiet.logger = slog.New(slog.NewTextHandler(env.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var found figures
	err = serve(ctx, &quiet, 30*time.Second, func(life *lifecycle) error {
		defer stop()
		return c.rounds(ctx, life, env, &quiet, &found)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "%d cores, %d synthetic daily bars (orb: of 5 minutes), seed 1; median of %d rounds, and the least and the most\n\n", runtime.NumCPU(), c.Bars, c.Rounds)
	return errors.Join(found.print(env.stdout), found.hold(least))
}

func (c *benchCmd) rounds(ctx context.Context, life *lifecycle, env, quiet *environment, found *figures) error {
	days, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: c.Bars})
	if err != nil {
		return err
	}
	minutes, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: c.Bars, Interval: 5 * time.Minute})
	if err != nil {
		return err
	}
	body := c.tune()
	service, err := newBenchService(ctx, life, quiet, days)
	if err != nil {
		return err
	}
	jobs, err := newBenchQueue(ctx, life, service.cluster)
	if err != nil {
		return err
	}
	kinds := service.submissionsOf(body, c.Bars)
	for round := range c.Rounds {
		fmt.Fprintf(env.stderr, "round %d of %d\n", round+1, c.Rounds)
		for _, part := range []func() error{
			func() error { return benchEngine(ctx, found, days, minutes) },
			func() error { return benchCompute(ctx, found, days, body) },
			func() error { return service.tune(ctx, found, body) },
			func() error { return service.submissions(ctx, found, kinds[0], c.Submissions) },
			func() error { return service.submissions(ctx, found, kinds[1], c.Submissions/4) },
			func() error { return service.submissions(ctx, found, kinds[2], c.Submissions) },
			func() error { return jobs.measure(ctx, found, c.Jobs, round) },
		} {
			if err := part(); err != nil {
				return err
			}
		}
	}
	return nil
}

// tune is the one that is measured.
func (c *benchCmd) tune() types.TuneRequest {
	between := func(low, high float64) types.ParamRange {
		return types.ParamRange{RangeObject: types.RangeObject{Low: &low, High: &high}}
	}
	return types.TuneRequest{Dataset: "bench", Spec: types.Spec{
		StrategyName: "sma_cross", SearchType: types.SearchType(sweep.SearchRandom),
		NTrials: &c.Trials, Seed: new(uint64(1)), OOSRatio: new(0.3), Gates: types.GateLimits{MaxDrawdownPct: new(95.0)},
		ParamSpace: map[string]types.ParamRange{"fast": between(2, 101), "slow": between(102, 301)},
	}}
}

// benchConfig is an account that lives to the last bar.
func benchConfig(stops *backtest.Stops) backtest.Config {
	cfg := backtest.Config{Side: backtest.SideBoth, Account: backtest.DefaultAccount(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange, Stops: stops}
	cfg.Account.Size, cfg.Account.WholeUnits = 0.1, false
	return cfg
}
