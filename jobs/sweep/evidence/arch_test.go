package evidence

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// archFigures are computed by an independent implementation: testdata/README.md.
type archFigures struct {
	Block, Resamples int
	Blocks           []float64
	SPA              map[string]float64
	SPAWithout       map[string]float64 `json:"spa_without"` // row 5
	RealityCheck     float64            `json:"reality_check"`
	Survivors        []int
}

func readArch(t *testing.T) (*Panel, archFigures) {
	t.Helper()
	raw, err := os.ReadFile("testdata/arch.json")
	require.NoError(t, err)
	var figures archFigures
	require.NoError(t, json.Unmarshal(raw, &figures))
	file, err := os.Open("testdata/panel.csv")
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	records, err := csv.NewReader(file).ReadAll()
	require.NoError(t, err)
	p := &Panel{}
	for i, record := range records {
		row := make([]float64, len(record))
		for k, field := range record {
			row[k], err = strconv.ParseFloat(field, 64)
			require.NoError(t, err)
		}
		p.Trials, p.Returns = append(p.Trials, i), append(p.Returns, row)
	}
	return p, figures
}

func TestBlockLengthsEqualThoseOfArch(t *testing.T) {
	t.Parallel()
	p, want := readArch(t)
	for i, row := range p.Returns {
		require.InDelta(t, max(1, want.Blocks[i]), BlockLength(row), 1e-9, "row %d", i)
	}
}

// The p-values are of other draws: two of 20,000 draws differ by some 0.01.
func TestTestsOfThePanelEqualThoseOfArch(t *testing.T) {
	t.Parallel()
	p, want := readArch(t)
	o := Options{Resamples: want.Resamples, Block: float64(want.Block), Level: 0.05, Seed: 3}
	c, err := Compare(p, o)
	require.NoError(t, err)
	require.InDelta(t, want.SPA["consistent"], c.SPA, 0.003)
	require.InDelta(t, want.RealityCheck, c.RealityCheck, 0.003)
	require.Equal(t, want.Survivors, c.Survivors)

	without := &Panel{}
	for i, row := range p.Returns {
		if i != 5 {
			without = without.with(row)
		}
	}
	c, err = Compare(without, o)
	require.NoError(t, err)
	require.InDelta(t, want.SPAWithout["lower"], c.SPALower, 0.02)
	require.InDelta(t, want.SPAWithout["consistent"], c.SPA, 0.02)
	require.InDelta(t, want.SPAWithout["upper"], c.SPAUpper, 0.02)
	require.Empty(t, c.Survivors)
}
