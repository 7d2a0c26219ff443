package tune

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/backtest/ohlcv"
	"millrace/jobs/sweep"
)

// What is kept of the tunes of a process is bounded, whatever becomes of them: the oldest ones give way, and are loaded.
func TestWhatIsKeptOfTunesIsBounded(t *testing.T) {
	t.Parallel()
	bars, err := ohlcv.Generate(ohlcv.Synthetic{Seed: 1, Bars: 800})
	require.NoError(t, err)
	spec := sweep.Spec{StrategyName: "sma_cross", ParamSpace: map[string]sweep.Range{"fast": {Low: new(2.0), High: new(9.0)}, "slow": {Low: new(10.0), High: new(19.0)}}}
	spec.Normalize()
	p := newPlans(nil, nil)
	run := func(id uuid.UUID) int {
		plan, faults := sweep.NewPlan(spec, bars, backtest.CalendarExchange)
		require.Empty(t, faults)
		p.keep(id, plan)
		kept := p.kept(id, plan)
		require.NotNil(t, kept)
		result, err := kept.RunShard(t.Context(), plan.Shards(plan.Trials())[0], func(int) {})
		require.NoError(t, err)
		p.add(id, kept, result)
		return p.byID[id].bytes
	}
	var tunes [4]uuid.UUID
	for i := range tunes {
		tunes[i] = uuid.New()
	}
	each := run(tunes[0])
	require.Positive(t, each)
	p.room = 2*each + each/2
	run(tunes[1])
	require.NotNil(t, p.byID[tunes[0]].kept)
	run(tunes[2])
	require.Nil(t, p.byID[tunes[0]].kept, "there is room for two")
	require.NotNil(t, p.byID[tunes[1]].kept)
	p.forget(tunes[1])
	require.Nil(t, p.byID[tunes[1]].kept)
	run(tunes[3])
	require.NotNil(t, p.byID[tunes[2]].kept, "one that was ranked takes no room")
	other, faults := sweep.NewPlan(spec, bars, backtest.CalendarExchange)
	require.Empty(t, faults)
	require.Nil(t, p.kept(tunes[2], other), "of another plan")
	p.room = 4*other.RowBytes() - 1
	tooLarge := uuid.New()
	p.keep(tooLarge, other)
	require.Nil(t, p.kept(tooLarge, other), "its rows take more than a quarter of what there is room for")
}
