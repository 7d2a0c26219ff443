package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/alecthomas/kong"

	"millrace/api/client"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/migrations"
	"millrace/ops"
	"millrace/store/localpg"
	"millrace/store/session"
)

// benchService is a server with a worker, and one without whose submissions wait for good, each on a database of its
// own in a throwaway cluster that flushes to disk as any other does.
type benchService struct {
	cluster *localpg.Cluster
	work    *client.Client // of the server with a worker
	submit  *client.Client // of the one without
	url     string         // where it listens
	queue   string         // its database
}

func newBenchService(ctx context.Context, life *lifecycle, env *environment, bars *backtest.Bars) (*benchService, error) {
	data, err := os.MkdirTemp("", "millrace-bench-")
	if err != nil {
		return nil, err
	}
	life.onStop(func(context.Context) error { return os.RemoveAll(data) })
	s := &benchService{}
	s.cluster, err = localpg.Start(ctx, localpg.Options{
		DataDir: filepath.Join(data, "postgres"), Temporary: true, Logger: env.logger, Settings: map[string]string{"max_connections": "200"},
	})
	if err != nil {
		return nil, fmt.Errorf("start Postgres: %w", err)
	}
	life.onStop(s.cluster.Stop)
	csv := bytes.Buffer{}
	if err := ohlcv.WriteCSV(&csv, bars); err != nil {
		return nil, err
	}
	fields := map[string]string{"name": "bench", "symbol": "BENCH", "timeframe": "1d", "time_range": "any"}
	for _, worker := range []bool{true, false} {
		name := "bench_submissions"
		if worker {
			name = "bench_work"
		}
		database, err := newBenchDatabase(ctx, s.cluster, name)
		if err != nil {
			return nil, err
		}
		settings, err := benchServer(ctx, life, env, database, filepath.Join(data, name), worker)
		if err != nil {
			return nil, err
		}
		api, err := settings.client()
		if err != nil {
			return nil, err
		}
		if _, err := api.UploadDataset(ctx, client.Bytes("bench.csv", csv.Bytes()), fields); err != nil {
			return nil, err
		}
		if worker {
			s.work = api
		} else {
			s.submit, s.url, s.queue = api, settings.URL, database
		}
	}
	return s, nil
}

// newBenchDatabase makes a database of the cluster, and returns its URL.
func newBenchDatabase(ctx context.Context, cluster *localpg.Cluster, name string) (string, error) {
	conn, err := session.Connect(ctx, cluster.URL(), session.Schema())
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, `create database `+name); err != nil {
		return "", err
	}
	at, err := url.Parse(cluster.URL())
	if err != nil {
		return "", err
	}
	at.Path = "/" + name
	return at.String(), migrations.Up(ctx, at.String())
}

// benchServer starts what dev does, without limits and on request without a worker.
func benchServer(ctx context.Context, life *lifecycle, env *environment, database, data string, worker bool) (settings devSettings, err error) {
	var dev devCmd
	if err := kong.ApplyDefaults(&dev); err != nil {
		return settings, err
	}
	dev.DatabaseURL, dev.Data, dev.Addr, dev.MetricsAddr, dev.Queues = database, data, "127.0.0.1:0", "", ""
	dev.LimitSubmissions, dev.LimitUploads, dev.LimitQueueDepth = 0, 0, 0
	if worker {
		return dev.start(ctx, life, env)
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return settings, err
	}
	if settings, err = dev.tenant(ctx, data); err != nil {
		return settings, err
	}
	dev.AdminToken = settings.AdminToken
	address, err := startAPI(ctx, life, env, dev.databaseFlags, dev.knowledgeFlags, dev.webhookFlags, dev.apiFlags, ops.NewMetrics())
	settings.URL = "http://" + address
	return settings, err
}

// tune times a tune from its submission to its leaderboard.
func (s *benchService) tune(ctx context.Context, found *figures, body types.TuneRequest) error {
	start := time.Now()
	submitted, err := s.work.SubmitTune(ctx, "", body)
	if err != nil {
		return err
	}
	done, err := s.work.FollowTune(ctx, submitted.TuneID, 10, func(types.Tune) {})
	if err != nil {
		return err
	}
	if done.Status != types.TuneCompleted {
		return fmt.Errorf("the tune ended as %s", done.Status)
	}
	rate := float64(done.NTrials) / time.Since(start).Seconds()
	found.add("tune, submission to result", "trials/s", rate)
	alone := found.named(computedAlone, "").values
	found.ratio("tune, submission to result / computed alone", rate/alone[len(alone)-1])
	return nil
}
