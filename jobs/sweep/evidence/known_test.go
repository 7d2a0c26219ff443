package evidence

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is known of some rows before a panel is complete is what would be found of them, whichever they are and in whatever order they came.
func TestWhatIsKnownOfRowsIsWhatIsFoundOfThem(t *testing.T) {
	t.Parallel()
	p, _ := readArch(t)
	p.Returns = append(p.Returns, scaledBy(p.Returns[1], -2), slices.Clone(p.Returns[2]), make([]float64, p.Periods()))
	for p.Trials = nil; len(p.Trials) < len(p.Returns); {
		p.Trials = append(p.Trials, 7*len(p.Trials))
	}
	benchmark := p.Returns[0]
	want := p.Excess(benchmark)
	groups := Cluster(withoutWhatIsKnown(want), 1)
	for name, knows := range map[string]func(row int) bool{
		"none":        func(int) bool { return false },
		"every other": func(row int) bool { return row%2 == 0 },
		"all":         func(int) bool { return true },
	} {
		known := NewKnown(benchmark)
		few := &Panel{Trials: p.Trials, Returns: slices.Clone(p.Returns)}
		for row := len(p.Returns) - 1; row >= 0; row-- {
			if knows(row) {
				known.Add(p.Trials[row], p.Returns[row])
				known.Add(p.Trials[row], p.Returns[0]) // of one that is known: nothing
				few.Returns[row] = nil
			}
		}
		got := few.ExcessOf(benchmark, known)
		require.Equal(t, want.Returns, got.Returns, name)
		require.Equal(t, want.PanelBlockLength(), got.PanelBlockLength(), name)
		require.Equal(t, groups, Cluster(got, 1), name)
		o := Options{Resamples: 200, Block: 7.5, Level: 0.05, Seed: 5}
		wanted, err := Compare(want, o)
		require.NoError(t, err)
		compared, err := Compare(got, o)
		require.NoError(t, err)
		require.Equal(t, wanted, compared, name)
		for row, block := range got.blocks {
			require.Equal(t, knows(row), block > 0, name)
			if block > 0 {
				require.Equal(t, BlockLength(want.Returns[row]), block, name)
			}
		}
	}
}

func withoutWhatIsKnown(p *Panel) *Panel { return &Panel{Trials: p.Trials, Returns: p.Returns} }

func scaledBy(row []float64, by float64) []float64 {
	out := make([]float64, len(row))
	for i, r := range row {
		out[i] = by * r
	}
	return out
}

// Products and block lengths that are known are not found again.
func TestWhatIsKnownIsNotFoundAgain(t *testing.T) {
	t.Parallel()
	p, _ := readArch(t)
	known := NewKnown(p.Returns[0])
	for row, trial := range p.Trials {
		known.Add(trial, p.Returns[row])
	}
	apart := Cluster((&Panel{Trials: p.Trials, Returns: p.Returns}).ExcessOf(p.Returns[0], known), 1)
	for _, row := range known.rows {
		for i := range row.products {
			row.products[i] = 1
		}
	}
	e := (&Panel{Trials: p.Trials, Returns: p.Returns}).ExcessOf(p.Returns[0], known)
	together := Cluster(e, 1)
	require.Greater(t, len(apart.Of), 1)
	require.Len(t, together.Of, 1, "all of them are the same now")
	e.blocks = slices.Repeat([]float64{40}, len(e.Returns))
	require.Equal(t, 40.0, e.PanelBlockLength())
}

// Rows that were added up before their panel was complete are not added up again, and of a group some may not be in the panel.
func TestRowsAreAddedUpOnce(t *testing.T) {
	t.Parallel()
	p, _ := readArch(t)
	benchmark := make([]float64, p.Periods())
	known := NewKnown(benchmark)
	for row, trial := range p.Trials {
		known.Add(trial, p.Returns[row])
	}
	require.Len(t, known.groups, len(p.Trials)/groupRows)
	few := &Panel{Trials: p.Trials[1:], Returns: p.Returns[1:]}
	o := Options{Resamples: 200, Block: 7.5, Level: 0.05, Seed: 5}
	want, err := Compare(few.Excess(benchmark), o)
	require.NoError(t, err)
	got, err := Compare(few.ExcessOf(benchmark, known), o)
	require.NoError(t, err)
	require.Equal(t, want, got)
	for _, group := range known.groups {
		for i := range group.running {
			group.running[i] = [groupRows]float64{float64(i), float64(i), float64(i), float64(i)}
		}
	}
	got, err = Compare(few.ExcessOf(benchmark, known), o)
	require.NoError(t, err)
	require.Equal(t, 1.0, got.SPALower, "every resampled mean is 1 now")
}

// A row that is known by another name than its trial's is not taken for what is known of the trial.
func TestARowIsKnownByItsName(t *testing.T) {
	t.Parallel()
	p, _ := readArch(t)
	known := NewKnown(p.Returns[0])
	known.Add(p.Trials[1], p.Returns[2])
	names := slices.Clone(p.Trials)
	names[1] = -1
	got := (&Panel{Trials: p.Trials, Returns: p.Returns, KnownAs: names}).ExcessOf(p.Returns[0], known)
	require.Equal(t, p.Excess(p.Returns[0]).Returns, got.Returns)
}
