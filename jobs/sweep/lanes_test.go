package sweep

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// oneByOne is a strategy whose trials cannot run side by side.
type oneByOne struct{ backtest.Strategy }

func (s oneByOne) Trader(c *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return struct{ backtest.Trader }{s.Strategy.Trader(c, cfg)}
}

// suddenly panics at one value of its first parameter.
type suddenly struct{ backtest.Strategy }

func (s suddenly) Trader(c *backtest.IndicatorCache, cfg backtest.Config) backtest.Trader {
	return c.NewRunner(s, cfg)
}

func (s suddenly) Signals(ind *backtest.Indicators, p backtest.Params, out *backtest.Signals) {
	if p[0] == 7 {
		panic("seven")
	}
	s.Strategy.(backtest.Signaler).Signals(ind, p, out)
}

// Shards whose trials ran side by side have the bytes of those whose trials ran one by one, also where a trial panics.
func TestTrialsSideBySideStoreTheBytesOfTrialsAlone(t *testing.T) {
	t.Parallel()
	bars := randomWalk(t, 700, 3)
	for name, space := range map[string]map[string]Range{
		"sma_cross":         {"fast": {Low: new(2.0), High: new(130.0)}, "slow": {Low: new(131.0), High: new(140.0)}},
		"rsi_reversal":      {"period": {Low: new(2.0), High: new(38.0)}},
		"breakout_52w_high": {"exit_mean": {Low: new(2.0), High: new(38.0)}},
		"donchian_breakout": {"entry": {Low: new(7.0), High: new(8.0)}, "exit": {Low: new(2.0), High: new(12.0)}},
	} {
		strategy, _ := backtest.Lookup(name)
		spec := crossSpec()
		spec.StrategyName, spec.Constraints, spec.ParamSpace = name, nil, space
		for _, faulty := range []bool{false, true} {
			if faulty {
				strategy = suddenly{strategy}
			}
			encoded := func(s backtest.Strategy) (parts [3][]byte, failed int) {
				spec.Bind(s)
				p := plan(t, spec, bars)
				result, err := p.RunShard(t.Context(), p.Shards(2000)[0], func(int) {})
				require.NoError(t, err)
				parts[0], parts[1], parts[2], err = result.Encode()
				require.NoError(t, err)
				return parts, result.Failed
			}
			beside, failed := encoded(strategy)
			alone, wanted := encoded(oneByOne{strategy})
			require.Equal(t, wanted, failed, name)
			require.Equal(t, faulty && name != "breakout_52w_high", failed > 0, name)
			require.Equal(t, alone, beside, "shards of %s differ", name)
		}
	}
}

// Trials of a block run in an order in which neighbours share arrays, each once; progress counts them one group after the other,
// and a shard that is stopped has the context's error.
func TestBlocksAreOrderedBySharedArrays(t *testing.T) {
	t.Parallel()
	spec := crossSpec()
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(201.0)}, "slow": {Low: new(202.0), High: new(206.0)}}
	p := plan(t, spec, randomWalk(t, 700, 3))
	l := &lanes{size: p.Trials()}
	for trial, params := range p.Params(p.Shards(p.Trials())[0]) {
		l.take(trial, params)
	}
	seen := make([]bool, p.Trials())
	reads, last := 0, 0.0
	for _, at := range l.schedule(p) {
		i := at & (blockTrials - 1)
		require.False(t, seen[i])
		seen[i] = true
		if slow := l.point(int(i))[1]; slow != last {
			reads, last = reads+1, slow
		}
	}
	require.NotContains(t, seen, false)
	require.LessOrEqual(t, reads, 5*3, "means of slow periods are read once for as many fast ones as fit the cache")

	var done []int
	_, err := p.RunShard(t.Context(), p.Shards(p.Trials())[0], func(n int) { done = append(done, n) })
	require.NoError(t, err)
	require.IsIncreasing(t, done)
	require.Equal(t, p.Trials(), done[len(done)-1])

	long := plan(t, spec, randomWalk(t, 9000, 3))
	ctx, cancel := context.WithCancel(t.Context())
	_, err = long.RunShard(ctx, long.Shards(long.Trials())[0], func(n int) {
		if n >= 100 {
			cancel()
		}
	})
	require.ErrorIs(t, err, context.Canceled)
}
