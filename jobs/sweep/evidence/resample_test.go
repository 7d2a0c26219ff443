package evidence

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Rows that are resampled in groups, some draws at a time, have the bits of rows that are resampled one by one.
func TestRowsAreResampledAlikeInGroupsAndAlone(t *testing.T) {
	t.Parallel()
	for _, block := range []float64{1, 7.5, 300} { // with 1 the draws of 1,000 resamples are more than are drawn at once
		p := noise(3, 9, 1500)
		rows := []int{0, 2, 3, 4, 5, 7, 8}
		o := Options{Resamples: 1000, Block: block, Seed: 5}
		drawn := resample(p, rows, o)
		require.Len(t, drawn, o.Resamples*len(rows))
		for j, row := range rows {
			d, running := newDraws(p.Periods(), o), runningSumsOf(p.Returns[row])
			for b := range o.Resamples {
				before := len(d.spans)
				d.one()
				require.Equal(t, meanOf(running, d.spans[before:]), drawn[b*len(rows)+j], "block %v, resample %d, row %d", block, b, row)
			}
		}
	}
}

func runningSumsOf(row []float64) []float64 {
	running := make([]float64, 1, len(row)+1)
	for i, r := range row {
		running = append(running, running[i]+r)
	}
	return running
}

func meanOf(running []float64, spans []span) float64 {
	var sum float64
	for _, s := range spans {
		sum += running[s.to] - running[s.from]
	}
	return sum / float64(len(running)-1)
}
