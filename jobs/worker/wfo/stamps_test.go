package wfo_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/jobs/backtest"
	"millrace/jobs/worker/fleet"
	"millrace/jobs/worker/wfo"
	"millrace/ops"
	"millrace/store/stores"
	"millrace/store/storetest"
	"millrace/store/tuning"
	"millrace/store/workers"
)

// Folds that an older engine ran are left to a worker of it while one is heard, when that is asked for; else, and
// when none is, they are run again.
func TestFoldsOfAnOlderEngineAreLeftToItOrRunAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		leave bool
	}{{"left while it is heard", true}, {"run again", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := storetest.New(t)
			run, folds := d.WalkForward("w", 4, false)
			for i := range folds {
				d.RunFold(folds[i], storetest.OutcomeOf(5))
			}
			d.Exec(`update tunes set engine = '98', semantics = '' where wfo_id = $1`, run.ID)
			old := workers.Worker{ID: "old", Stamp: backtest.Stamp{Engine: "98", Semantics: "1"}, Queues: map[string]int{jobs.QueueWFO: 1}}
			beat := func() {
				_, err := d.Store.Workers.Beat(t.Context(), old, nil, nil)
				require.NoError(t, err)
			}
			again := func() bool {
				return d.Count(`select count(*) from tunes where wfo_id = $1 and engine = '99' and restarted_from = '98' and status = 'queued'`, run.ID) == len(folds)
			}
			beat()
			work(t, d, wfo.Options{Program: backtest.Stamp{Engine: "99", Semantics: "1"}, LeaveOlder: c.leave, StampPause: 10 * time.Millisecond})
			if c.leave {
				require.Eventually(t, func() bool {
					beat()
					return d.Count(`select count(*) from river_job where kind = 'wfo.candidates' and (metadata ->> 'snoozes')::int >= 2`) == 1
				}, 30*time.Second, 50*time.Millisecond, "its job is not put back")
				for _, fold := range folds {
					require.Equal(t, tuning.Completed, d.TuneStatus(*fold.TuneID))
				}
				require.NoError(t, d.Store.Workers.Retire(t.Context(), "old"))
			}
			require.Eventually(t, again, 30*time.Second, 10*time.Millisecond, "the folds are not run again")
		})
	}
}

// work starts a member of the fleet that judges walk-forwards and runs no fold.
func work(t *testing.T, d *storetest.Fixture, opts wfo.Options) {
	t.Helper()
	logger, metrics := slog.New(slog.DiscardHandler), ops.NewMetrics()
	member, err := fleet.New(fleet.Options{
		Pool: d.Pool, Slots: jobs.Slots{jobs.QueueWFO: 1}, Metrics: metrics, Logger: logger, Version: "test", Stamp: opts.Program, Drain: time.Second,
	}, func(st *stores.Set, to *river.Workers) {
		river.AddWorker(to, river.WorkFunc(func(context.Context, *river.Job[jobs.TunePlanArgs]) error { return nil })) // that it may insert them
		wfo.New(wfo.Stores{DB: st.DB, Market: st.Market, Strategies: st.Strategies, Tuning: st.Tuning, WalkForward: st.WalkForward, Workers: st.Workers}, metrics, logger, opts).Register(to)
	})
	require.NoError(t, err)
	require.NoError(t, member.Start(t.Context()))
	t.Cleanup(func() { _ = member.Stop(context.Background()) })
}
