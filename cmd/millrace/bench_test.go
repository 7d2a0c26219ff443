package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/sweep"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/gate"
	"millrace/jobs/worker/tune"
	"millrace/jobs/worker/wfo"
	"millrace/ops"
	"millrace/ops/telemetry"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
	"millrace/store/tuning"
)

// benchSpec is a grid of sma_cross over 50,000 synthetic daily bars, split 70:30: about a
// second of one core.
func benchSpec() sweep.Spec {
	num := func(v float64) *float64 { return &v }
	spec := sweep.Spec{
		StrategyName: "sma_cross", OOSRatio: num(0.3),
		ParamSpace: map[string]sweep.Range{"fast": {Low: num(2), High: num(101)}, "slow": {Low: num(102), High: num(301)}},
		Gates:      sweep.GateLimits{MaxDrawdownPct: num(95)},
	}
	spec.Normalize()
	return spec
}

func benchBars(b *testing.B) *backtest.Bars {
	b.Helper()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 50_000})
	require.NoError(b, err)
	return bars
}

// BenchmarkTune times a whole tune of 20,000 trials from submission to leaderboard, on one and on
// two trial slots, beside the same trials computed in a loop without queue or database. All three
// share the machine with Postgres. "of-compute" is what the loop takes over what one slot does, "of-compute-and-evidence" the same
// of the loop and the ranking, the leaders' metrics and the verdict that a tune ends with; "two-of-one" is how much
// sooner two slots are ready, and "ceiling" how much sooner two loops of half the trials are, which share nothing but the
// machine's processors, caches and memory, and the collector.
func BenchmarkTune(b *testing.B) {
	b.Log("20,000 trials of sma_cross over 50,000 synthetic daily bars, split 70:30, from submission to leaderboard; compute is the same trials in a loop on one core")
	benchmarkTune(b, benchSpec(), 20_000)
}

// BenchmarkLongTune is BenchmarkTune with ten times the trials: some ten seconds of one core. Its 50 periods have their
// indicators in memory at once, as those of BenchmarkTune have.
func BenchmarkLongTune(b *testing.B) {
	b.Log("as BenchmarkTune, with 200,000 trials of bb_reversal")
	spec := benchSpec()
	spec.StrategyName = "bb_reversal"
	spec.ParamSpace = map[string]sweep.Range{
		"period": {Low: new(20.0), High: new(69.0)},
		"width":  {Low: new(1.0), High: new(4.999), Step: new(0.001)},
	}
	spec.NTrials = new(200_000)
	benchmarkTune(b, spec, 200_000)
}

func benchmarkTune(b *testing.B, spec sweep.Spec, trials int) {
	var compute, evidence, one, ceiling float64 // seconds; the last is a ratio
	var whole *sweep.ShardResult
	bars := benchBars(b)
	rate := func(b *testing.B) float64 {
		b.ReportMetric(float64(trials)*float64(b.N)/b.Elapsed().Seconds(), "trials/s")
		return b.Elapsed().Seconds() / float64(b.N)
	}
	b.Run("compute", func(b *testing.B) {
		plan, errs := sweep.NewPlan(spec, bars, backtest.CalendarExchange)
		require.Empty(b, errs)
		require.Equal(b, trials, plan.Trials())
		before := processorTime(b)
		for b.Loop() {
			var err error
			whole, err = plan.RunShard(b.Context(), plan.Shards(plan.Trials())[0], func(int) {})
			require.NoError(b, err)
		}
		b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "process-s")
		compute = rate(b)
	})
	b.Run("evidence", func(b *testing.B) {
		plan, errs := sweep.NewPlan(spec, bars, backtest.CalendarExchange)
		require.Empty(b, errs)
		before := processorTime(b)
		for b.Loop() {
			_, err := sweep.CollectWhole(plan, whole, 1000)
			require.NoError(b, err)
		}
		evidence = b.Elapsed().Seconds() / float64(b.N)
		b.ReportMetric((processorTime(b)-before).Seconds()/float64(b.N), "process-s")
	})
	whole = nil
	b.Run("compute-on-two", func(b *testing.B) {
		plan, errs := sweep.NewPlan(spec, bars, backtest.CalendarExchange)
		require.Empty(b, errs)
		halves := plan.Shards((trials + 1) / 2)
		for b.Loop() {
			var both sync.WaitGroup
			for _, half := range halves {
				both.Go(func() {
					_, err := plan.RunShard(b.Context(), half, func(int) {})
					assert.NoError(b, err)
				})
			}
			both.Wait()
		}
		ceiling = compute / rate(b)
		b.ReportMetric(ceiling, "two-of-one")
	})
	for _, slots := range []int{1, 2} {
		b.Run(fmt.Sprintf("slots=%d", slots), func(b *testing.B) {
			s := newBenchStore(b, bars)
			parts := newTimeline()
			s.workTraced(b, slots, nil, parts.watch)
			var submitted, seen []time.Time
			before := s.used(b)
			for i := 0; b.Loop(); i++ {
				submitted = append(submitted, time.Now())
				id := s.submit(b, spec, strconv.Itoa(i))
				parts.await(b)
				seen = append(seen, time.Now())
				got, err := s.store.Tuning.Get(b.Context(), s.space.ID, id)
				require.NoError(b, err)
				require.Equal(b, tuning.Completed, got.Status, got.Error)
			}
			before.report(b, s.used(b))
			switch took := rate(b); {
			case slots == 1:
				one = took
				b.ReportMetric(compute/took, "of-compute")
				b.ReportMetric((compute+evidence)/took, "of-compute-and-evidence")
				parts.report(b, submitted, seen)
			case one > 0:
				b.ReportMetric(one/took, "two-of-one")
				b.ReportMetric(ceiling, "ceiling")
			}
		})
	}
}

// BenchmarkSubmit times submissions one after the other: key claim, tune, plan job and response in
// one commit. No worker runs.
func BenchmarkSubmit(b *testing.B) {
	s := newBenchStore(b, benchBars(b))
	spec := benchSpec()
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		s.submit(b, spec, strconv.Itoa(i))
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "submissions/s")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

type benchStore struct {
	url     string
	server  int          // process of Postgres
	metrics *ops.Metrics // of the worker
	store   *stores.Set
	space   tenants.Workspace
	dataset market.Dataset
}

func newBenchStore(b *testing.B, bars *backtest.Bars) *benchStore {
	b.Helper()
	db := pgtest.New(b)
	s := &benchStore{url: db.URL, metrics: ops.NewMetrics()}
	require.NoError(b, db.OwnerPool(b).QueryRow(b.Context(), serverProcess).Scan(&s.server))
	pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: s.url, MaxConns: 4})
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	s.store = stores.New(pool, client)
	s.space, err = s.store.Tenants.CreateWorkspace(b.Context(), "bench", 2)
	require.NoError(b, err)
	s.dataset, err = s.store.Market.PutDataset(b.Context(), s.space.ID,
		market.Dataset{Name: "walk", Symbol: "W", Timeframe: "1d", Calendar: backtest.CalendarExchange}, bars)
	require.NoError(b, err)
	return s
}

func (s *benchStore) work(b *testing.B, slots int) { s.workTraced(b, slots, nil, nil) }

// workTraced has a worker work, whose jobs and SQL are exported where exports is not nil, and the parts of whose tunes are watched
// where watch is not nil. It returns what stops it.
func (s *benchStore) workTraced(b *testing.B, slots int, exports *telemetry.Telemetry, watch func(tune.Part, time.Time, time.Time)) (stop func()) {
	b.Helper()
	reporter, err := ops.NewReporter(ops.ReportOptions{Tracer: exports.Tracer()})
	require.NoError(b, err)
	pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: s.url, MaxConns: 10, Spans: spanTracer(exports)})
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	logger, metrics := slog.New(slog.DiscardHandler), s.metrics
	member, err := fleet.New(fleet.Options{
		Pool: pool, Slots: jobs.Slots{jobs.QueueTrials: slots, jobs.QueueTunes: 2, jobs.QueueWFO: 1},
		Metrics: metrics, Logger: logger, Reporter: reporter, Version: "bench", Drain: time.Second,
	}, func(st *stores.Set, workers *river.Workers) {
		tune.New(tune.Stores{DB: st.DB, Strategies: st.Strategies, Tuning: st.Tuning, Workers: st.Workers}, metrics, logger, tune.Options{Slots: slots, Watch: watch}).Register(workers)
		gate.New(st.DB, st.Strategies, metrics, logger).Register(workers)
		wfo.New(wfo.Stores{DB: st.DB, Market: st.Market, Strategies: st.Strategies, Tuning: st.Tuning, WalkForward: st.WalkForward}, metrics, logger, wfo.Options{}).Register(workers)
	})
	require.NoError(b, err)
	require.NoError(b, member.Start(b.Context()))
	stop = func() { _ = member.Stop(context.Background()) }
	b.Cleanup(stop)
	return stop
}

func (s *benchStore) submit(b *testing.B, spec sweep.Spec, key string) uuid.UUID {
	b.Helper()
	return s.submitIn(b.Context(), b, spec, key)
}

func (s *benchStore) submitIn(ctx context.Context, b *testing.B, spec sweep.Spec, key string) uuid.UUID {
	b.Helper()
	var id uuid.UUID
	trials := 20_000
	if spec.NTrials != nil {
		trials = *spec.NTrials
	}
	_, err := s.store.Tuning.Create(ctx, store.Submission{Workspace: s.space.ID, Route: "bench", Key: key},
		tuning.NewTune{DatasetID: s.dataset.ID, Dataset: s.dataset.Name, Spec: spec, Trials: trials},
		func(t *tuning.Tune) (store.Response, error) {
			id = t.ID
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(b, err)
	return id
}
