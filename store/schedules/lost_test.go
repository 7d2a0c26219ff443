package schedules_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/calendar"
	"millrace/store"
	"millrace/store/schedules"
	"millrace/store/workers"
)

// A run has no job while its tune, walk-forward or ingestion runs, and is lost only when that has ended.
func TestRunWhoseWorkHasNotEndedIsNotTakenForLost(t *testing.T) {
	t.Parallel()
	for kind, work := range map[schedules.Kind]struct {
		begin func(*fixture) uuid.UUID
		end   string
	}{
		schedules.Tune: {func(d *fixture) uuid.UUID { tune, _ := d.Tune("t"); return tune.ID },
			`update tunes set status = 'failed', completed_at = now() where id = $1`},
		schedules.WalkForward: {func(d *fixture) uuid.UUID { wfo, _ := d.WalkForward("w", 2, false); return wfo.ID },
			`update wfo_runs set status = 'failed', completed_at = now() where id = $1`},
		schedules.Ingestion: {func(d *fixture) uuid.UUID { return d.Ingest("i").ID },
			`update ingest_jobs set status = 'failed', completed_at = now() where id = $1`},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			d := newFixture(t, "2025-01-01T05:59:00Z")
			made := d.made(schedules.Schedule{Name: "nightly", Cron: "0 6 * * *", Missed: calendar.Once})
			d.setClock("2025-01-01T06:00:01Z")
			d.fire(made.ID)
			slot := d.slots(made.ID)[0]
			id := work.begin(d)
			require.NoError(t, d.schedules.Submit(t.Context(), d.Claim(*slot.JobID, "w"), slot, 0,
				func(context.Context, *store.Tx) (uuid.UUID, error) { return id, nil }))
			taken := func() (lost []workers.LostWork) {
				done, err := d.Store.Workers.Reconcile(t.Context())
				require.NoError(t, err)
				for _, one := range done {
					if one.What == "schedule" {
						lost = append(lost, one.LostWork)
					}
				}
				return lost
			}
			require.Empty(t, taken(), "a run whose work continues is taken for lost")
			d.Exec(work.end, id)
			require.Equal(t, []workers.LostWork{{What: "schedule", ID: slot.ID}}, taken())
		})
	}
}
