package workers_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store/storetest"
	"millrace/store/workers"
)

// The jobs of a thing are found by its id, newest first, in its own workspace only.
func TestJobsOfATune(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	tune, other := uuid.New(), uuid.New()
	for _, of := range []uuid.UUID{tune, other, tune, tune} {
		d.Exec(`insert into river_job (kind, args, queue, max_attempts, state)
			values ('tune.shard', jsonb_build_object('workspace_id', $1::text, 'tune_id', $2::text), 'trials', 3, 'available')`, d.Space.ID, of)
	}
	jobs, err := d.Store.Workers.Jobs(t.Context(), d.Space.ID, "tune_id", tune, 2)
	require.NoError(t, err)
	require.Len(t, jobs, 2)
	require.Greater(t, jobs[0].ID, jobs[1].ID)
	require.Equal(t, "available", jobs[0].State)
	jobs, err = d.Store.Workers.Jobs(t.Context(), uuid.New(), "tune_id", tune, 10)
	require.NoError(t, err)
	require.Empty(t, jobs, "of another workspace")
}

// A job that ended since its worker's last heartbeat is not running, and a workspace counts its own jobs only.
func TestJobsThatEndedBetweenHeartbeatsAreNotRunning(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	_, first := d.Tune("1")
	_, second := d.Tune("2")
	d.Claim(first, "w")
	d.Claim(second, "w")
	_, err := d.Store.Workers.Beat(ctx, workers.Worker{ID: "w"}, []workers.Held{{JobID: first, Attempt: 1}, {JobID: second, Attempt: 1}}, nil)
	require.NoError(t, err)
	running := func() (fleet, own, others int) {
		live, err := d.Store.Workers.Live(ctx)
		require.NoError(t, err)
		require.Len(t, live, 1)
		own, err = d.Store.Workers.Running(ctx, d.Space.ID)
		require.NoError(t, err)
		others, err = d.Store.Workers.Running(ctx, uuid.New())
		require.NoError(t, err)
		return live[0].Running, own, others
	}
	fleet, own, others := running()
	require.Equal(t, []int{2, 2, 0}, []int{fleet, own, others})
	d.Exec(`update river_job set state = 'completed', finalized_at = now() where id = $1`, first)
	fleet, own, others = running()
	require.Equal(t, []int{1, 1, 0}, []int{fleet, own, others})
}
