package tune

import (
	"context"
	"runtime"
	"time"

	"millrace/jobs/backtest"
	"millrace/jobs/sweep"
)

// perTrial is about how long a trial takes, found by running some from all over the search. Time that the machine gives to other work
// does not count where the system says how much it was: one pause would set the cut of all shards otherwise, and a busy machine would
// make many times too many. Once they are enough they run twice, and the faster time counts: what the first ones make the others find.
// The tune waits for all of them, so that they are few.
func perTrial(ctx context.Context, plan *sweep.Plan) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const sample, slow, few = time.Millisecond, 50 * time.Millisecond, 8 * backtest.Lanes
	for trials := few / 16; ; {
		ran, took, err := timed(ctx, plan, trials)
		if err != nil {
			return 0, err
		}
		all := ran < trials/2
		enough := func() bool { return took >= slow || all || took >= sample && trials >= few }
		if took < slow && enough() {
			_, again, err := timed(ctx, plan, trials)
			if err != nil {
				return 0, err
			}
			took = min(took, again)
		}
		if enough() {
			return max(took/time.Duration(ran), time.Nanosecond), nil
		}
		if trials *= 4; took < slow/16 { // the next ones do not take long either
			trials *= 4
		}
	}
}

// timed runs about so many trials, or all if there are fewer, and returns how many and what they took of the processor.
func timed(ctx context.Context, plan *sweep.Plan, trials int) (ran int, took time.Duration, err error) {
	before := threadTime()
	for _, sh := range plan.Spread(trials) {
		if _, err := plan.RunShard(ctx, sh, func(int) {}); err != nil {
			return 0, 0, err
		}
		ran += sh.Trials
	}
	return ran, threadTime() - before, nil
}
