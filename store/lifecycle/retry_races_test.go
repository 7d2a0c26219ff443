package lifecycle_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store/lifecycle"
	"millrace/store/storetest"
)

// What was cancelled is taken up again while it is being deleted: the deletion finds work that has not ended, which is
// refused, or cancelled if it may be. Nothing keeps a place of the workspace's cap that nobody sees.
func TestDeletingWhatIsRetriedMeanwhileIsRefusedOrCancelsIt(t *testing.T) {
	t.Parallel()
	type subject struct {
		delete  lifecycle.Request
		retried lifecycle.Kind
		id      uuid.UUID
	}
	for name, of := range map[string]func(d *storetest.Fixture) subject{
		"a tune": func(d *storetest.Fixture) subject {
			tune, _ := d.Tune("1")
			return subject{request(lifecycle.Tune, tune.ID), lifecycle.Tune, tune.ID}
		},
		"a walk-forward": func(d *storetest.Fixture) subject {
			wfo, _ := d.WalkForward("1", 2, false)
			return subject{request(lifecycle.WalkForward, wfo.ID), lifecycle.WalkForward, wfo.ID}
		},
		"a run plan": func(d *storetest.Fixture) subject {
			plan, _ := runPlan(d, "1", 2)
			return subject{request(lifecycle.RunPlan, plan), lifecycle.RunPlan, plan}
		},
	} {
		for _, kind := range []lifecycle.Kind{"", lifecycle.Dataset} {
			for _, cascades := range []bool{false, true} {
				if kind == lifecycle.Dataset && !cascades {
					continue // is refused anyway
				}
				title := name + map[bool]string{true: ", and what runs", false: ""}[cascades] + map[bool]string{true: ", with its dataset", false: ""}[kind != ""]
				t.Run(title, func(t *testing.T) {
					t.Parallel()
					d := storetest.New(t)
					ctx := t.Context()
					s := of(d)
					if kind == lifecycle.Dataset {
						s.delete = request(lifecycle.Dataset, d.Dataset.ID)
					}
					s.delete.Cascade = cascades
					change := func(action lifecycle.Action) (lifecycle.BulkDone, error) {
						return d.Store.Lifecycle.Bulk(ctx, d.Space.ID, lifecycle.Bulk{
							Kind: s.retried, Action: action, Confirm: 1, Filter: lifecycle.Filter{IDs: []uuid.UUID{s.id}}})
					}
					done, err := change(lifecycle.CancelAll)
					require.NoError(t, err)
					require.Equal(t, 1, done.Changed)

					// The retry is held up where it inserts its jobs, and the deletion behind it.
					hold := d.Open(`lock table river_job in share mode`)
					retried, deleted := make(chan error, 1), make(chan error, 1)
					go func() { _, err := change(lifecycle.RetryAll); retried <- err }()
					d.AwaitBlocked()
					go func() { _, err := d.Store.Lifecycle.Delete(ctx, d.Space.ID, s.delete); deleted <- err }()
					d.AwaitBlockedBy(2)
					require.NoError(t, hold.Rollback(ctx))
					require.NoError(t, <-retried)
					if cascades {
						require.NoError(t, <-deleted)
						require.Zero(t, d.Count(`select (select count(*) from tunes where status in ('queued', 'running')) + (select count(*) from wfo_runs where status in ('pending', 'running'))`),
							"what is deleted is cancelled first")
					} else {
						require.NotEmpty(t, refused(t, <-deleted).Active)
						require.Zero(t, d.Count(`select count(*) from deletions`))
					}
				})
			}
		}
	}
}
