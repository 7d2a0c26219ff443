package knowledge

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func hit(chunk uuid.UUID, score float64) Hit { return Hit{Chunk: chunk, Score: score} }

func TestFusionWeighsScoresByWhatTheVectorsAre(t *testing.T) {
	t.Parallel()
	a, b, c := uuid.New(), uuid.New(), uuid.New()
	near := []Hit{hit(a, 0.9), hit(b, 0.8), hit(c, 0.7)}
	worded := []WordHit{{Hit: hit(b, 0.6), Covered: 1}, {Hit: hit(c, 0.3), Covered: 0.5}}

	ranked := fuse(near, worded, vectorShare(Model{Provider: "openai"}, true))
	require.Equal(t, []uuid.UUID{b, a, c}, []uuid.UUID{ranked[0].chunk, ranked[1].chunk, ranked[2].chunk})
	require.InDelta(t, partsShare*0.5+1-partsShare, ranked[0].score, 1e-12)
	require.Equal(t, 0.8, *ranked[0].vector)
	require.Equal(t, 0.6, *ranked[0].text)
	require.Equal(t, 1.0, ranked[0].covered)
	require.Nil(t, ranked[1].text)
	require.InDelta(t, partsShare, ranked[1].score, 1e-12)

	ranked = fuse(near, worded, vectorShare(HashEmbedder{}.Model(), false))
	require.Equal(t, c, ranked[1].chunk, "lexical vectors do not outvote words")
}

func TestFusionOfOneLegKeepsItsOrder(t *testing.T) {
	t.Parallel()
	a, b := uuid.New(), uuid.New()
	for _, near := range [][]Hit{{hit(a, 0.9), hit(b, -0.2)}, {hit(a, -0.5), hit(b, -0.9)}} {
		ranked := fuse(near, nil, lexicalShare)
		require.Equal(t, a, ranked[0].chunk)
		require.InDelta(t, 1, ranked[0].score, 1e-12)
	}
	ranked := fuse(nil, []WordHit{{Hit: hit(b, 0.4)}, {Hit: hit(a, 0.1)}}, lexicalShare)
	require.Equal(t, b, ranked[0].chunk)
	require.Empty(t, fuse(nil, nil, lexicalShare))
	alike := fuse([]Hit{hit(a, 0.5), hit(b, 0.5)}, nil, partsShare)
	require.Equal(t, alike[0].score, alike[1].score)
	require.InDelta(t, 1, alike[0].score, 1e-12)
}
