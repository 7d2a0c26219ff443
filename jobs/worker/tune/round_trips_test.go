package tune_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"millrace/jobs/worker/tune"
	"millrace/store/storetest"
)

// A tune is begun in one transaction that is one round trip, as a shard is finished in one. What it ends with is made
// before its lock is taken, and sent at once.
func TestATuneBeginsInOneRoundTrip(t *testing.T) {
	f := newFixture(t)
	trips := &storetest.RoundTrips{}
	spec := learning()["pruned"]
	spec.Pruning = nil
	id := f.submit("k", spec)
	f.spans = trips
	stop := f.work(1, tune.Options{ShardTime: time.Minute, ReportEvery: time.Minute})
	f.result(id)
	stop()
	apart := trips.TakeApart()
	sent := slices.Concat(slices.Collect(maps.Values(apart))...)
	having := func(texts ...string) (found int) {
		for _, sql := range sent {
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(sql, text) }) {
				found++
			}
		}
		return found
	}
	require.Equal(t, 3, having("hold_job"))
	require.Equal(t, 1, having("insert into tune_progress", "hold_job", "insert into river_job", "; commit"))
	require.Equal(t, 1, having("insert into tune_progress"))
	require.Equal(t, 1, having("insert into tune_leaderboard", "manifest_sha256 = $7", "top = null", "enter_admission", "insert into event_log"))
	require.Equal(t, 1, having("status = 'completed'", "insert into tune_leaderboard"))
	require.Equal(t, 1, having("insert into tune_leaderboard"))
	for _, sent := range apart {
		if saved := slices.IndexFunc(sent, func(sql string) bool { return strings.Contains(sql, "insert into tune_leaderboard") }); saved >= 0 {
			require.Positive(t, saved)
			require.Contains(t, sent[saved-1], "hold_job", "the transaction stores all of the outcome before anything else")
		}
	}
}
