package lifecycle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/lifecycle"
	"millrace/store/storetest"
)

// A run is hidden by itself, and not only with its dataset.
func TestADeletedRunIsNotSeenFromThenOn(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	run, err := putRun(t.Context(), d, "1", d.Dataset.ID)
	require.NoError(t, err)
	made, err := d.Store.Lifecycle.Delete(t.Context(), d.Space.ID, request(lifecycle.Run, run))
	require.NoError(t, err)
	_, err = d.Store.Market.RunDetail(t.Context(), d.Space.ID, run)
	require.ErrorIs(t, err, store.ErrNotFound, "a run that is being deleted is read")
	require.Equal(t, 1, d.Count(`select count(*) from backtest_runs`), "its row is there until the job runs")
	work(d, made.ID)
	require.Zero(t, d.Count(`select count(*) from backtest_runs`))
}
