package evidence

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// Spans are added with the same bits by vectors and without, whatever their length.
func TestSpansAddAlike(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		var rows [4][]float64
		for i := range rows {
			for range n {
				rows[i] = append(rows[i], rng.NormFloat64())
			}
		}
		copy(rows[3], rows[0])
		addSpan(rows[0], rows[1], rows[2])
		addSpanPlain(rows[3], rows[1], rows[2])
		require.Equal(t, rows[3], rows[0])
	}
}
