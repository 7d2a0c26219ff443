package console

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/sweep/evidence"
)

// The checks of a verdict are written by their names, and each has a definition.
func TestEveryCheckOfAVerdictIsDefined(t *testing.T) {
	t.Parallel()
	var defined []string
	for _, d := range definitions() {
		require.NotContains(t, defined, d.ID, "defined twice")
		require.NotEmpty(t, d.Text, d.ID)
		defined = append(defined, d.ID)
	}
	good := evidence.Findings{Periods: 100, OutPeriods: 50, PeriodsPerYear: 252, PValue: 0.01, DSR: 0.99, SR: 0.1, OutOfSample: 0.1, Stability: 1, BreakEven: 5, Permuted: 0.01}
	checks := append(evidence.Judge(good).Checks, evidence.JudgeStitched(evidence.Stitched{Findings: good}).Checks...)
	require.Len(t, checks, 11)
	for _, c := range checks {
		require.Contains(t, defined, checkID(c.Name))
		require.NotEmpty(t, checkName(types.EvidenceCheck{Name: c.Name}), "a result of an older engine has no titles")
	}
}
