package sweep

import (
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
	for _, name := range []string{"sma_cross", "rsi_reversal", "breakout_52w_high"} {
		strategy, _ := backtest.Lookup(name)
		spec := crossSpec()
		spec.StrategyName, spec.Constraints = name, nil
		first := strategy.Params()[0].Name
		spec.ParamSpace = map[string]Range{first: {Low: new(2.0), High: new(38.0)}}
		if name == "breakout_52w_high" {
			spec.ParamSpace = map[string]Range{"exit_mean": {Low: new(2.0), High: new(38.0)}}
		}
		for _, faulty := range []bool{false, true} {
			if faulty {
				strategy = suddenly{strategy}
			}
			encoded := func(s backtest.Strategy) (parts [3][]byte, failed int) {
				spec.Bind(s)
				p := plan(t, spec, bars)
				result, err := p.RunShard(t.Context(), p.Shards(100)[0], func(int) {})
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
