package main

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/api/client"
	"millrace/jobs/backtest/ohlcv"
	"millrace/ops/routine"
	"millrace/store/session"
)

// BenchmarkWorkspacesAtOnce has 1,000 workspaces submit a tune at once, each with a connection and a key of its own, to a
// server without a worker: all are accepted, and none waits for another's. The first round is apart: in it the server reads
// 1,000 datasets, notes that 1,000 keys are used, and has 1,000 tunes admitted, as each workspace has room.
func BenchmarkWorkspacesAtOnce(b *testing.B) {
	const spaces = 1000
	env := &environment{stdout: io.Discard, stderr: io.Discard, logger: slog.New(slog.DiscardHandler), awaits: &awaiting{}}
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	err := serve(ctx, env, 30*time.Second, func(life *lifecycle) error {
		defer stop()
		days, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 1000})
		require.NoError(b, err)
		service, err := newBenchService(ctx, life, env, days)
		require.NoError(b, err)
		keys := benchWorkspaces(ctx, b, service.queue, spaces)
		clients := make([]*client.Client, spaces)
		for i, key := range keys {
			clients[i], err = client.New(client.Options{URL: service.url, Key: key})
			require.NoError(b, err)
		}
		body := (&benchCmd{Trials: 100}).tune()
		body.NTrials = new(100)
		var took []time.Duration // of all rounds but the first
		var first time.Duration
		var found figures
		var spentLater spent
		for round := 0; b.Loop(); round++ {
			each := make([]time.Duration, spaces)
			start, before := time.Now(), service.spent(&found)
			group, in := routine.NewGroup(ctx)
			for i, api := range clients {
				group.Run(func() error {
					begin := time.Now()
					_, err := api.SubmitTune(in, "at-once-"+strconv.Itoa(round), body)
					each[i] = time.Since(begin)
					return err
				})
			}
			require.NoError(b, group.Wait())
			used := service.spent(&found).since(before)
			if round == 0 {
				b.ReportMetric(used.ours.Seconds()*1000/spaces, "first-ours-ms")
				b.ReportMetric(used.postgres.Seconds()*1000/spaces, "first-postgres-ms")
				first = time.Since(start)
				slices.Sort(each)
				b.ReportMetric(spaces/first.Seconds(), "first-submissions/s")
				b.ReportMetric(each[spaces*99/100].Seconds()*1000, "first-p99-ms")
				continue
			}
			took = append(took, each...)
			spentLater.ours, spentLater.postgres = spentLater.ours+used.ours, spentLater.postgres+used.postgres
		}
		if len(took) == 0 {
			return nil
		}
		slices.Sort(took)
		b.ReportMetric(spentLater.ours.Seconds()*1000/float64(len(took)), "ours-ms")
		b.ReportMetric(spentLater.postgres.Seconds()*1000/float64(len(took)), "postgres-ms")
		b.ReportMetric(float64(len(took))/(b.Elapsed()-first).Seconds(), "submissions/s")
		b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
		b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
		return nil
	})
	require.NoError(b, err)
}

// benchWorkspaces makes workspaces, each with a key, which it returns, and the dataset of the one that is there.
func benchWorkspaces(ctx context.Context, b *testing.B, database string, many int) (keys []string) {
	b.Helper()
	conn, err := session.Connect(ctx, database, session.Schema())
	require.NoError(b, err)
	defer func() { require.NoError(b, conn.Close(ctx)) }()
	rows, err := conn.Query(ctx, `
		with made as (
			insert into workspaces (id, name) select gen_random_uuid(), 'at once ' || n from generate_series(1, $1) n returning id),
		copied as (
			insert into datasets (id, workspace_id, name, symbol, timeframe, calendar, bars, from_at, to_at, sha256, data, periods_per_year)
			select gen_random_uuid(), made.id, d.name, d.symbol, d.timeframe, d.calendar, d.bars, d.from_at, d.to_at, d.sha256, d.data, d.periods_per_year
			  from made, datasets d)
		insert into api_keys (id, workspace_id, name, role, key_sha256)
		select gen_random_uuid(), id, 'bench', 'member', sha256(convert_to('mr_' || id, 'UTF8')) from made returning 'mr_' || workspace_id`, many)
	require.NoError(b, err)
	keys, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(b, err)
	require.Len(b, keys, many)
	return keys
}
