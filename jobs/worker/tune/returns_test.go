package tune_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/sweep"
	"millrace/jobs/worker/tune"
	"millrace/store"
)

// Of a large tune the returns that the verdict looks at are stored while a worker of another version is heard, which may be the one that
// ranks it, and left out otherwise. What is found is the same.
func TestReturnsAreStoredWhileAnotherVersionIsHeard(t *testing.T) {
	f := newFixture(t)
	spec := sweep.Spec{
		StrategyName: "sma_cross", NTrials: new(60_000), OOSRatio: new(0.3),
		ParamSpace: map[string]sweep.Range{"fast": {Low: new(2.0), High: new(301.0)}, "slow": {Low: new(2.0), High: new(221.0)}},
		Gates:      sweep.GateLimits{MaxDrawdownPct: new(90.0)},
	}
	found := map[string]string{}
	for _, version := range []string{"test", "another"} { // those of the fixture beat as "test"
		var once sync.Once
		var perTrial float64 // stored of the trials of the shards that are saved first
		f.version = version
		stop := f.work(1, tune.Options{ShardTime: 10 * time.Millisecond, Watch: func(part tune.Part, _, _ time.Time) {
			if part != tune.PartSave {
				return
			}
			once.Do(func() {
				_ = f.store.InWorkspace(t.Context(), f.space.ID, func(tx *store.Tx) error {
					return tx.QueryRow(t.Context(), `select coalesce(sum(octet_length(stats))::float8 / sum(n_trials), 0) from tune_shards where stats is not null`).Scan(&perTrial)
				})
			})
		}})
		found[version] = f.result(f.submit(version, spec))
		stop()
		require.Positive(t, perTrial)
		require.Equal(t, version == "another", perTrial > 30, "%s: %v bytes a trial", version, perTrial)
	}
	require.Equal(t, found["test"], found["another"])
}
