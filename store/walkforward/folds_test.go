package walkforward

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/store/tuning"
)

func TestTheEndOfAFoldDecidesWhatFollows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		partial      bool
		done, failed int // of five, at least three of which are needed
		status       tuning.Status
		next         nextStep
		reason       string
	}{
		{"others have not ended", false, 2, 0, tuning.Completed, runFolds, ""},
		{"the last one ends", false, 5, 0, tuning.Completed, scoreCandidates, ""},
		{"one fails", false, 1, 1, tuning.Failed, failRun, "fold 4 failed: no bars"},
		{"one is canceled", false, 1, 1, tuning.Canceled, failRun, "fold 4 was canceled"},
		{"one fails and enough are left", true, 2, 2, tuning.Failed, runFolds, ""},
		{"the last one fails and enough are left", true, 5, 2, tuning.Failed, scoreCandidates, ""},
		{"too few are left", true, 3, 3, tuning.Failed, failRun,
			"3 of 5 folds failed, which leaves fewer than min_folds 3; the last: fold 4 failed: no bars"},
	} {
		run := &Run{
			Folds: 5, FoldsDone: c.done, FoldsFailed: c.failed,
			Config: sweep.WFOConfig{AllowPartial: &c.partial, MinFolds: new(3)},
		}
		tune := &tuning.Tune{Status: c.status, Fold: &tuning.FoldOf{Index: 4}}
		if c.status == tuning.Failed {
			tune.Error = "no bars"
		}
		next, reason := afterFold(run, tune)
		require.Equal(t, c.next, next, c.name)
		require.Equal(t, c.reason, reason, c.name)
	}
}

func TestAFoldThatWasNotCompletedTakesItsTrialsBack(t *testing.T) {
	t.Parallel()
	progress := tuning.Progress{Completed: 5, Skipped: 2, Failed: 1, Running: 3}
	failed, undone, reason := foldResult(&tuning.Tune{Status: tuning.Completed, Progress: progress})
	require.Equal(t, []any{0, 0, ""}, []any{failed, undone, reason})
	failed, undone, reason = foldResult(&tuning.Tune{Status: tuning.Failed, Error: "no bars", Progress: progress})
	require.Equal(t, []any{1, 8, "failed: no bars"}, []any{failed, undone, reason})
}
