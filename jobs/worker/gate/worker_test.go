package gate

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
	"millrace/jobs/pine"
	"millrace/store/strategies"
)

func scriptOf(t *testing.T, lines string) *pine.Strategy {
	t.Helper()
	program, diags := pine.Compile("//@version=6\nstrategy(\"S\")\n" + lines)
	require.NotNil(t, program, "%v", diags)
	return pine.NewStrategy("pine:s@1", program)
}

func TestAnExaminationSaysWhatAScriptCosts(t *testing.T) {
	t.Parallel()
	found, err := examine(t.Context(), scriptOf(t, "n = input.int(10, minval=2, maxval=40)\nif ta.crossover(close, ta.sma(close, n))\n    strategy.entry(\"L\", strategy.long)\nif close < open\n    strategy.close(\"L\")\n"))
	require.NoError(t, err)
	require.True(t, found.Complete)
	require.Equal(t, strategies.Ready, strategies.StatusOf(found), "%+v", found)
	require.Equal(t, examineBars, found.Bars)
	require.Equal(t, 12, found.Warmup, "a window of ten bars with the one that leaves it, and the bar that a cross looks back at")
	require.Positive(t, found.NsPerBar)
	require.Positive(t, found.Trades)
}

// A process that stops in the middle leaves the examination to the next one.
func TestAStoppedExaminationFindsNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := examine(ctx, scriptOf(t, "if close > open\n    strategy.entry(\"L\", strategy.long)\n"))
	require.ErrorIs(t, err, context.Canceled)
}

// Time that runs out once may be the machine's fault; a limit that is exceeded never is.
func TestTimeThatRunsOutIsTriedAgainBeforeItRefusesAScript(t *testing.T) {
	t.Parallel()
	slow := backtest.Examination{Runs: 1, Refusal: "it does not end in time"}
	require.True(t, tooEarly(slow, 1))
	require.True(t, tooEarly(slow, 2))
	require.False(t, tooEarly(slow, 3))
	require.False(t, tooEarly(backtest.Examination{Runs: 1, Complete: true, Refusal: "line 4: an endless loop"}, 1))
	require.False(t, tooEarly(backtest.Examination{Runs: 30}, 1), "some inputs were not reached: it is ready")
}
