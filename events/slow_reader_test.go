package events_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/events"
)

func TestSlowSubscriberIsDroppedAndResumes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	feed, st := f.feed()
	slow := feed.Hub().Subscribe(f.mine(), nil)
	defer slow.Close()
	f.append("backtests", "first")
	require.Equal(t, []string{"first"}, take(t, slow, 1))
	f.exec(`insert into event_log (workspace_id, topic, type, entity_id)
		select $1, 'backtests', 'test', n::text from generate_series(1, 3000) n`, f.space)
	quick := feed.Hub().Subscribe(f.mine(), nil)
	defer quick.Close()
	f.append("backtests", "last")
	for seen := ""; seen != "last"; {
		got := take(t, quick, 1)
		seen = got[len(got)-1]
	}
	got, why := ended(t, slow)
	require.ErrorIs(t, why, events.ErrSlow)
	require.Empty(t, got, "what is left of a dropped queue would leave a gap")
	at := slow.Last()
	again := feed.Hub().Subscribe(f.mine(), &at)
	defer again.Close()
	require.Equal(t, f.logged()[1:], take(t, again, 3001))
	require.Eventually(t, func() bool {
		c, err := st.EventLog.Counters(t.Context(), uuid.NullUUID{})
		return err == nil && c.Hour["sse.drop"] >= 1
	}, soon, 50*time.Millisecond, "drops are counted for the fleet")
}

// A commit of more events than a queue holds reaches each reader whole, also one that is dropped on the way.
func TestABurstOfOneCommitReachesEveryReader(t *testing.T) {
	t.Parallel()
	const burst = 50_000
	f := newFixture(t)
	feed, _ := f.feed()
	sub := feed.Hub().Subscribe(f.mine(), nil)
	f.append("backtests", "first")
	require.Equal(t, []string{"first"}, take(t, sub, 1))
	f.exec(`insert into event_log (workspace_id, topic, type, entity_id)
		select $1, 'backtests', 'test', n::text from generate_series(1, $2::int) n`, f.space, burst)
	var got []string
	deadline := time.After(soon)
	for len(got) < burst {
		select {
		case <-sub.Ready():
		case <-deadline:
			require.FailNow(t, "events did not come", "%d of %d", len(got), burst)
		}
		messages, err := sub.Take(t.Context())
		if err != nil {
			require.ErrorIs(t, err, events.ErrSlow)
			at := sub.Last()
			sub.Close()
			sub = feed.Hub().Subscribe(f.mine(), &at)
			continue
		}
		for _, m := range messages {
			got = append(got, m.EntityID)
		}
	}
	sub.Close()
	require.Equal(t, f.logged()[1:], got)
}
