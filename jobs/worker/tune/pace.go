package tune

import (
	"context"
	"math"
	"runtime"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
)

// perTrial is about how long a trial takes, found by running some. Time that the machine gives to other work does not count where
// the system says how much it was: one pause would set the cut of all shards otherwise, and a busy machine would make many times
// too many. The fastest sample counts, and few trials alone do not: they make what the others find.
func perTrial(ctx context.Context, plan *sweep.Plan) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const sample, slow, few = 2 * time.Millisecond, 50 * time.Millisecond, 4 * backtest.Lanes
	fastest := time.Duration(math.MaxInt64)
	for trials := 4; ; trials *= 4 {
		trials = min(trials, plan.Trials())
		before := threadTime()
		if _, err := plan.RunShard(ctx, plan.Head(trials), func(int) {}); err != nil {
			return 0, err
		}
		took := threadTime() - before
		fastest = min(fastest, took/time.Duration(trials))
		if took >= slow || trials == plan.Trials() || took >= sample && trials >= few {
			return max(fastest, time.Nanosecond), nil
		}
	}
}
