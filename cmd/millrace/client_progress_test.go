package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// While permutations run the percentage is that of all work, not of the trials that have ended.
func TestProgressIsNotWholeWhilePermutationsRun(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	lines := newProgress(&out)
	tune := types.Tune{Status: "running", NTrials: 100, TrialsCompleted: 100, PermutationTrials: 1900, ShareDone: 0.25}
	lines.update(tuneProgress(tune))
	require.Equal(t, "running: 100 of 100 trials (25 %)  and 1900 trials on permuted bars\n", out.String())
	tune.ShareDone = 0.31
	lines.update(tuneProgress(tune))
	require.Contains(t, out.String(), "(31 %)", "a further tenth is a line")
	tune.Status, tune.ShareDone = "completed", 1
	lines.update(tuneProgress(tune))
	require.True(t, strings.HasSuffix(out.String(), "completed: 100 of 100 trials (100 %)\n"), out.String())
}
