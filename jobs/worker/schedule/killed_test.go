package schedule_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/calendar"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/schedule"
	"millrace/ops"
	"millrace/store"
	"millrace/store/requests"
	"millrace/store/schedules"
	"millrace/store/stores"
	"millrace/store/storetest"
)

// workerEnv makes the test binary a worker process on the database it names.
const workerEnv = "SCHEDULE_TEST_WORKER"

func TestMain(m *testing.M) {
	url := os.Getenv(workerEnv)
	if url == "" {
		os.Exit(m.Run())
	}
	if err := startWorker(context.Background(), url); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed, or the test is
}

// startWorker works the queue of schedules. A tune ends as soon as it is to be planned.
func startWorker(ctx context.Context, url string) error {
	id := fleet.NewID()
	pool, err := store.OpenPool(ctx, store.PoolOptions{DatabaseURL: url, MaxConns: 8, Worker: id})
	if err != nil {
		return err
	}
	logger := slog.New(slog.DiscardHandler)
	member, err := fleet.New(fleet.Options{
		ID: id, Pool: pool, Slots: jobs.Slots{jobs.QueueTunes: 2, jobs.QueueMaintenance: 1}, Metrics: ops.NewMetrics(), Logger: logger, Version: "test", Drain: time.Second,
	}, func(st *stores.Set, workers *river.Workers) {
		schedule.New(schedule.Stores{
			DB: st.DB, Requests: requests.Checker{Market: st.Market, Strategies: st.Strategies}, Library: st.Library, Schedules: st.Schedules,
			Tuning: st.Tuning, WalkForward: st.WalkForward,
		}, 0, logger).Register(workers)
		river.AddWorker(workers, river.WorkFunc(func(ctx context.Context, job *river.Job[jobs.TunePlanArgs]) error {
			_, err := st.Tuning.Cancel(ctx, job.Args.WorkspaceID, job.Args.TuneID)
			return err
		}))
	})
	if err != nil {
		return err
	}
	return member.Start(ctx)
}

// Workers are killed in the middle of the transaction that fires slots, of those that submit their work, and of those that
// end them. Another takes each up: every slot is there once, has one tune and one of each event.
func TestSlotsAreFiredSubmittedAndEndedOnceThoughWorkersAreKilled(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	var made *schedules.Schedule
	_, err := d.Store.Schedules.Create(ctx, store.Submission{Workspace: d.Space.ID, Route: "test"}, schedules.Schedule{
		Name: "minutely", Kind: schedules.Tune, Cron: "* * * * *", TimeZone: "UTC", Missed: calendar.All,
		Request: json.RawMessage(`{"dataset": "walk", "strategy_name": "sma_cross", "param_space": {"fast": [5, 10], "slow": [20, 50]}}`),
	}, func(s *schedules.Schedule) (store.Response, error) {
		made = s
		return store.Response{Status: 201}, nil
	})
	require.NoError(t, err)
	d.Exec(`update schedules set next_at = date_trunc('minute', now()) - interval '3 minutes'`)
	d.Exec(`update river_job set state = 'available', scheduled_at = now() where id = $1`, *made.JobID)

	// What each step changes last is locked, so that it is killed with all else done.
	of := func(state string) int {
		return d.Count(`select count(*) from schedule_slots where state = any(string_to_array($1, ','))`, state)
	}
	for _, step := range []struct {
		what, lock string
		untouched  func() bool
	}{
		{"fire", `select from schedules for no key update`, func() bool { return of("due,running,canceled") == 0 }},
		{"submit", `select from datasets for update`, func() bool {
			return of("due") > 0 && of("running,canceled") == 0 && d.Count(`select count(*) from tunes`) == 0
		}},
		{"compare", `select from schedules for no key update`, func() bool { return of("running") > 0 && of("canceled") == 0 }},
	} {
		locked := d.Open(step.lock)
		kill := process(t, d.Store.Pool().Config().ConnString())
		if step.what == "compare" { // the next slot may wait for the lock too
			require.Eventually(t, func() bool {
				return d.Count(`select count(*) from river_job where kind = 'schedule.compare' and state = 'running'`) > 0
			}, time.Minute, 10*time.Millisecond)
		}
		require.Eventually(t, func() bool {
			return d.Count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) > 0
		}, time.Minute, 10*time.Millisecond, step.what)
		kill()
		require.NoError(t, locked.Rollback(ctx))
		require.Eventually(t, func() bool {
			return d.Count(`select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`) == 0
		}, time.Minute, 10*time.Millisecond, step.what)
		require.True(t, step.untouched(), "a worker that was killed in the middle of %s left a part of it", step.what)
	}
	process(t, d.Store.Pool().Config().ConnString())
	require.Eventually(t, func() bool { return of("canceled") >= 4 && of("due,running") == 0 }, 2*time.Minute, 20*time.Millisecond)
	d.Exec(`update schedules set paused = true, next_at = null, job_id = null`)
	require.Eventually(t, func() bool { return of("due,running") == 0 }, 2*time.Minute, 20*time.Millisecond)

	slots := of("canceled")
	require.Equal(t, slots, d.Count(`select extract(epoch from max(slot_at) - min(slot_at))::int / 60 + 1 from schedule_slots`), "a slot is missing")
	require.Equal(t, slots, d.Count(`select count(distinct slot_at) from schedule_slots`), "a slot is doubled")
	require.Equal(t, slots, d.Count(`select count(distinct entity_id) from schedule_slots`))
	require.Equal(t, slots, d.Count(`select count(*) from tunes`), "a slot has two tunes, or none")
	for _, event := range []string{"schedule.fired", "schedule.canceled"} {
		require.Equal(t, slots, d.Count(`select count(*) from event_log where type = $1`, event), event)
		require.Equal(t, slots, d.Count(`select count(distinct payload ->> 'slot_id') from event_log where type = $1`, event), event)
	}
}

// process starts a worker process; kill ends it as the kernel would.
func process(t *testing.T, url string) (kill func()) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run", "^$")
	child.Env, child.Stderr = append(os.Environ(), workerEnv+"="+url), os.Stderr
	_, err := child.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	kill = func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}
	t.Cleanup(kill)
	return kill
}
