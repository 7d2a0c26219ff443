package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"millrace/api/client"
	"millrace/api/types"
	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/migrations"
	"millrace/ops"
	"millrace/ops/routine"
	"millrace/store/localpg"
	"millrace/store/session"
)

// benchClients is how many submit at once.
const benchClients = 8

// benchService is a server with a worker, and one without whose submissions wait for good, each on a database of its
// own in a throwaway cluster that flushes to disk as any other does.
type benchService struct {
	cluster *localpg.Cluster
	work    *client.Client // of the server with a worker
	submit  *client.Client // of the one without
	url     string         // where it listens
	queue   string         // its database
	floor   *benchFloor    // made by the first round
	sent    int            // submissions so far
}

func newBenchService(ctx context.Context, life *lifecycle, env *environment, bars *backtest.Bars) (*benchService, error) {
	data, err := os.MkdirTemp("", "millrace-bench-")
	if err != nil {
		return nil, err
	}
	life.onStop(func(context.Context) error { return os.RemoveAll(data) })
	s := &benchService{}
	s.cluster, err = localpg.Start(ctx, localpg.Options{
		DataDir: filepath.Join(data, "postgres"), Logger: env.logger, Settings: map[string]string{"max_connections": "200"},
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

// submissions times tunes that several clients submit to one workspace, and then pgbench, which inserts the rows of
// one of them as often with as many clients: what Postgres could do here at most.
func (s *benchService) submissions(ctx context.Context, found *figures, body types.TuneRequest, many int) error {
	body.NTrials = new(100)
	took := make([][]time.Duration, benchClients)
	var last string
	before, begin := s.spent(found), time.Now()
	group, in := routine.NewGroup(ctx)
	for at := range took {
		group.Run(func() error {
			for i := at; i < many; i += benchClients {
				start := time.Now()
				tune, err := s.submit.SubmitTune(in, "bench-"+strconv.Itoa(s.sent+i), body)
				if err != nil {
					return err
				}
				took[at] = append(took[at], time.Since(start))
				if at == 0 {
					last = tune.TuneID
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	rate := float64(many) / time.Since(begin).Seconds()
	spent := s.spent(found).since(before)
	s.sent += many
	all := slices.Sorted(slices.Values(slices.Concat(took...)))
	found.add("submissions", "a second", rate)
	found.add("submissions, p50", "ms", all[len(all)/2].Seconds()*1000)
	found.add("submissions, p99", "ms", all[len(all)*99/100].Seconds()*1000)
	if s.floor == nil {
		var err error
		if s.floor, err = newBenchFloor(ctx, s.queue, last); err != nil {
			return err
		}
	}
	before = s.spent(found)
	floor, ok, err := s.floor.run(ctx, many)
	if err != nil || !ok {
		found.missing("pgbench was not found beside Postgres or on the PATH: its inserts were not measured")
		return err
	}
	least := s.spent(found).since(before)
	least.ours = floor.processor
	found.add("pgbench inserting the same rows", "a second", floor.rate)
	found.add("pgbench, p99", "ms", floor.p99.Seconds()*1000)
	found.ratio("submissions / pgbench", rate/floor.rate)
	if !spent.known {
		return nil
	}
	each := func(d time.Duration) float64 { return d.Seconds() * 1000 / float64(many) }
	found.add("processor time of a submission: client and server", "ms", each(spent.ours))
	found.add("processor time of a submission: Postgres", "ms", each(spent.postgres))
	found.add("processor time of its rows: pgbench", "ms", each(least.ours))
	found.add("processor time of its rows: Postgres", "ms", each(least.postgres))
	found.ratio("processor time, of its rows by pgbench / of a submission", float64(least.ours+least.postgres)/float64(spent.ours+spent.postgres))
	return nil
}

// spent is processor time that was taken.
type spent struct {
	ours, postgres time.Duration
	known          bool
}

// spent is what this process and its Postgres have taken so far.
func (s *benchService) spent(found *figures) spent {
	var used syscall.Rusage
	postgres, err := s.cluster.ProcessorTime()
	if err == nil {
		err = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	}
	if err != nil {
		found.missing("processor time was not measured: " + err.Error())
		return spent{}
	}
	return spent{ours: time.Duration(used.Utime.Nano() + used.Stime.Nano()), postgres: postgres, known: true}
}

func (s spent) since(before spent) spent {
	return spent{ours: s.ours - before.ours, postgres: s.postgres - before.postgres, known: s.known && before.known}
}
