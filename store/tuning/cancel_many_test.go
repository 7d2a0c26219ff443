package tuning_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/storetest"
	"millrace/store/tuning"
)

func cancelMany(d *storetest.Fixture, ids ...uuid.UUID) (canceled []uuid.UUID, err error) {
	err = d.Store.DB.InWorkspace(d.T.Context(), d.Space.ID, func(tx *store.Tx) (err error) {
		canceled, err = d.Store.Tuning.CancelIn(d.T.Context(), tx, d.Space.ID, ids)
		return err
	})
	return canceled, err
}

// Who saves a result of one of them holds its lock, and has saved it whole before it is cancelled.
func TestCancellingManyWaitsForAResultThatIsBeingSaved(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	first, _ := d.Tune("1")
	second, _ := d.Tune("2")
	saving := d.Open(fmt.Sprintf(`select pg_advisory_xact_lock(hashtextextended('%s', 0))`, second.ID))
	ended := make(chan error, 1)
	go func() {
		_, err := cancelMany(d, first.ID, second.ID)
		ended <- err
	}()
	d.AwaitBlocked()
	require.Equal(t, tuning.Queued, d.TuneStatus(first.ID), "one of them is cancelled before all are locked")
	require.NoError(t, saving.Rollback(t.Context()))
	require.NoError(t, <-ended)
	require.Equal(t, tuning.Canceled, d.TuneStatus(first.ID))
	require.Equal(t, tuning.Canceled, d.TuneStatus(second.ID))
}

// A fold ends with its walk-forward only, which counts its folds.
func TestCancellingManyLeavesFoldsOfWalkForwards(t *testing.T) {
	t.Parallel()
	d := storetest.New(t)
	_, folds := d.WalkForward("w", 2, false)
	require.NotNil(t, folds[0].TuneID)
	canceled, err := cancelMany(d, *folds[0].TuneID)
	require.NoError(t, err)
	require.Empty(t, canceled)
	require.NotEqual(t, tuning.Canceled, d.TuneStatus(*folds[0].TuneID))
}
