package main

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
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
		st.SetVersion("bench")
		tune.New(tune.Stores{DB: st.DB, Strategies: st.Strategies, Tuning: st.Tuning, Workers: st.Workers}, metrics, logger, tune.Options{Slots: slots, Watch: watch}).Register(workers)
		gate.New(st.DB, st.Strategies, metrics, logger).Register(workers)
		wfo.New(wfo.Stores{DB: st.DB, Market: st.Market, Strategies: st.Strategies, Tuning: st.Tuning, WalkForward: st.WalkForward}, metrics, logger, wfo.Options{}).Register(workers)
	})
	require.NoError(b, err)
	require.NoError(b, member.Start(b.Context()))
	stop = func() {
		_ = member.Stop(context.Background())
		pool.Close()
	}
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
