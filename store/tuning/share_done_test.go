package tuning_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/store/tuning"
)

// A tune whose trials have all ended and whose permutations run is not done.
func TestShareDoneCountsPermutations(t *testing.T) {
	t.Parallel()
	tune := tuning.Tune{Status: tuning.Running, Trials: 100, Progress: tuning.Progress{Completed: 90, Skipped: 10, Work: 2000, WorkDone: 100, WorkOpen: 50}}
	require.Equal(t, 100, tune.Progress.Done())
	require.InDelta(t, 0.075, tune.ShareDone(), 1e-12)
	tune.Status, tune.Progress.WorkOpen = tuning.Completed, 0
	require.Equal(t, 1.0, tune.ShareDone(), "permutations that did not run are not missing")
	require.Zero(t, (&tuning.Tune{Status: tuning.Queued, Trials: 5, Progress: tuning.Progress{Work: 5}}).ShareDone())
}
