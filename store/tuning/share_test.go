package tuning

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestATuneGetsItsShareOfTheWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		share  share
		at     shardCounts
		window int
		room   int
		first  bool
	}{
		{"the only tune gets the window", share{active: 1, alone: true}, shardCounts{total: 50}, 6, 6, true},
		{"no more than it has left", share{active: 1, alone: true}, shardCounts{total: 50, next: 48, done: 48}, 6, 2, true},
		{"what is in the queue counts", share{active: 1, alone: true}, shardCounts{total: 50, next: 10, done: 8}, 6, 4, false},
		{"one that has its share gets none", share{active: 1, alone: true}, shardCounts{total: 50, next: 6}, 6, 0, false},
		{"one over its share, as others began, gets none", share{active: 3}, shardCounts{total: 50, next: 6}, 6, -4, false},
		{"three tunes share the window", share{active: 3}, shardCounts{total: 50}, 6, 2, false},
		{"shares are rounded up, so that each tune continues", share{active: 8}, shardCounts{total: 50}, 6, 1, false},
		{"the folds of a walk-forward share its part", share{active: 1, folds: 3}, shardCounts{total: 50}, 6, 2, false},
		{"and the other work of the workspace its own", share{active: 2, folds: 3}, shardCounts{total: 50}, 12, 2, false},
		{"a tune that is not counted yet is one", share{}, shardCounts{total: 3}, 6, 3, false},
	} {
		require.Equal(t, c.room, c.share.room(c.at, c.window), c.name)
		require.Equal(t, c.first, c.share.goesFirst(c.at), c.name)
	}
}

func TestARunPlanEndsWithItsLastVariant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		done, failed int // of three
		anyFailed    bool
		want         RunPlanStatus
	}{
		{1, 0, false, RunPlanRunning},
		{2, 2, true, RunPlanRunning},
		{3, 0, false, RunPlanCompleted},
		{3, 1, true, RunPlanPartial},
		{3, 2, false, RunPlanPartial},
		{3, 3, true, RunPlanFailed},
		{3, 3, false, RunPlanCanceled},
	} {
		require.Equal(t, c.want, statusOfPlan(3, c.done, c.failed, c.anyFailed), "%+v", c)
	}
}
