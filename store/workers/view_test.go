package workers_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store/storetest"
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
