package tune_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/sweep"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/tune"
	"millrace/ops"
	"millrace/store"
	"millrace/store/market"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/tenants"
	"millrace/store/tuning"
)

// fixture is a database with a dataset, and fleets that work it.
type fixture struct {
	t       *testing.T
	url     string
	store   *stores.Set
	space   tenants.Workspace
	dataset market.Dataset
	other   market.Dataset   // with more bars
	spans   store.SpanTracer // of the pools made next; nil: none
	version string           // of the programs started next
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, url: pgtest.New(t).URL}
	pool := f.pool()
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	f.store = stores.New(pool, client)
	f.space, err = f.store.Tenants.CreateWorkspace(t.Context(), "fixture", 2)
	require.NoError(t, err)
	f.dataset, f.other = f.put("walk", 3, 1400), f.put("other", 4, 1900)
	return f
}

func (f *fixture) put(name string, seed uint64, n int) market.Dataset {
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: seed, Bars: n})
	require.NoError(f.t, err)
	made, err := f.store.Market.PutDataset(f.t.Context(), f.space.ID,
		market.Dataset{Name: name, Symbol: "W", Timeframe: "1d", Calendar: backtest.CalendarExchange}, bars)
	require.NoError(f.t, err)
	return made
}

func (f *fixture) pool() *pgxpool.Pool {
	pool, err := store.OpenPool(f.t.Context(), store.PoolOptions{DatabaseURL: f.url, MaxConns: 8, Spans: f.spans})
	require.NoError(f.t, err)
	f.t.Cleanup(pool.Close)
	return pool
}

// work starts a member of the fleet and returns what stops it.
func (f *fixture) work(slots int, opts tune.Options) (stop func()) {
	logger, metrics := slog.New(slog.DiscardHandler), ops.NewMetrics()
	opts.Slots = slots
	member, err := fleet.New(fleet.Options{
		Pool: f.pool(), Slots: jobs.Slots{jobs.QueueTrials: slots, jobs.QueueTunes: 1},
		Metrics: metrics, Logger: logger, Version: "test", Stamp: opts.Program, Drain: time.Second,
	}, func(st *stores.Set, workers *river.Workers) {
		st.SetVersion(f.version)
		tune.New(tune.Stores{DB: st.DB, Strategies: st.Strategies, Tuning: st.Tuning, Workers: st.Workers}, metrics, logger, opts).Register(workers)
	})
	require.NoError(f.t, err)
	require.NoError(f.t, member.Start(f.t.Context()))
	stop = func() { _ = member.Stop(context.Background()) }
	f.t.Cleanup(stop)
	return stop
}

func (f *fixture) submit(key string, spec sweep.Spec) uuid.UUID {
	f.t.Helper()
	spec.Normalize()
	var id uuid.UUID
	in := tuning.NewTune{DatasetID: f.dataset.ID, Dataset: f.dataset.Name, Spec: spec, Trials: *spec.NTrials}
	if len(spec.Datasets) > 0 {
		in.Several = []uuid.UUID{f.dataset.ID, f.other.ID}
	}
	_, err := f.store.Tuning.Create(f.t.Context(), store.Submission{Workspace: f.space.ID, Route: "test", Key: key}, in,
		func(t *tuning.Tune) (store.Response, error) {
			id = t.ID
			return store.Response{Status: http.StatusAccepted}, nil
		})
	require.NoError(f.t, err)
	return id
}

// result is everything that can be read of a completed tune.
func (f *fixture) result(id uuid.UUID) string {
	f.t.Helper()
	ctx := f.t.Context()
	var got *tuning.Tune
	require.Eventually(f.t, func() bool {
		var err error
		got, err = f.store.Tuning.Get(ctx, f.space.ID, id)
		return err == nil && got.Status.Ended()
	}, time.Minute, 10*time.Millisecond)
	require.Equal(f.t, tuning.Completed, got.Status, got.Error)
	require.Equal(f.t, got.Trials, got.Progress.Done(), "every trial is counted once")
	entries, err := f.store.Tuning.LeaderboardOf(ctx, f.space.ID, id, 1000)
	require.NoError(f.t, err)
	ranked, shards, err := f.store.Tuning.RankedShards(ctx, f.space.ID, id, 0, got.Trials)
	require.NoError(f.t, err)
	require.Len(f.t, ranked, got.Trials)
	var trials []sweep.Trial
	for _, sh := range shards {
		page, err := sweep.DecodeColumns(got.Spec, sh.Shard, sh.Columns)
		require.NoError(f.t, err)
		trials = append(trials, page...)
	}
	body, err := json.Marshal(map[string]any{"outcome": got.Outcome, "entries": entries, "ranked": ranked, "trials": trials, "warnings": got.Warnings})
	require.NoError(f.t, err)
	return string(body)
}

// learning are the specs whose rounds depend on those before.
func learning() map[string]sweep.Spec {
	base := sweep.Spec{
		StrategyName: "sma_cross", SearchType: sweep.SearchTPE, NTrials: new(120), OOSRatio: new(0.3),
		ParamSpace:  map[string]sweep.Range{"fast": {Low: new(2.0), High: new(40.0)}, "slow": {Low: new(5.0), High: new(200.0)}},
		Constraints: []string{"fast < slow"},
		Gates:       sweep.GateLimits{MaxDrawdownPct: new(60.0), MinTrades: new(1)},
	}
	tpe, pruned, several, permuted := base, base, base, base
	tpe.TPE = &sweep.TPE{Startup: new(30), Batch: new(30)}
	pruned.SearchType, pruned.Pruning = sweep.SearchSobol, &sweep.Pruning{Eta: new(2)}
	several.Datasets, several.Aggregate = []string{"walk", "other"}, sweep.AggregateWorst
	permuted.SearchType, permuted.Evidence = sweep.SearchSobol, &sweep.EvidenceSpec{Permutations: 40}
	return map[string]sweep.Spec{"tpe": tpe, "pruned": pruned, "several datasets": several, "permuted": permuted}
}

func TestRoundsAreTheSameWhateverTheFleet(t *testing.T) {
	f := newFixture(t)
	want := map[string]string{}
	for i, fleet := range []struct {
		members, slots int
		opts           tune.Options
	}{
		{1, 1, tune.Options{ShardTime: time.Second}},
		{2, 2, tune.Options{ShardTime: 200 * time.Microsecond, ReportEvery: time.Millisecond}},
	} {
		var stops []func()
		for range fleet.members {
			stops = append(stops, f.work(fleet.slots, fleet.opts))
		}
		for name, spec := range learning() {
			got := f.result(f.submit(fmt.Sprint(name, i), spec))
			if i == 0 {
				want[name] = got
				continue
			}
			require.Equal(t, want[name], got, name)
		}
		for _, stop := range stops {
			stop()
		}
	}
}

// A member that is stopped in the middle of the rounds hands them on; so does one in the middle of the
// permutations.
func TestRoundsOutliveTheirWorker(t *testing.T) {
	f := newFixture(t)
	several := learning()["several datasets"]
	several.TPE = &sweep.TPE{Startup: new(20), Batch: new(5)}
	for name, c := range map[string]struct {
		spec    sweep.Spec
		reached func(t *tuning.Tune) bool
	}{
		"several datasets": {several, func(t *tuning.Tune) bool { return t.Progress.Done() > 30 }},
		"permuted": {learning()["permuted"], func(t *tuning.Tune) bool {
			return t.Progress.WorkDone > 1.2*float64(t.Trials) && t.Progress.WorkDone < 30*float64(t.Trials)
		}},
	} {
		stop := f.work(1, tune.Options{ShardTime: 200 * time.Microsecond})
		undisturbed := f.result(f.submit(name+" first", c.spec))

		id := f.submit(name+" second", c.spec)
		require.Eventually(t, func() bool {
			got, err := f.store.Tuning.Get(t.Context(), f.space.ID, id)
			return err == nil && c.reached(got)
		}, time.Minute, time.Millisecond, name)
		stop()
		stop = f.work(2, tune.Options{ShardTime: 200 * time.Microsecond})
		require.Equal(t, undisturbed, f.result(id), name)
		stop()
	}
}

// A tune that is cancelled while its permutations run leaves no job behind, and its slot to others.
func TestPermutationsAreCancelledWithTheirTune(t *testing.T) {
	f := newFixture(t)
	f.work(2, tune.Options{ShardTime: time.Millisecond, ReportEvery: time.Millisecond})
	spec := learning()["permuted"]
	spec.Evidence = &sweep.EvidenceSpec{Permutations: 1000}
	id := f.submit("long", spec)
	require.Eventually(t, func() bool {
		got, err := f.store.Tuning.Get(t.Context(), f.space.ID, id)
		if err != nil {
			return false
		}
		p := got.Progress
		require.LessOrEqual(t, p.Done(), got.Trials, "permutations are not counted as trials")
		if p.WorkDone < 2*float64(got.Trials) {
			return false
		}
		require.Equal(t, got.Trials, p.Done())
		require.Zero(t, p.InFlight, "permutations are not counted as trials that run")
		require.InDelta(t, 0.5, got.ShareDone(), 0.4999, "all trials have ended, and the tune has not")
		return true
	}, time.Minute, time.Millisecond)
	_, err := f.store.Tuning.Cancel(t.Context(), f.space.ID, id)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		var open int
		err := f.pool().QueryRow(t.Context(), `select count(*) from river_job where args->>'tune_id' = $1 and finalized_at is null`, id.String()).Scan(&open)
		return err == nil && open == 0
	}, time.Minute, 50*time.Millisecond)
	f.result(f.submit("next", learning()["tpe"]))
}
