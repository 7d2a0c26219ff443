package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"millrace/api/client"
	"millrace/api/types"
	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/sweep"
	"millrace/ops/routine"
)

// benchCmd is the verb `bench`: what this machine does, for sizing a fleet. It has a throwaway
// Postgres of its own, whatever DATABASE_URL says, so that it never adds load to a fleet's.
type benchCmd struct {
	Bars        int `default:"50000" help:"Synthetic daily bars that everything runs over."`
	Trials      int `default:"20000" help:"Trials of the tune, at most 20000."`
	Submissions int `default:"200" help:"Tunes submitted one after the other."`
}

// Validate is called by kong.
func (c *benchCmd) Validate() error {
	for _, n := range []struct {
		flag             string
		got, least, most int
	}{
		{"--bars", c.Bars, 1000, 5_000_000}, {"--trials", c.Trials, 100, 20_000}, {"--submissions", c.Submissions, 10, 10_000},
	} {
		if n.got < n.least || n.got > n.most {
			return fmt.Errorf("%s is %d, not from %d to %d", n.flag, n.got, n.least, n.most)
		}
	}
	return nil
}

// Run measures the engine alone, the same trials on all cores, and then the whole service.
func (c *benchCmd) Run(ctx context.Context, env *environment) error {
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: c.Bars})
	if err != nil {
		return err
	}
	minutes, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: c.Bars, Interval: 5 * time.Minute})
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "%d cores, %d synthetic daily bars (orb: of 5 minutes), seed 1\n\n", runtime.NumCPU(), c.Bars)
	if err := benchEngine(ctx, env.stdout, bars, minutes); err != nil {
		return err
	}
	between := func(low, high float64) types.ParamRange {
		return types.ParamRange{RangeObject: types.RangeObject{Low: &low, High: &high}}
	}
	body := types.TuneRequest{Dataset: "bench", Spec: types.Spec{
		StrategyName: "sma_cross", SearchType: types.SearchType(sweep.SearchRandom),
		NTrials: &c.Trials, Seed: new(uint64(1)), OOSRatio: new(0.3), Gates: types.GateLimits{MaxDrawdownPct: new(95.0)},
		ParamSpace: map[string]types.ParamRange{"fast": between(2, 101), "slow": between(102, 301)},
	}}
	alone, err := benchCompute(ctx, bars, body)
	if err != nil {
		return err
	}
	fmt.Fprintf(env.stdout, "\nA tune of %d sma_cross trials, 70 %% in sample:\n", c.Trials)
	fmt.Fprintf(env.stdout, "  computed alone        %8.0f trials/s on %d cores\n", alone, runtime.NumCPU())
	return c.service(ctx, env, bars, body, alone)
}

// benchEngine times one trial of each strategy on one core, signals, fills and every metric, at the
// default parameters. It is the fastest of several, which other work on the machine disturbs least.
// Opening ranges need several bars a day.
func benchEngine(ctx context.Context, w io.Writer, days, minutes *backtest.Bars) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "strategy\tns/bar\ttrials/s\ttrades\t")
	for _, strategy := range backtest.Strategies() {
		bars := days
		if strategy.Name() == "orb" {
			bars = minutes
		}
		params, _ := backtest.CheckParams(strategy, nil)
		cfg := backtest.Config{Side: backtest.SideBoth, Account: backtest.DefaultAccount(), Policy: backtest.PolicyWorst, Calendar: backtest.CalendarExchange}
		cfg.Account.Size, cfg.Account.WholeUnits = 0.1, false // so that it lives to the last bar
		runner := backtest.NewTrader(bars, strategy, cfg)
		var m backtest.Metrics
		best := time.Duration(0)
		for end := time.Now().Add(300 * time.Millisecond); best == 0 || time.Now().Before(end); {
			if err := ctx.Err(); err != nil {
				return err
			}
			start := time.Now()
			runner.Prepare(params)
			runner.Simulate(backtest.Window{To: bars.Len()}, &m)
			if took := time.Since(start); best == 0 || took < best {
				best = took
			}
		}
		fmt.Fprintf(tw, "%s\t%.1f\t%.0f\t%d\t\n", strategy.Name(), float64(best.Nanoseconds())/float64(bars.Len()), 1/best.Seconds(), m.Trades)
	}
	return tw.Flush()
}

// benchCompute is the trials a second of the tune without queue or database, on every core.
func benchCompute(ctx context.Context, bars *backtest.Bars, body types.TuneRequest) (float64, error) {
	space := map[string]sweep.Range{}
	for name, r := range body.ParamSpace {
		space[name] = sweep.Range{Low: r.Low, High: r.High}
	}
	plan, faults := sweep.NewPlan(sweep.Spec{
		StrategyName: body.StrategyName, SearchType: sweep.Search(body.SearchType), NTrials: body.NTrials, Seed: body.Seed,
		OOSRatio: body.OOSRatio, ParamSpace: space, Gates: sweep.GateLimits(body.Gates),
	}, bars, backtest.CalendarExchange)
	if len(faults) > 0 {
		return 0, fmt.Errorf("plan the tune: %v", faults)
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
	return float64(plan.Trials()) / time.Since(start).Seconds(), err
}

// service measures the same tune through HTTP, queue and database, and then submissions alone.
func (c *benchCmd) service(ctx context.Context, env *environment, bars *backtest.Bars, body types.TuneRequest, alone float64) error {
	quiet := *env
	quiet.stdout = io.Discard
	quiet.logger = slog.New(slog.NewTextHandler(env.stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return serve(ctx, &quiet, 30*time.Second, func(life *lifecycle) error {
		api, err := benchServer(ctx, life, &quiet)
		if err != nil {
			return err
		}
		csv := bytes.Buffer{}
		if err := ohlcv.WriteCSV(&csv, bars); err != nil {
			return err
		}
		fields := map[string]string{"name": "bench", "symbol": "BENCH", "timeframe": "1d", "time_range": "any"}
		if _, err := api.UploadDataset(ctx, client.Bytes("bench.csv", csv.Bytes()), fields); err != nil {
			return err
		}
		if err := benchTune(ctx, env, api, body, alone); err != nil {
			return err
		}
		defer stop()
		return c.benchSubmissions(ctx, env.stdout, api, body)
	})
}

// benchServer starts what dev does, over a throwaway database and without limits.
func benchServer(ctx context.Context, life *lifecycle, env *environment) (*client.Client, error) {
	var dev devCmd
	if err := kong.ApplyDefaults(&dev); err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp("", "millrace-bench-")
	if err != nil {
		return nil, err
	}
	life.onStop(func(context.Context) error { return os.RemoveAll(data) })
	dev.DatabaseURL, dev.Data, dev.Addr, dev.MetricsAddr, dev.Queues = "", data, "127.0.0.1:0", "", ""
	dev.LimitSubmissions, dev.LimitUploads, dev.LimitQueueDepth = 0, 0, 0
	settings, err := dev.start(ctx, life, env)
	if err != nil {
		return nil, err
	}
	return settings.client()
}

// benchTune times a tune from its submission to its leaderboard.
func benchTune(ctx context.Context, env *environment, api *client.Client, body types.TuneRequest, alone float64) error {
	start := time.Now()
	submitted, err := api.SubmitTune(ctx, "", body)
	if err != nil {
		return err
	}
	bar := newProgress(env.stderr)
	done, err := api.FollowTune(ctx, submitted.TuneID, 10, func(t types.Tune) { bar.update(tuneProgress(t)) })
	bar.done()
	if err != nil {
		return err
	}
	if done.Status != types.TuneCompleted {
		return fmt.Errorf("the tune ended as %s", done.Status)
	}
	rate := float64(done.NTrials) / time.Since(start).Seconds()
	slots := jobs.DefaultSlots(runtime.NumCPU())[jobs.QueueTrials]
	fmt.Fprintf(env.stdout, "  submission to result  %8.0f trials/s on %d slots beside Postgres: %.2f of that\n", rate, slots, rate/alone)
	return nil
}

// benchSubmissions times submissions of small tunes one after the other, while the fleet runs
// on those before.
func (c *benchCmd) benchSubmissions(ctx context.Context, w io.Writer, api *client.Client, body types.TuneRequest) error {
	body.NTrials = new(100)
	var took []time.Duration
	begin := time.Now()
	for i := range c.Submissions {
		start := time.Now()
		if _, err := api.SubmitTune(ctx, "bench-"+strconv.Itoa(i), body); err != nil {
			return err
		}
		took = append(took, time.Since(start))
	}
	rate := float64(len(took)) / time.Since(begin).Seconds()
	slices.Sort(took)
	fmt.Fprintf(w, "\nSubmissions of 100 trials, one client, while those before are worked on: %.0f/s, p50 %.1f ms, p99 %.1f ms\n", rate,
		took[len(took)/2].Seconds()*1000, took[len(took)*99/100].Seconds()*1000)
	return nil
}
