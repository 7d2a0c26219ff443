package golden_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/golden"
)

func TestChangedResultsNeedARaisedNumber(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.json")
	check := func(stamp, sma, ema string, write bool) error {
		return golden.Check(path, stamp, "backtest.Engine", map[string]string{"sma_cross": sma, "ema_cross": ema}, write)
	}
	require.ErrorContains(t, check("3", "a", "b", false), `not of "3"`)
	require.NoError(t, check("3", "a", "b", true))
	require.NoError(t, check("3", "a", "b", false))

	require.ErrorContains(t, check("3", "a", "c", false), "results of ema_cross changed, but backtest.Engine is still 3")
	require.ErrorContains(t, check("3", "a", "c", true), "raise it first")
	require.ErrorContains(t, check("4", "a", "c", false), "CHANGELOG")
	require.NoError(t, check("4", "a", "c", true))
	require.NoError(t, check("4", "a", "c", false))
}
