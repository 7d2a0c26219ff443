//go:build scale

package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
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
	"millrace/jobs/worker/gate"
	"millrace/jobs/worker/tune"
	"millrace/migrations"
	"millrace/ops"
	"millrace/store"
	"millrace/store/localpg"
	"millrace/store/market"
	"millrace/store/stores"
	"millrace/store/tuning"
)

const (
	simulatedWorkers    = 1000
	simulatedWorkspaces = 10_000
	simulatedTunes      = 200
)

// largeFleet is one Postgres with many workspaces, and workers that are members of the fleet as processes are: each with its
// own pools, River client, heartbeat and LISTEN.
type largeFleet struct {
	t       *testing.T
	url     string
	owner   *pgxpool.Pool
	store   *stores.Set
	members int
	root    int // process id of the server
}

// TestAThousandWorkersAndTenThousandWorkspaces measures what idle workers cost Postgres at 10 and 25 real ones, holds the straight
// line through both to what 50 cost, adds what 950 further rows of live workers change, and extends it to 1,000.
// Then each of 10,000 workspaces submits a tune, which the 50 work. It prints what was measured and where one Postgres ends.
func TestAThousandWorkersAndTenThousandWorkspaces(t *testing.T) {
	f := newLargeFleet(t)
	report("idle workers, of every queue one slot", "processor ms/s of Postgres, transactions/s, connections")
	at := map[int]usage{0: f.idle("0")}
	f.grow(4)
	f.tunesOfWorkspaces(f.idle("4"))
	for _, n := range []int{10, 25, 50} {
		f.grow(n)
		at[n] = f.idle(fmt.Sprint(n))
	}
	line := func(n int, of func(usage) float64) float64 {
		slope := (of(at[25]) - of(at[10])) / 15
		return of(at[10]) + slope*float64(n-10)
	}
	cpu, transactions := func(u usage) float64 { return u.cpu }, func(u usage) float64 { return u.transactions }
	report("50, by the line through 10 and 25", fmt.Sprintf("%.0f ms/s, %.0f/s: measured %+.0f %%, %+.0f %%", line(50, cpu), line(50, transactions),
		100*(at[50].cpu/line(50, cpu)-1), 100*(at[50].transactions/line(50, transactions)-1)))
	require.InEpsilon(t, line(50, transactions), at[50].transactions, 0.25, "the model does not hold at 50 workers")

	stop := f.liveRows(simulatedWorkers - 50)
	beside := f.idle("50, beside 950 rows of live workers")
	stop()
	each := (at[50].cpu - at[0].cpu) / 50
	more := (beside.cpu - at[50].cpu) / 50
	report("one worker", fmt.Sprintf("%.1f ms/s, and %.1f more among 1,000; %.0f transactions/s, %.1f connections", each, more,
		(at[50].transactions-at[0].transactions)/50, float64(at[50].connections-at[0].connections)/50))
	report("1,000 idle workers", fmt.Sprintf("%.1f processors of Postgres, %.0f transactions/s, %.0f connections", simulatedWorkers*(each+more)/1000,
		simulatedWorkers*(at[50].transactions-at[0].transactions)/50, simulatedWorkers*float64(at[50].connections-at[0].connections)/50))
}

func newLargeFleet(t *testing.T) *largeFleet {
	t.Helper()
	cluster, err := localpg.Start(t.Context(), localpg.Options{Throwaway: true, Settings: map[string]string{"max_connections": "1000", "shared_buffers": "512MB"}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = cluster.Stop(context.Background()) })
	require.NoError(t, migrations.Up(t.Context(), cluster.URL()))
	f := &largeFleet{t: t, url: cluster.URL()}
	f.owner, err = pgxpool.New(t.Context(), cluster.URL())
	require.NoError(t, err)
	t.Cleanup(f.owner.Close)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: f.url, MaxConns: 12})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	client, err := jobs.NewInsertClient(pool, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	f.store = stores.New(pool, client)
	space, err := f.store.Tenants.CreateWorkspace(t.Context(), "first", 2)
	require.NoError(t, err)
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 500})
	require.NoError(t, err)
	_, err = f.store.Market.PutDataset(t.Context(), space.ID, market.Dataset{Name: "walk", Symbol: "W", Timeframe: "1d", Calendar: backtest.CalendarExchange}, bars)
	require.NoError(t, err)
	f.exec(`insert into workspaces (id, name) select gen_random_uuid(), 'workspace ' || n from generate_series(2, $1) n`, simulatedWorkspaces)
	f.exec(`insert into datasets select (jsonb_populate_record(d, jsonb_build_object('id', gen_random_uuid(), 'workspace_id', w.id))).*
		from datasets d, workspaces w where d.workspace_id <> w.id`)
	f.exec(`analyze`)
	var backend int
	require.NoError(t, f.owner.QueryRow(t.Context(), `select pg_backend_pid()`).Scan(&backend))
	f.root, _ = processOf(t, backend)
	return f
}

func (f *largeFleet) exec(sql string, args ...any) {
	f.t.Helper()
	_, err := f.owner.Exec(f.t.Context(), sql, args...)
	require.NoError(f.t, err)
}

// grow starts members until there are n.
func (f *largeFleet) grow(n int) {
	f.t.Helper()
	slots := jobs.Slots{}
	for _, queue := range jobs.Queues() {
		slots[queue] = 1
	}
	logger := slog.New(slog.DiscardHandler)
	for ; f.members < n; f.members++ {
		id := fleet.NewID()
		pool, err := store.OpenPool(f.t.Context(), store.PoolOptions{DatabaseURL: f.url, MaxConns: 16, Worker: id})
		require.NoError(f.t, err)
		f.t.Cleanup(pool.Close)
		metrics := ops.NewMetrics()
		member, err := fleet.New(fleet.Options{ID: id, Pool: pool, Slots: slots, Metrics: metrics, Logger: logger, Version: "simulated", Drain: time.Second},
			func(st *stores.Set, workers *river.Workers) {
				tune.New(tune.Stores{DB: st.DB, Strategies: st.Strategies, Tuning: st.Tuning, Workers: st.Workers}, metrics, logger, tune.Options{Slots: 1}).Register(workers)
				gate.New(st.DB, st.Strategies, metrics, logger).Register(workers)
			})
		require.NoError(f.t, err)
		require.NoError(f.t, member.Start(f.t.Context()))
		f.t.Cleanup(func() { _ = member.Stop(context.Background()) })
	}
}

// usage is what the server did in a second.
type usage struct {
	cpu          float64 // milliseconds of processors
	transactions float64
	connections  int
}

// idle measures for six seconds what the server does for who is there.
func (f *largeFleet) idle(what string) usage {
	f.t.Helper()
	<-time.After(3 * time.Second) // of starting: pools fill, leaders are elected
	u := f.during(func() { <-time.After(6 * time.Second) })
	report(what, fmt.Sprintf("%.0f ms/s, %.0f/s, %d", u.cpu, u.transactions, u.connections))
	return u
}

// during measures what the server does while something is done, a second.
func (f *largeFleet) during(do func()) usage {
	f.t.Helper()
	cpu, transactions, began := f.serverTime(), f.transactions(), time.Now()
	do()
	took := time.Since(began).Seconds()
	var u usage
	u.cpu = (f.serverTime() - cpu).Seconds() * 1000 / took
	u.transactions = (f.transactions() - transactions) / took
	require.NoError(f.t, f.owner.QueryRow(f.t.Context(), `select count(*) from pg_stat_activity where backend_type = 'client backend'`).Scan(&u.connections))
	return u
}

func (f *largeFleet) transactions() (n float64) {
	f.t.Helper()
	require.NoError(f.t, f.owner.QueryRow(f.t.Context(), `select xact_commit + xact_rollback from pg_stat_database where datname = current_database()`).Scan(&n))
	return n
}

// serverTime is the processor time of the server and all its processes, ended ones too.
func (f *largeFleet) serverTime() time.Duration {
	f.t.Helper()
	_, all := processOf(f.t, f.root)
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(f.t, err)
	for _, stat := range stats {
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(stat))); err == nil {
			if parent, used := processOf(f.t, pid); parent == f.root {
				all += used
			}
		}
	}
	return all
}

// processOf is the parent of a process and the time that it and its ended children used; zero of one that is gone.
func processOf(t *testing.T, pid int) (parent int, used time.Duration) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	fields := strings.Fields(string(raw[strings.LastIndex(string(raw), ")")+1:]))
	require.Greater(t, len(fields), 14)
	parent, err = strconv.Atoi(fields[1])
	require.NoError(t, err)
	for _, field := range fields[11:15] { // ticks of 10 ms
		ticks, err := strconv.Atoi(field)
		require.NoError(t, err)
		used += time.Duration(ticks) * 10 * time.Millisecond
	}
	return parent, used
}

// liveRows are workers that only beat.
func (f *largeFleet) liveRows(n int) (stop func()) {
	f.t.Helper()
	f.exec(`insert into workers (id, host, pid, version, queues) select 'simulated ' || n, 'h', n, 'v', (select queues from workers limit 1) from generate_series(1, $1) n`, n)
	ctx, cancel := context.WithCancel(f.t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for ctx.Err() == nil {
			_, _ = f.owner.Exec(context.WithoutCancel(ctx), `update workers set beat_at = clock_timestamp() where host = 'h'`)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	})
	return func() {
		cancel()
		group.Wait()
		f.exec(`delete from workers where host = 'h'`)
	}
}

// tunesOfWorkspaces has workspaces submit a tune of one shard, and waits until all are worked.
func (f *largeFleet) tunesOfWorkspaces(idle usage) {
	t := f.t
	t.Helper()
	rows, err := f.owner.Query(t.Context(), `select workspace_id, id from datasets limit $1`, simulatedTunes)
	require.NoError(t, err)
	type pair struct{ Space, Dataset uuid.UUID }
	var pairs []pair
	var one pair
	for rows.Next() {
		require.NoError(t, rows.Scan(&one.Space, &one.Dataset))
		pairs = append(pairs, one)
	}
	require.Len(t, pairs, simulatedTunes)
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Values: []float64{5, 10}}, "slow": {Values: []float64{20, 40}}}}
	spec.Normalize()
	due := make(chan pair, len(pairs))
	for _, p := range pairs {
		due <- p
	}
	close(due)
	var mu sync.Mutex
	var took []time.Duration
	began := time.Now()
	worked := f.during(func() {
		var group sync.WaitGroup
		for range 2 {
			group.Go(func() {
				for p := range due {
					at := time.Now()
					_, err := f.store.Tuning.Create(t.Context(), store.Submission{Workspace: p.Space, Route: "simulation", Key: "k"},
						tuning.NewTune{DatasetID: p.Dataset, Dataset: "walk", Spec: spec, Trials: 4},
						func(*tuning.Tune) (store.Response, error) { return store.Response{Status: http.StatusAccepted}, nil })
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					took = append(took, time.Since(at))
					mu.Unlock()
				}
			})
		}
		group.Wait()
		slices.Sort(took)
		report("200 submissions, one a workspace, while four workers work them", fmt.Sprintf("%.0f/s, p50 %s, p99 %s", float64(len(took))/time.Since(began).Seconds(),
			took[len(took)/2].Round(100*time.Microsecond), took[len(took)*99/100].Round(100*time.Microsecond)))
		require.Eventually(t, func() bool {
			var open int
			return f.owner.QueryRow(t.Context(), `select count(*) from tunes where status in ('queued', 'running')`).Scan(&open) == nil && open == 0
		}, 30*time.Minute, 200*time.Millisecond)
	})
	all := time.Since(began)
	report("all 200 tunes, three jobs each, from the first submission to the last leaderboard", fmt.Sprintf("%s, %.0f tunes/s", all.Round(time.Second), simulatedTunes/all.Seconds()))
	perTune := (worked.cpu - idle.cpu) * all.Seconds() / simulatedTunes
	report("Postgres for a tune, submission included", fmt.Sprintf("%.1f ms of a processor: %.0f tunes/s, or %.0f jobs/s, a processor", perTune, 1000/perTune, 3000/perTune))
	asked := time.Now()
	_, err = f.store.Upkeep.Demand(t.Context())
	require.NoError(t, err)
	report("demand with 10,000 workspaces", time.Since(asked).Round(100*time.Microsecond).String())
}
