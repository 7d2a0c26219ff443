package tune_test

import (
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
	stop := f.work(1, tune.Options{ShardTime: time.Minute})
	f.result(id)
	stop()
	sent := trips.Take()
	having := func(texts ...string) (found []int) {
		for i, sql := range sent {
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(sql, text) }) {
				found = append(found, i)
			}
		}
		return found
	}
	require.Len(t, having("hold_job"), 3)
	require.Len(t, having("insert into tune_progress", "hold_job", "insert into river_job", "; commit"), 1)
	require.Len(t, having("insert into tune_progress"), 1)
	saved := having("insert into tune_leaderboard")
	require.Equal(t, saved, having("insert into tune_leaderboard", "manifest_sha256 = $7", "top = null"))
	require.Len(t, saved, 1)
	end := having("hold_job")[2]
	require.Equal(t, end+2, saved[0], "the transaction reads the tune and stores all of its outcome")
}
