package events_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// A transaction that began first and writes last draws the end of the log back behind what was published. Who
// subscribes then, from a place before that, still gets it.
func TestSubscribersGetWhatWasPublishedBeforeTheEndWasDrawnBack(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	feed, _ := f.feed()
	live := feed.Hub().Subscribe(f.mine(), nil)
	defer live.Close()
	f.append("backtests", "first")
	require.Equal(t, []string{"first"}, take(t, live, 1))
	at := live.Last()
	old, err := f.owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = old.Rollback(context.Background()) }()
	_, err = old.Exec(t.Context(), `select pg_current_xact_id()`)
	require.NoError(t, err)
	f.append("backtests", "second")
	require.Equal(t, []string{"second"}, take(t, live, 1))
	_, err = old.Exec(t.Context(), insertEvent, f.space, "backtests", "third")
	require.NoError(t, err)
	late := feed.Hub().Subscribe(f.mine(), &at)
	defer late.Close()
	require.Equal(t, []string{"second"}, take(t, late, 1))
	for range 3 { // joining ends with an empty page
		_, err := late.Take(t.Context())
		require.NoError(t, err)
	}
	require.NoError(t, old.Commit(t.Context()))
	require.Equal(t, []string{"third"}, take(t, late, 1))
}
