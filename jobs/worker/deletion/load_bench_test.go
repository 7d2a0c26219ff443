package deletion_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store/lifecycle"
	"millrace/store/storetest"
)

// BenchmarkDeletionsBesideSubmissions submits MILLRACE_BENCH_RATE tunes a second (500 without it), or as many as the machine
// holds alone (three quarters of that, and so on), alone and beside the deletion of 10,000 ended tunes with
// ten shards each by one filter, alternately: a first half alone and beside, and a second. What a submission takes is
// counted from when it was due, so that one which waits for those before it shows. "p99-ratio" is the 99th percentile
// beside deletions over that alone, of both halves together; "pace/s" is the pace of both, and "done-alone/s" and
// "done-beside/s" are what was done of it.
func BenchmarkDeletionsBesideSubmissions(b *testing.B) {
	const tunes = 10_000
	aSecond := storetest.Size(b, "MILLRACE_BENCH_RATE", 500)
	for b.Loop() {
		b.StopTimer()
		d := storetest.New(b)
		stop, err := startWorker(b.Context(), d.Owner.Config().ConnString())
		require.NoError(b, err)
		load := &submissions{d: d, aSecond: aSecond}
		var alone, beside []time.Duration
		var aloneFor, besideFor time.Duration
		var deleting time.Duration
		b.StartTimer()
		for half := range 2 {
			endedTunes(d, tunes/2)
			load.during(func() { <-time.After(3 * time.Second) }) // what follows from the rows that were made ends meanwhile
			began := time.Now()
			took := load.during(func() { <-time.After(10 * time.Second) })
			for half == 0 && !held(took) {
				load.aSecond = load.aSecond * 3 / 4
				began = time.Now()
				took = load.during(func() { <-time.After(10 * time.Second) })
			}
			alone, aloneFor = append(alone, took...), aloneFor+time.Since(began)
			began = time.Now()
			beside = append(beside, load.during(func() {
				done, err := d.Store.Lifecycle.Bulk(b.Context(), d.Space.ID, lifecycle.Bulk{
					Kind: lifecycle.Tune, Action: lifecycle.DeleteAll, Filter: lifecycle.Filter{Status: "completed"}, Confirm: tunes / 2,
				})
				require.NoError(b, err)
				require.Equal(b, tunes/2, done.Changed)
				require.Eventually(b, func() bool {
					return d.Count(`select count(*) from deletions where status <> 'completed'`) == 0
				}, 10*time.Minute, 50*time.Millisecond)
				deleting += time.Since(began)
			})...)
			besideFor += time.Since(began)
			require.Zero(b, d.Count(`select count(*) from tunes where status = 'completed'`))
		}
		b.StopTimer()
		stop()
		b.ReportMetric(float64(load.aSecond), "pace/s")
		b.ReportMetric(float64(len(alone))/aloneFor.Seconds(), "done-alone/s")
		b.ReportMetric(float64(len(beside))/besideFor.Seconds(), "done-beside/s")
		b.ReportMetric(tunes/deleting.Seconds(), "deletions/s")
		b.ReportMetric(millisecondsAt(alone, 50), "p50-alone-ms")
		b.ReportMetric(millisecondsAt(beside, 50), "p50-beside-ms")
		b.ReportMetric(millisecondsAt(alone, 99), "p99-alone-ms")
		b.ReportMetric(millisecondsAt(beside, 99), "p99-beside-ms")
		b.ReportMetric(millisecondsAt(beside, 99)/millisecondsAt(alone, 99), "p99-ratio")
		b.StartTimer()
	}
}

// endedTunes adds completed tunes, with ten shards and ten leaders each.
func endedTunes(d *storetest.Fixture, n int) {
	d.T.Helper()
	model, _ := d.Tune(uuid.NewString())
	d.Exec(`
		insert into tunes (id, workspace_id, dataset_id, strategy, objective, search_type, spec, status, admitted, n_trials, started_at, completed_at)
		select gen_random_uuid(), workspace_id, dataset_id, strategy, objective, search_type, spec, 'completed', true, n_trials, now(), now()
		  from tunes, generate_series(1, $2) where id = $1`, model.ID, n)
	d.Exec(`insert into tune_shards (tune_id, shard, workspace_id, first_trial, n_trials, start_cursor, done)
		select id, n, workspace_id, n, 1, n, true from tunes, generate_series(0, 9) n where status = 'completed'`)
	d.Exec(`vacuum analyze tunes, tune_shards`)
	d.Exec(`checkpoint`)
}

// submissions are sent at a pace that does not follow the server's.
type submissions struct {
	d       *storetest.Fixture
	aSecond int
	sent    int
}

// held reports whether the machine held the pace: at the end submissions did not wait for those before them.
func held(took []time.Duration) bool {
	return len(took) < 100 || millisecondsAt(slices.Clone(took[len(took)*9/10:]), 50) < 100
}

// during submits until what is done has returned, and gives what each submission took.
func (s *submissions) during(what func()) (took []time.Duration) {
	ctx, stop := context.WithCancel(s.d.T.Context())
	due := make(chan time.Time, 100_000)
	var mu sync.Mutex
	var clients, pace sync.WaitGroup
	for range 6 {
		clients.Go(func() {
			for at := range due {
				mu.Lock()
				s.sent++
				key := fmt.Sprint(s.sent)
				mu.Unlock()
				_, err := s.d.Submit(key)
				mu.Lock()
				if err != nil {
					s.d.T.Errorf("submission: %v", err)
				}
				took = append(took, time.Since(at))
				mu.Unlock()
			}
		})
	}
	pace.Go(func() {
		defer close(due)
		for next := time.Now(); ctx.Err() == nil; next = next.Add(time.Second / time.Duration(s.aSecond)) {
			if wait := time.Until(next); wait > 0 {
				<-time.After(wait)
			}
			due <- next
		}
	})
	what()
	stop()
	pace.Wait()
	clients.Wait()
	return took
}

// millisecondsAt is a percentile.
func millisecondsAt(took []time.Duration, percent int) float64 {
	slices.Sort(took)
	return float64(took[len(took)*percent/100].Microseconds()) / 1000
}
