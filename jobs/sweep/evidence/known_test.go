package evidence

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is known of some rows before a panel is complete is what would be found of them.
func TestWhatIsKnownOfRowsIsWhatIsFoundOfThem(t *testing.T) {
	t.Parallel()
	p, _ := readArch(t)
	benchmark := p.Returns[0]
	want := p.Excess(benchmark)
	asked := 0
	got := p.ExcessOf(benchmark, func(trial int) Known {
		row := p.Row(trial)
		if row%2 == 0 {
			return Known{}
		}
		asked++
		return Know(p.Returns[row], benchmark)
	})
	require.Positive(t, asked)
	require.Equal(t, want.Returns, got.Returns)
	require.Equal(t, want.PanelBlockLength(), got.PanelBlockLength())
	for i, block := range got.blocks {
		require.Equal(t, i%2 == 1, block > 0)
		if block > 0 {
			require.Equal(t, BlockLength(want.Returns[i]), block)
		}
	}
	got.blocks = slices.Repeat([]float64{40}, len(got.Returns))
	require.Equal(t, 40.0, got.PanelBlockLength(), "known lengths are not found again")
}
