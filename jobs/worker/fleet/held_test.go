package fleet

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/ops"
	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
	"millrace/store/workers"
)

type nothing struct{}

func (nothing) Kind() string { return "nothing" }

func TestAJobIsHeldUntilItsCompletionIsStored(t *testing.T) {
	t.Parallel()
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: pgtest.New(t).URL, MaxConns: 8})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	end := make(chan struct{})
	f, err := New(Options{
		Pool: pool, Slots: jobs.Slots{river.QueueDefault: 2}, Metrics: ops.NewMetrics(), Logger: slog.New(slog.DiscardHandler), Drain: time.Second,
	}, func(_ *stores.Set, workers *river.Workers) {
		river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[nothing]) error { <-end; return nil }))
	})
	require.NoError(t, err)
	require.NoError(t, f.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, f.Stop(context.WithoutCancel(t.Context()))) })
	_, err = f.Client.Insert(t.Context(), nothing{}, nil)
	require.NoError(t, err)
	holds := func() int {
		f.held.extend(time.Now()) // none runs out
		f.held.mu.Lock()
		defer f.held.mu.Unlock()
		return len(f.held.jobs)
	}
	require.Eventually(t, func() bool { return holds() == 1 }, 30*time.Second, time.Millisecond)
	close(end)
	require.Eventually(t, func() bool { return holds() == 0 }, 30*time.Second, time.Millisecond)
}

func TestOnlyACompletionThatIsStoredEndsAHold(t *testing.T) {
	h, now := newHeld(), time.Now()
	h.begin(workers.Held{JobID: 1, Attempt: 2}, func(error) {})
	h.recorded(&rivertype.JobRow{ID: 1, Attempt: 2, State: rivertype.JobStateCompleted}) // of an attempt of that number before
	running, _ := h.now(now)
	require.Len(t, running, 1)
	h.end(workers.Held{JobID: 1, Attempt: 2}, now)
	h.recorded(&rivertype.JobRow{ID: 1, Attempt: 1, State: rivertype.JobStateCompleted})
	h.recorded(&rivertype.JobRow{ID: 1, Attempt: 2, State: rivertype.JobStateRunning}) // refused, of an attempt that is over
	_, ended := h.now(now)
	require.Equal(t, []int64{1}, ended)
	h.recorded(&rivertype.JobRow{ID: 1, Attempt: 2, State: rivertype.JobStateCompleted})
	_, ended = h.now(now)
	require.Empty(t, ended)
}

func TestTheWorkspaceOfArgumentsIsThatOfTheirDecoding(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		``: "", `{}`: "", `null`: "", `{"tune_id": "t"}`: "",
		`{"tune_id": "t", "workspace_id": "w"}`:                   "w",
		`{"workspace_id":"w"}`:                                    "w",
		`{"a": {"workspace_id": "inner"}, "workspace_id": "w"}`:   "w",
		`{"a": {"workspace_id": "inner"}}`:                        "",
		`{"a": [{"workspace_id": "inner"}], "workspace_id": "w"}`: "w",
		`{"a": "\"workspace_id\": \"text", "workspace_id": "w"}`:  "w",
		`{"workspace_id": "w\u0041"}`:                             "wA",
		`{"workspace_id": 7}`:                                     "",
	} {
		require.Equal(t, want, spaceOf([]byte(args)), args)
	}
}
