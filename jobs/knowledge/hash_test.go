package knowledge_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
)

func embed(t *testing.T, texts ...string) [][]float32 {
	t.Helper()
	vectors, err := knowledge.HashEmbedder{}.Embed(t.Context(), knowledge.ForDocument, texts)
	require.NoError(t, err)
	return vectors
}

func cosine(a, b []float32) float64 {
	var sum float64
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

func TestHashVectorsFollowTheWords(t *testing.T) {
	t.Parallel()
	v := embed(t,
		"A breakout strategy buys the highest close of 52 weeks.",
		"Breakout strategies buying highest closes in 52 weeks!",
		"Mean reversion sells what has risen too far above its band.",
		"strategy breakout a highest the close buys of weeks 52",
		"", "   …", "動能策略在上升趨勢", "趨勢策略")
	require.InDelta(t, 1, cosine(v[0], v[0]), 1e-6)
	require.Greater(t, cosine(v[0], v[1]), 0.7, "inflections are one word")
	require.Less(t, cosine(v[0], v[2]), 0.3)
	require.Less(t, cosine(v[0], v[3]), cosine(v[0], v[1]), "the order of words counts")
	require.Greater(t, cosine(v[6], v[7]), 0.2, "a script without spaces has words all the same")
	for i, vector := range v {
		require.InDelta(t, 1, math.Sqrt(cosine(vector, vector)), 1e-6, "length of %d", i)
	}
}

// A vector stored today is compared with one made by another build next year.
func TestHashVectorsAreStable(t *testing.T) {
	t.Parallel()
	v := embed(t, "momentum momentum momentum crash")[0]
	found := map[int]float32{}
	for i, x := range v {
		if x != 0 {
			found[i] = x
		}
	}
	want := map[int]float32{31: -0.42327175, 209: -0.29929832, 241: 0.7405715, 306: -0.42756915}
	require.Equal(t, want, found)
	for range 50 {
		require.Equal(t, v, embed(t, "momentum momentum momentum crash")[0])
	}
}

func TestHashEmbedderStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := knowledge.HashEmbedder{}.Embed(ctx, knowledge.ForQuery, []string{"a"})
	require.ErrorIs(t, err, context.Canceled)
}
