package sweep

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// What a process kept of some shards, or of all, changes nothing of what is found, and what it kept is not loaded.
func TestKeptShardsAreRankedAsLoadedOnesAre(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 900, 5)
	rapid.Check(t, func(rt *rapid.T) {
		spec := crossSpec()
		spec.SelectOn = rapid.SampledFrom([]string{SelectInSample, SelectOutOfSample}).Draw(rt, "select on")
		spec.Gates.MaxDrawdownPct, spec.Gates.MinTrades = new(rapid.Float64Range(5, 60).Draw(rt, "drawdown")), new(rapid.IntRange(0, 20).Draw(rt, "trades"))
		p := plan(t, spec, bars)
		keepSome(t, p, p.Shards(rapid.IntRange(1, p.Trials()).Draw(rt, "size")), func(int) bool { return rapid.Bool().Draw(rt, "kept") })
	})
}

// Of a tune whose leaders run again at the end, those that were kept need not.
func TestKeptLeadersNeedNotRunAgain(t *testing.T) {
	p, shards, _ := manyTrials(t)
	kept, own, out := keepSome(t, p, shards, func(int) bool { return true })
	require.Len(t, kept.leaders, leaders)
	require.Positive(t, kept.leastScore())
	full := map[int]bool{}
	for _, m := range kept.metrics() {
		full[m.trial] = true
	}
	there := 0
	for _, entry := range out.Leaderboard {
		if full[entry.TrialIndex] {
			there++
		}
	}
	require.Greater(t, there, leaders*9/10, "but for those of equal scores")
	require.Positive(t, kept.known.Len())
	require.NotEmpty(t, kept.leadersKnown)
	require.LessOrEqual(t, len(kept.leadersKnown), leadersKept)
	require.Equal(t, len(knownTrials(kept, own))+len(kept.leadersKnown), kept.known.Len())
	best := out.Leaderboard[0].TrialIndex
	require.True(t, kept.known.Has(leaderAs(best)), "the best was among the leaders before the last shard")
	require.NotNil(t, kept.costsOf(best).breakEven)
	require.Len(t, kept.costsOf(best).steps, len(costTimes))
	require.LessOrEqual(t, len(kept.costs), costRunsMost)
}

// roomForAll is more than any tune of these tests can be known by.
const roomForAll = 1 << 30

// A tune of many bars is known in part where all of it would take more than there is room for; the evidence finds the rest.
func TestWhatIsKnownOfTrialsHasRoomForSomeOfThem(t *testing.T) {
	t.Parallel()
	p, shards, _ := manyTrials(t)
	for _, trials := range []int{0, 1, leadersKept, leadersKept + 7} {
		kept := p.Keep(0)
		room := trials*kept.knownBytes() + kept.knownBytes()/2
		kept, _, _ = keepWithin(t, p, room, shards, func(int) bool { return true })
		require.LessOrEqual(t, kept.known.Len(), trials)
		require.Len(t, kept.likelyKnown, max(0, trials-leadersKept))
		if trials > 0 {
			require.Positive(t, kept.known.Len())
		}
	}
}

func knownTrials(k *Kept, own map[int]keptShard) (trials []int) {
	for _, r := range own {
		for _, row := range r.sample.panel {
			if k.likely.takes(row.trial) {
				trials = append(trials, row.trial)
			}
		}
	}
	return trials
}

// keepSome runs the shards and keeps some of them, and requires that what is found is what is found without. It returns what was kept of
// the shards, too, and what was found.
func keepSome(tb testing.TB, p *Plan, shards []Shard, keeps func(shard int) bool) (kept *Kept, own map[int]keptShard, got *Outcome) {
	tb.Helper()
	return keepWithin(tb, p, roomForAll, shards, keeps)
}

// keepWithin is keepSome with so much room for what is known of trials.
func keepWithin(tb testing.TB, p *Plan, room int, shards []Shard, keeps func(shard int) bool) (kept *Kept, own map[int]keptShard, got *Outcome) {
	tb.Helper()
	kept = p.Keep(room)
	apart := &parts{of: make([][3][]byte, len(shards))}
	plain := &parts{of: make([][3][]byte, len(shards))}
	stays := make([]bool, len(shards))
	for i, sh := range shards {
		result, err := p.RunShard(tb.Context(), sh, func(int) {})
		require.NoError(tb, err)
		at := &plain.of[i]
		at[0], at[1], at[2], err = result.Encode()
		require.NoError(tb, err)
		own, err := kept.RunShard(tb.Context(), sh, func(int) {})
		require.NoError(tb, err)
		at = &apart.of[i]
		at[0], at[1], at[2], err = own.Encode()
		require.NoError(tb, err)
		if stays[i] = keeps(i); stays[i] {
			require.Positive(tb, kept.Add(own))
			kept.Prepare(tb.Context(), own)
		}
	}
	require.Equal(tb, plain.of, apart.of, "other bytes are stored")
	own = maps.Clone(kept.shards)
	want, err := Collect(p, shards, plain.load)
	require.NoError(tb, err)
	got, err = CollectKept(p, shards, kept, func(shard int) ([]byte, []byte, []byte, error) {
		if stays[shard] {
			return nil, nil, nil, errors.New("this one is kept")
		}
		return plain.load(shard)
	})
	require.NoError(tb, err)
	require.True(tb, asJSON(tb, want) == asJSON(tb, got), "the outcomes differ")
	require.Equal(tb, want.TrialsSum, got.TrialsSum)
	require.Equal(tb, want.Ranking, got.Ranking)
	return kept, own, got
}

// What was kept of a shard says nothing of one of the same number that is cut in another way.
func TestShardsCutInAnotherWayAreLoaded(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 900, 5))
	kept := p.Keep(roomForAll)
	result, err := kept.RunShard(t.Context(), p.Shards(p.Trials() / 2)[0], func(int) {})
	require.NoError(t, err)
	kept.Add(result)
	_, err = CollectKept(p, p.Shards(p.Trials()), kept, func(int) ([]byte, []byte, []byte, error) { return nil, nil, nil, errors.New("loaded") })
	require.ErrorContains(t, err, "loaded")
	_, own := kept.take(p.Shards(p.Trials() / 2))
	require.Empty(t, own, "what was ranked is kept no longer")
	require.Zero(t, kept.Add(result))
}

// The rows of a tune are in one place from the first shard on, so that ranking them makes no copy; shards that were run elsewhere are read
// into the gaps.
func TestKeptRowsAreRankedWhereTheyAre(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 900, 5))
	shards := p.Shards(p.Trials() / 5)
	kept, elsewhere := p.Keep(roomForAll), &parts{of: make([][3][]byte, len(shards))}
	for i, sh := range shards {
		result, err := kept.RunShard(t.Context(), sh, func(int) {})
		require.NoError(t, err)
		at := &elsewhere.of[i]
		at[0], at[1], at[2], err = result.Encode()
		require.NoError(t, err)
		if i%2 == 1 {
			kept.Add(result)
		}
	}
	first, loaded := &kept.cols.verdicts[0], 0
	all, err := gather(p, shards, kept, func(shard int) ([]byte, []byte, []byte, error) {
		loaded++
		return elsewhere.load(shard)
	})
	require.NoError(t, err)
	require.Same(t, first, &all.cols.verdicts[0])
	require.Equal(t, (len(shards)+1)/2, loaded)
	again, err := gather(p, shards, nil, elsewhere.load)
	require.NoError(t, err)
	require.Equal(t, again.cols.planes(), all.cols.planes())
	require.Equal(t, len(again.ratios), len(all.ratios))
	for i := range again.ratios {
		require.Equal(t, math.Float64bits(again.ratios[i]), math.Float64bits(all.ratios[i]))
	}
}

// Shards that are prepared at the same time do not both run a late leader.
func TestALateLeaderRunsOnce(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(35.0)}, "slow": {Low: new(36.0), High: new(75.0)}}
	p := plan(t, spec, randomWalk(t, 400, 3))
	kept := p.Keep(roomForAll)
	for _, sh := range p.Shards(400) {
		result, err := kept.RunShard(t.Context(), sh, func(int) {})
		require.NoError(t, err)
		kept.Add(result)
	}
	require.NotEmpty(t, kept.lateLeaders())
	require.Empty(t, kept.lateLeaders())
}

// Leaders that come and go do not all run at other costs: so many do, and the verdict runs the rest.
func TestFewLeadersRunAtOtherCostsBeforeTheLastShard(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 900, 5))
	kept := p.Keep(roomForAll)
	for _, sh := range p.Shards(p.Trials()) {
		result, err := kept.RunShard(t.Context(), sh, func(int) {})
		require.NoError(t, err)
		kept.Add(result)
	}
	for i := range costRunsMost - 1 {
		kept.costs[-1-i] = costRuns{steps: []CostStep{{}}}
	}
	kept.knowLeaders(t.Context())
	require.Len(t, kept.costs, costRunsMost, "there is room for one more")
	require.NotNil(t, kept.costsOf(kept.costLeaders()[0].trial).breakEven)
}

// A job that is stopped does not run the rest of the leaders at other costs first, and neither does one whose tune is being ranked.
func TestRunsAtOtherCostsEndWithTheJobAndWithTheTrials(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 900, 5))
	for _, ranked := range []bool{false, true} {
		kept := p.Keep(roomForAll)
		for _, sh := range p.Shards(p.Trials()) {
			result, err := kept.RunShard(t.Context(), sh, func(int) {})
			require.NoError(t, err)
			kept.Add(result)
		}
		leader := kept.costLeaders()[0]
		ctx := &endingContext{Context: t.Context(), left: 4, end: func() error {
			if ranked {
				kept.take(nil)
				return nil
			}
			return context.Canceled
		}}
		require.False(t, kept.costLeader(ctx, leader, true, p.scratch().runners))
		require.Empty(t, kept.costs, "ranked: %v", ranked)
	}
}

// endingContext ends when it has been looked at so often.
type endingContext struct {
	context.Context

	left int
	end  func() error
}

func (c *endingContext) Err() error {
	if c.left--; c.left < 0 {
		return c.end()
	}
	return nil
}

// A shard that runs again, as its job does when its worker did not hear that it was saved, is kept once.
func TestAShardIsKeptOnce(t *testing.T) {
	t.Parallel()
	p := plan(t, crossSpec(), randomWalk(t, 900, 5))
	kept, again := p.Keep(roomForAll), p.Keep(roomForAll)
	for range 2 {
		for i, sh := range p.Shards(10) {
			result, err := p.runShard(t.Context(), sh, func(int) {}, again.leastScore)
			require.NoError(t, err)
			_, before := again.shards[i]
			first := !before
			require.Equal(t, first, again.Add(result) > 0)
			if first {
				result, err = p.runShard(t.Context(), sh, func(int) {}, kept.leastScore)
				require.NoError(t, err)
				kept.Add(result)
			}
		}
	}
	require.NotEmpty(t, kept.leaders)
	require.Equal(t, kept.leaders, again.leaders)
}

// The best trial may be known by the returns that a sample abridges, and not be in the sample that is cut in the end: the verdict looks at
// those of a run of its own then, whether any were kept or not.
func TestABestTrialOutsideOfTheSampleIsWeighedAsWithoutWhatIsKnown(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(35.0)}, "slow": {Low: new(36.0), High: new(75.0)}}
	for _, seed := range []uint64{44, 76} { // of 1,360 trials some more are known than are sampled, and in these the best is one of them
		p := plan(t, spec, randomWalk(t, 400, seed))
		kept, own, out := keepSome(t, p, p.Shards(p.Trials()), func(int) bool { return true })
		require.True(t, kept.known.Has(*out.BestTrial))
		sampled := cutPanel(slices.Clone(own[0].sample.panel), p.panelSize())
		require.False(t, slices.ContainsFunc(sampled, func(row panelRow) bool { return row.trial == *out.BestTrial }))
	}
}
