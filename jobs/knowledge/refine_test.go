package knowledge

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// partsOnly has the parts of chunks, and notes which were read.
type partsOnly struct {
	Texts
	parts map[uuid.UUID]PartVectors
	read  []uuid.UUID
}

func (p *partsOnly) ChunkParts(_ context.Context, _ uuid.UUID, _ Collection, chunks []uuid.UUID) (map[uuid.UUID]PartVectors, error) {
	p.read = chunks
	return p.parts, nil
}

func TestRefiningComparesWhatWordsFoundToo(t *testing.T) {
	t.Parallel()
	near, worded, old := uuid.UUID{1}, uuid.UUID{2}, uuid.UUID{3}
	texts := &partsOnly{parts: map[uuid.UUID]PartVectors{
		near:   packParts([][]float32{{0, 1}}),
		worded: packParts([][]float32{{1, 0}}),
	}}
	b, place := &Base{texts: texts}, PlacementOf(Model{Provider: "local", Name: "m", Dimensions: 2})
	found := legs{vector: []float32{1, 0}, near: []Hit{hit(near, 0.9), hit(old, 0.4)}, worded: []WordHit{{Hit: hit(worded, 0.7)}}}
	refine := func(place Placement, found legs) []Hit {
		r, err := b.refine(t.Context(), uuid.Nil, place, found, fuse(found.near, found.worded, partsShare))
		require.NoError(t, err)
		return r.near
	}
	refined := refine(place, found)
	require.Equal(t, []uuid.UUID{worded, old, near}, []uuid.UUID{refined[0].Chunk, refined[1].Chunk, refined[2].Chunk})
	require.InDelta(t, 1, refined[0].Score, 1e-4)
	require.Equal(t, 0.4, refined[1].Score, "what has no parts keeps the similarity of its vector")
	require.ElementsMatch(t, []uuid.UUID{near, worded, old}, texts.read)

	texts.parts[worded] = PartVectors{9, 1, 2} // in a form that is to come
	require.Len(t, refine(place, found), 2)

	texts.read = nil
	require.Equal(t, found.near, refine(PlacementOf(HashEmbedder{}.Model()), found), "lexical vectors have no parts")
	require.Empty(t, refine(place, legs{}))
	require.Nil(t, texts.read)
}

func TestRefiningReadsTheBestOnly(t *testing.T) {
	t.Parallel()
	texts := &partsOnly{}
	b, place := &Base{texts: texts}, PlacementOf(Model{Provider: "local", Name: "m", Dimensions: 2})
	found := legs{vector: []float32{1, 0}}
	for i := range 150 {
		found.near = append(found.near, hit(uuid.UUID{byte(i)}, 1-float64(i)/200))
	}
	r, err := b.refine(t.Context(), uuid.Nil, place, found, fuse(found.near, nil, 1))
	require.NoError(t, err)
	require.Equal(t, found.near, r.near)
	require.Len(t, texts.read, refineLimit)
	require.Equal(t, found.near[refineLimit-1].Chunk, texts.read[refineLimit-1])
}

func TestVectorsCountLessUntilMostOfWhatIsFoundHasParts(t *testing.T) {
	t.Parallel()
	texts := &partsOnly{parts: map[uuid.UUID]PartVectors{}}
	local := Model{Provider: "local", Name: "m", Dimensions: 2}
	b, found := &Base{texts: texts}, legs{vector: []float32{1, 0}}
	for i := range 4 {
		found.near = append(found.near, hit(uuid.UUID{byte(i)}, 1-float64(i)/4))
	}
	for i, share := range []float64{wholeShare, wholeShare, partsShare, partsShare, partsShare} {
		r, err := b.refine(t.Context(), uuid.Nil, PlacementOf(local), found, fuse(found.near, nil, 1))
		require.NoError(t, err)
		require.Equal(t, share, vectorShare(local, r.inParts), "%d of 4 have parts", i)
		texts.parts[uuid.UUID{byte(i)}] = packParts([][]float32{{1, 0}})
	}
	require.Equal(t, lexicalShare, vectorShare(HashEmbedder{}.Model(), false))
}
