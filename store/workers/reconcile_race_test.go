package workers_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

// The reconciler takes work up that its user cancels at that moment. The work ends once, as canceled, and a
// job that was revived for it finds that it has ended.
func TestACancelThatRacesTheReconcilerEndsTheWorkOnce(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	ctx := t.Context()
	revived := 0
	for round := range 24 {
		tune, plan := d.Tune(string(rune('a' + round)))
		d.Exec(`update river_job set state = 'discarded', finalized_at = now() where id = $1`, plan)
		start := make(chan struct{})
		var calls sync.WaitGroup
		var canceled, reconciled error
		calls.Go(func() {
			<-start
			_, canceled = d.Store.Tuning.Cancel(ctx, d.Space.ID, tune.ID)
		})
		calls.Go(func() {
			<-start
			_, reconciled = d.Store.Workers.Reconcile(ctx)
		})
		close(start)
		calls.Wait()
		require.NoError(t, canceled)
		require.NoError(t, reconciled)
		lost, err := d.Store.Workers.LostWork(ctx, 10)
		require.NoError(t, err)
		require.Empty(t, lost)
		if d.Count(`select count(*) from river_job where id = $1 and state = 'available'`, plan) == 1 {
			revived++
			err := d.Store.Tuning.Begin(ctx, d.Claim(plan, "w"), tune.ID, tuning.Plan{})
			require.ErrorIs(t, err, store.ErrEnded)
		}
		require.Equal(t, 1, d.Count(`select count(*) from tunes where id = $1 and status = 'canceled'`, tune.ID))
		require.Equal(t, 1, d.Count(`select count(*) from event_log where entity_id = $1::text
			and type in ('backtest.tune.completed', 'backtest.tune.failed', 'backtest.tune.canceled')`, tune.ID))
	}
	t.Logf("the reconciler was first in %d of 24 rounds", revived)
}
