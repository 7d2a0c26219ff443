package sweep

import (
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

// Of a large tune no returns are stored. Those that the evidence looks at are made again, and are those that the shards had, also
// where some trials panic and where datasets are averaged.
func TestReturnsThatAreNotStoredAreMadeAgain(t *testing.T) {
	t.Parallel()
	strategy, _ := backtest.Lookup("sma_cross")
	for name, datasets := range map[string]int{"one": 1, "two": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := crossSpec()
			spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(301.0)}, "slow": {Low: new(2.0), High: new(221.0)}}
			spec.Constraints, spec.NTrials = nil, new(60_000)
			data := []Series{{Name: "a", Bars: randomWalk(t, 400, 1), Calendar: backtest.CalendarExchange}, {Name: "b", Bars: randomWalk(t, 400, 2), Calendar: backtest.CalendarExchange}}[:datasets]
			if datasets > 1 {
				spec.Datasets = []string{"a", "b"}
			}
			spec.Bind(suddenly{strategy})
			p, faults := NewPlanOver(spec, data)
			require.Empty(t, faults)
			require.True(t, p.makesPanelAgain())
			shards, kept := p.Shards(25_000), &parts{of: make([][3][]byte, 3)}
			var rows []panelRow
			failed := false
			for i, sh := range shards {
				result, err := p.RunShard(t.Context(), sh, func(int) {})
				require.NoError(t, err)
				rows, failed = append(rows, result.sample.panel...), failed || result.Failed > 0
				of := &kept.of[i]
				of[0], of[1], of[2], err = result.Encode()
				require.NoError(t, err)
				require.Len(t, of[2], 8*sh.Trials+4+blockRowBytes*len(result.sample.blocks)+8)
			}
			require.True(t, failed)
			got, err := Collect(p, shards, kept.load)
			require.NoError(t, err)
			require.Greater(t, got.Evidence.Luck.Sampled, 50)

			all, err := gather(p, shards, nil, kept.load)
			require.NoError(t, err)
			require.Empty(t, all.panel)
			made, err := p.panelOf(all)
			require.NoError(t, err)
			require.Len(t, made, panelMost)
			require.Equal(t, cutPanel(rows, panelMost), cutPanel(made, panelMost))
			all.panel = rows[:len(rows)/3] // some are there, of shards that are kept or that a worker of before stored
			made, err = p.panelOf(all)
			require.NoError(t, err)
			require.Equal(t, cutPanel(rows, panelMost), cutPanel(made, panelMost))
		})
	}
}

// Returns that a worker of before stored are read, of few trials and of many.
func TestReturnsThatAreStoredAreRead(t *testing.T) {
	t.Parallel()
	rows := []panelRow{{trial: 3, returns: []float32{1, -0.5}}, {trial: 9, returns: []float32{0, 2}}}
	read, err := decodePanel(appendPanel(nil, rows))
	require.NoError(t, err)
	require.Equal(t, rows, read)
	p := plan(t, crossSpec(), randomWalk(t, 600, 1))
	require.False(t, p.makesPanelAgain(), "too few trials: to run a part of them again is not cheap beside all")
	spec := crossSpec()
	spec.NTrials, spec.Constraints = new(60_000), nil
	spec.ParamSpace = map[string]Range{"fast": {Low: new(2.0), High: new(301.0)}, "slow": {Low: new(2.0), High: new(221.0)}}
	p = plan(t, spec, randomWalk(t, 600, 1))
	require.True(t, p.makesPanelAgain())
	uneven, faults := NewPlanOver(twoSpec(), []Series{
		{Name: "a", Bars: randomWalk(t, 600, 1), Calendar: backtest.CalendarExchange}, {Name: "b", Bars: randomWalk(t, 601, 2), Calendar: backtest.CalendarExchange},
	})
	require.Empty(t, faults)
	require.False(t, uneven.makesPanelAgain(), "datasets of unlike numbers of periods have no returns that the evidence looks at")
	p.strategy = slowScript{p.strategy}
	require.False(t, p.makesPanelAgain(), "a script's trials take longer than what they return")
}

// slowScript is a strategy that counts as a script.
type slowScript struct{ backtest.Strategy }

func (slowScript) Account() backtest.Account { return backtest.Account{} }
func (slowScript) Notes(bool) []string       { return nil }

// twoSpec is crossSpec over two datasets.
func twoSpec() Spec {
	spec := crossSpec()
	spec.Datasets = []string{"a", "b"}
	return spec
}
