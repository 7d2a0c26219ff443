package main

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"millrace/events"
	"millrace/ops"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

type noopArgs struct {
	WorkspaceID uuid.UUID `json:"workspace_id"`
}

func (noopArgs) Kind() string { return "noop" }

type noopWorker struct{ river.WorkerDefaults[noopArgs] }

func (*noopWorker) Work(context.Context, *river.Job[noopArgs]) error { return nil }

// BenchmarkRiverNoop times River inserting and working 20,000 jobs that do nothing, with the
// triggers off and nobody listening, and with the whole feed on: triggers, relay, counters and a
// listener with a subscriber. The two alternate, and the ratio is that of the medians.
func BenchmarkRiverNoop(b *testing.B) {
	const jobs = 20_000
	db := pgtest.New(b)
	pool, err := store.OpenPool(b.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 10})
	require.NoError(b, err)
	b.Cleanup(pool.Close)
	owner := db.OwnerPool(b)
	var bare, fed []float64
	for b.Loop() {
		for round := range 10 {
			feed := round%4 == 1 || round%4 == 2 // bare, feed, feed, bare, …
			rate := float64(jobs) / noopRound(b, pool, owner, jobs, feed).Seconds()
			if feed {
				fed = append(fed, rate)
			} else {
				bare = append(bare, rate)
			}
		}
	}
	slices.Sort(bare)
	slices.Sort(fed)
	b.ReportMetric(bare[len(bare)/2], "bare-jobs/s")
	b.ReportMetric(fed[len(fed)/2], "feed-jobs/s")
	b.ReportMetric(fed[len(fed)/2]/bare[len(bare)/2], "feed/bare")
	b.ReportMetric(0, "ns/op")
}

func noopRound(b *testing.B, pool, owner *pgxpool.Pool, jobs int, feed bool) time.Duration {
	b.Helper()
	triggers := "disable"
	if feed {
		triggers = "enable"
	}
	_, err := owner.Exec(b.Context(), `truncate river_job; alter table river_job `+triggers+` trigger user`)
	require.NoError(b, err)
	_, err = owner.Exec(b.Context(), `vacuum analyze river_job`)
	require.NoError(b, err)
	if feed {
		f := events.NewFeed(events.Options{Store: stores.New(pool, nil), Metrics: ops.NewMetrics(), Logger: slog.New(slog.DiscardHandler)})
		require.NoError(b, f.Start(b.Context()))
		defer func() { _ = f.Stop(context.Background()) }()
		sub := f.Hub().Subscribe(eventlog.Scope{}, nil)
		defer sub.Close()
		ctx, cancel := context.WithCancel(b.Context())
		defer cancel()
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-sub.Ready():
					if _, err := sub.Take(ctx); err != nil {
						return
					}
				}
			}
		}()
	}
	workers := river.NewWorkers()
	river.AddWorker(workers, &noopWorker{})
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Logger: slog.New(slog.DiscardHandler), Workers: workers, FetchCooldown: 5 * time.Millisecond,
		Queues:              map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 500}},
		ReindexerIndexNames: []string{},
	})
	require.NoError(b, err)
	// Row-level security, which the owner is above, refuses the copy by which jobs are inserted fast.
	inserter, err := river.NewClient(riverpgxv5.New(owner), &river.Config{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(b, err)
	space := uuid.New()
	params := make([]river.InsertManyParams, 1000)
	for i := range params {
		params[i].Args = noopArgs{WorkspaceID: space}
	}
	start := time.Now()
	for range jobs / len(params) {
		_, err := inserter.InsertManyFast(b.Context(), params)
		require.NoError(b, err)
	}
	require.NoError(b, client.Start(b.Context()))
	for open := 1; open > 0; {
		<-time.After(10 * time.Millisecond)
		require.NoError(b, owner.QueryRow(b.Context(), `select count(*) from (select from river_job where state <> 'completed' limit 1) s`).Scan(&open))
	}
	took := time.Since(start)
	require.NoError(b, client.Stop(b.Context()))
	return took
}
