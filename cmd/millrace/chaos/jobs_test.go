package chaos

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/backtest/ohlcv"
	"millrace/store"
	"millrace/store/eventlog"
	"millrace/store/stores"
)

// Jobs of several kinds are submitted and worked while everything fails. In the end each has had
// its effect, once, by the attempt that completed it.
func TestEveryJobHasItsEffectOnce(t *testing.T) {
	beside(t)
	s := newDeployment(t)
	_, err := s.owner.Exec(t.Context(), `
		create table chaos_effects (n int, job_id bigint, attempt int, worker text);
		create table chaos_failures (n int, reason text);
		create table chaos_fenced (n int, attempt int);
		grant select, insert on chaos_effects, chaos_failures, chaos_fenced to millrace_app, millrace_workspace`)
	require.NoError(t, err)
	space, key := s.tenant("jobs")
	front := s.serve(0)
	var workers []*process
	for i := range sizes.workers {
		workers = append(workers, s.run([]string{workerEnv + "=" + s.through(i)}, os.Args[0]))
	}
	submitter := &submitter{deployment: s, server: front, space: space.ID, key: key}
	submitter.upload()
	var calm [len(strategies)]string
	for i, strategy := range strategies {
		calm[i] = submitter.tuneOf(strategy, fmt.Sprint("calm", i), sizes.slow)
		submitter.await(calm[i])
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go supervise(ctx, append([]*process{front.process}, workers...)...)
	watch := s.watchCap(ctx)
	storm := &storm{deployment: s, rng: chance(t), workers: workers, servers: []*server{front}}
	began := time.Now()
	var submitted atomic.Int64
	var submitting sync.WaitGroup
	submitting.Go(func() { submitter.submitEffects(ctx, storm.rng.Uint64(), &submitted) })
	tunes := make([]string, sizes.tunes)
	submitting.Go(func() {
		for i := range tunes {
			tunes[i] = submitter.tuneOf(strategies[i%len(strategies)], fmt.Sprint("tune", i), sizes.slow)
		}
	})
	pace := 150 * time.Millisecond
	storm.blow(pace, func() bool {
		return storm.total.Load() >= int64(sizes.faults) && submitted.Load() == int64(sizes.jobs)
	})
	submitting.Wait()
	stormy := time.Since(began)

	submitter.awaitAll(tunes)
	for i, id := range tunes {
		require.Equal(t, submitter.outcome(calm[i%len(calm)]), submitter.outcome(id), "a tune under faults ends with the bytes of a calm one")
	}
	n := sizes.jobs
	jobs := s.count(`select count(*) from river_job where kind = 'chaos.effect'`)
	lost := n - s.count(`select count(distinct n) from chaos_effects`)
	twice := s.count(`select count(*) - count(distinct n) from chaos_effects`) + jobs - n
	zombies := s.count(`
		select count(*) from chaos_effects e join river_job j on j.id = e.job_id
		 where j.state <> 'completed' or j.attempt <> e.attempt or j.attempted_by[cardinality(j.attempted_by)] <> e.worker`)
	refused := s.count(`select count(*) from event_log where type = 'zombie.refused'`)
	rescued := s.count(`select count(*) from river_job, unnest(errors) e where e ->> 'error' like 'the worker % is gone'`)
	fenced := s.count(`select count(*) from chaos_fenced`)
	all := s.count(`select count(*) from river_job where kind <> 'maintenance.upkeep'`)
	report.say("exactly-once effect: %d jobs (%d of tunes) under %d faults in %s: %d lost, %d duplicated, %d zombie completions",
		all, all-jobs, storm.total.Load(), stormy.Round(time.Second), lost, twice, zombies)
	report.say("  faults: %s", storm)
	report.say("  %d attempts rescued from lost workers; of zombies %d results fenced and %d outcomes refused", rescued, fenced, refused)
	report.say("  cap of %d running tunes a workspace: at most %d in %d looks", capOfTenant, watch.most.Load(), watch.looks.Load())
	require.Zero(t, s.count(`select count(*) from chaos_failures`), "no job is given up")
	require.Zero(t, lost)
	require.Zero(t, twice)
	require.Zero(t, zombies)
	require.LessOrEqual(t, watch.most.Load(), int64(capOfTenant))
	require.GreaterOrEqual(t, storm.total.Load(), int64(sizes.faults))
	if full {
		require.Positive(t, fenced+refused, "no zombie ever tried: the faults are too mild to show it")
		require.Positive(t, rescued)
	}
	s.requireTrueCounters()
}

// capWatch looks again and again at how many tunes a workspace has running.
type capWatch struct{ most, looks atomic.Int64 }

func (s *deployment) watchCap(ctx context.Context) *capWatch {
	w := &capWatch{}
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			var n int64
			err := s.owner.QueryRow(ctx, `
				select coalesce(max(n), 0) from (select count(*) as n from tunes where status = 'running' group by workspace_id) s`).Scan(&n)
			if err != nil {
				continue // the database is away
			}
			w.looks.Add(1)
			w.most.Store(max(w.most.Load(), n))
		}
	}()
	return w
}

// requireTrueCounters holds the counters, followed from the log through all of this, against a scan.
func (s *deployment) requireTrueCounters() {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		c, err := s.store.EventLog.Counters(s.t.Context(), uuid.NullUUID{})
		if err != nil {
			return false
		}
		rows, err := s.owner.Query(s.t.Context(), `select queue, state::text, count(*) from river_job group by 1, 2 order by 1, 2`)
		if err != nil {
			return false
		}
		scanned, err := pgx.CollectRows(rows, pgx.RowToStructByPos[eventlog.JobCount])
		return err == nil && fmt.Sprint(scanned) == fmt.Sprint(c.Jobs)
	}, 30*time.Second, 100*time.Millisecond, "the counters do not agree with a scan")
}

// submitter submits work and reads what came of it, as clients do: again and again until it is answered.
type submitter struct {
	*deployment
	server *server
	space  uuid.UUID
	key    string
}

// submitEffects submits every effect job in a transaction of its own, through the faults.
func (d *submitter) submitEffects(ctx context.Context, seed uint64, done *atomic.Int64) {
	front := d.newStore(d.through(0))
	client, err := jobs.NewInsertClient(front.Pool(), slog.New(slog.DiscardHandler))
	if err != nil {
		d.t.Error(err)
		return
	}
	const submitters = 6
	var all sync.WaitGroup
	for w := range submitters {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(seed, uint64(w)))
			for n := w; n < sizes.jobs; n += submitters {
				args := effectArgs{WorkspaceID: d.space, ID: uuid.New(), N: n, Takes: between(rng, 2, 20), Stubborn: n%3 == 0}
				if n%40 == 0 {
					args.Takes = between(rng, 1000, 4000) // long enough to be struck at
				}
				for !d.submitEffect(ctx, front, client, args) {
				}
				done.Add(1)
			}
		})
	}
	all.Wait()
}

func (d *submitter) submitEffect(ctx context.Context, front *stores.Set, client *jobs.InsertClient, args effectArgs) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	sub := store.Submission{Workspace: d.space, Route: "chaos", Key: fmt.Sprint(args.N), Fingerprint: sha256.Sum256(nil)}
	_, err := front.Submit(ctx, sub, func(ctx context.Context, tx *store.Tx) (store.Response, error) {
		_, err := client.InsertTx(ctx, tx, args, nil)
		return store.Response{Status: http.StatusAccepted}, err
	})
	return err == nil || d.t.Context().Err() != nil
}

// call makes a request; a connection that fails is status 0.
func (d *submitter) call(method, path, contentType string, body []byte, headers ...string) (int, []byte) {
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, d.server.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	req.Header.Set("Authorization", "Bearer "+d.key)
	req.Header.Set("Content-Type", contentType)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, nil
	}
	return resp.StatusCode, answer
}

func (d *submitter) upload() {
	d.t.Helper()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 7, Bars: 30_000, Interval: time.Hour})
	require.NoError(d.t, err)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for field, value := range map[string]string{"name": "walk", "symbol": "W", "timeframe": "1h", "time_range": "any"} {
		require.NoError(d.t, form.WriteField(field, value))
	}
	part, err := form.CreateFormFile("file", "walk.csv")
	require.NoError(d.t, err)
	require.NoError(d.t, ohlcv.WriteCSV(part, bars))
	require.NoError(d.t, form.Close())
	status, answer := d.call(http.MethodPost, "/datasets", form.FormDataContentType(), body.Bytes())
	require.Equal(d.t, http.StatusCreated, status, string(answer))
	d.storeScript()
}

// outcome is what a tune found, without what differs from run to run.
func (d *submitter) outcome(id string) string {
	d.t.Helper()
	var tune struct {
		Status      string
		Error       *string
		Completed   int             `json:"trials_completed"`
		Counts      map[string]int  `json:"counts"`
		Leaderboard json.RawMessage `json:"leaderboard"`
		Overfit     json.RawMessage `json:"overfit"`
	}
	require.Eventually(d.t, func() bool {
		status, answer := d.call(http.MethodGet, "/backtests/tunes/"+id+"?leaderboard=1000", "", nil)
		return status == http.StatusOK && json.Unmarshal(answer, &tune) == nil
	}, time.Minute, 100*time.Millisecond)
	text, err := json.Marshal(tune)
	require.NoError(d.t, err)
	return string(text)
}

func (d *submitter) await(tune string) {
	d.t.Helper()
	require.Eventually(d.t, func() bool {
		return strings.Contains(d.outcome(tune), `"Status":"completed"`)
	}, 2*time.Minute, 100*time.Millisecond)
}

// awaitAll waits for everything that was submitted to end.
func (d *submitter) awaitAll(tunes []string) {
	d.t.Helper()
	open := -1
	require.Eventually(d.t, func() bool {
		open = d.count(`select count(*) from river_job where finalized_at is null and kind <> 'maintenance.upkeep'`)
		return open == 0
	}, 3*time.Minute, 200*time.Millisecond, "%d jobs never end", &open)
	for _, id := range tunes {
		d.await(id)
	}
}
