package tuning_test

import (
	"testing"

	"github.com/riverqueue/river"
	"github.com/stretchr/testify/require"

	"millrace/jobs"
	"millrace/store/storetest"
)

// The plan job of a tune that waits is inserted by the tune's own statement: its row is the one that River would insert.
func TestThePlanJobOfAWaitingTuneIsAsRiverInsertsIt(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	d.Tune("1")
	d.Tune("2")
	tune, held := d.Tune("3")
	require.Equal(t, "pending", d.JobState(held))
	tx, err := d.Store.Pool().Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(t.Context()) }()
	inserted, err := d.Store.River().InsertTx(t.Context(), tx, jobs.TunePlanArgs{WorkspaceID: d.Space.ID, TuneID: tune.ID},
		&river.InsertOpts{Pending: true, Priority: jobs.PriorityShare})
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	const row = `select to_jsonb(j) - '{id,created_at,scheduled_at}'::text[], created_at = scheduled_at from river_job j where id = $1`
	var ours, rivers string
	var now, same bool
	require.NoError(t, d.Owner.QueryRow(t.Context(), row, held).Scan(&ours, &now))
	require.NoError(t, d.Owner.QueryRow(t.Context(), row, inserted.Job.ID).Scan(&rivers, &same))
	require.JSONEq(t, rivers, ours)
	require.True(t, now && same, "a job waits for another moment than that of its insert")
	require.Equal(t, held, d.PlanJob(tune.ID))
	require.Equal(t, 1, d.Count(`select count(*) from event_log where type = 'job.pending' and job_ids = array[$1::bigint]`, held))
}
