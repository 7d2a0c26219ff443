package knowledge

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// shelved reads passages by the order in which they are listed, but the ones that are gone.
type shelved struct {
	Texts
	passages map[uuid.UUID]Passage
	reads    int
}

func (s *shelved) Passages(_ context.Context, _ uuid.UUID, chunks []uuid.UUID) (found []Passage, _ error) {
	for _, id := range chunks {
		s.reads++
		if p, ok := s.passages[id]; ok {
			found = append(found, p)
		}
	}
	return found, nil
}

func TestTheBestAreOrderedByTheirSentences(t *testing.T) {
	t.Parallel()
	shelf := &shelved{passages: map[uuid.UUID]Passage{}}
	var ranked []fused
	put := func(score float64, text string) uuid.UUID {
		id := uuid.New()
		if text != "" {
			shelf.passages[id] = Passage{Chunk: Chunk{ID: id, Text: text}}
		}
		ranked = append(ranked, fused{chunk: id, score: score})
		return id
	}
	apart := put(0.9, "The guaranteed return was small. Ships sailed west. A stop cost an hour. Ships sailed east. The harbour asked for a fee.")
	gone := put(0.88, "")
	one := put(0.85, "Tides are watched. The fee of a guaranteed stop is 0.3 percent.")
	for range rereadLimit - 3 {
		put(0.5, "Rain fell all day.")
	}
	beyond := put(0.5, "The fee of a guaranteed stop is 0.2 percent.")
	known, order, err := (&Base{texts: shelf}).reread(t.Context(), uuid.New(), "guaranteed stop fee", HashEmbedder{}.Model(), ranked, nil)
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{one, apart, gone}, []uuid.UUID{order[0].chunk, order[1].chunk, order[2].chunk})
	require.Len(t, order, len(ranked))
	require.Equal(t, beyond, order[len(order)-1].chunk, "no more than the best are read")
	require.Len(t, known, rereadLimit-1)
	for _, f := range order {
		require.True(t, f.score > 0 && f.score <= 1)
	}
	require.Equal(t, fused{chunk: apart, score: 0.9}, ranked[0], "what was given is left as it is")

	// What was read is not read again.
	shelf.reads = 0
	_, err = (&Base{texts: shelf}).passages(t.Context(), uuid.New(), order, known)
	require.NoError(t, err)
	require.Equal(t, 2, shelf.reads, "the one beyond and the one that is gone")

	_, order, err = (&Base{texts: shelf}).reread(t.Context(), uuid.New(), "zeppelins", HashEmbedder{}.Model(), ranked, nil)
	require.NoError(t, err)
	require.Equal(t, ranked, order, "no sentence says more than another")
}

// Vectors of a model that was measured leave the order to the sentences, too; those of others are left alone.
func TestSentencesCountBesideAMeasuredModel(t *testing.T) {
	t.Parallel()
	local := Model{Provider: "local", Name: "all-MiniLM-L6-v2"}
	require.True(t, rereads(local))
	require.True(t, rereads(HashEmbedder{}.Model()))
	require.False(t, rereads(Model{Provider: "openai", Name: "text-embedding-3-small"}))
	shelf := &shelved{passages: map[uuid.UUID]Passage{}}
	var ranked []fused
	parts := map[uuid.UUID][]float64{}
	for i, text := range []string{"Ships sailed west. A stop cost an hour. The harbour asked for a fee.", "Tides are watched. The fee of a stop is 0.3 percent.", "Waves."} {
		id := uuid.New()
		shelf.passages[id] = Passage{Chunk: Chunk{ID: id, Text: text}}
		ranked, parts[id] = append(ranked, fused{chunk: id, score: 0.9 - 0.01*float64(i)}), []float64{0.3}
	}
	_, order, err := (&Base{texts: shelf}).reread(t.Context(), uuid.New(), "stop fee", local, ranked, parts)
	require.NoError(t, err)
	require.Equal(t, ranked[1].chunk, order[0].chunk)
	require.Nil(t, order[0].about, "what its words mean says no more than the model does")
	// Of two that have the same words, the one whose parts are nearer.
	shelf.passages[ranked[0].chunk] = Passage{Chunk: Chunk{ID: ranked[0].chunk, Text: "The fee of a stop is 0.4 percent."}}
	ranked[0].score, ranked[1].score = 0.9, 0.9
	parts[ranked[1].chunk] = []float64{0.6}
	_, order, err = (&Base{texts: shelf}).reread(t.Context(), uuid.New(), "stop fee", local, ranked, parts)
	require.NoError(t, err)
	require.Equal(t, ranked[1].chunk, order[0].chunk)
}

func TestAPassageWithTwoSentencesThatFitComesFirst(t *testing.T) {
	t.Parallel()
	shelf, fee := &shelved{passages: map[uuid.UUID]Passage{}}, "The fee of a guaranteed stop is due. "
	var ranked []fused
	for _, text := range []string{fee + "Ships sailed in the north.", fee + "A guaranteed stop has one fee."} {
		id := uuid.New()
		shelf.passages[id] = Passage{Chunk: Chunk{ID: id, Text: text}}
		ranked = append(ranked, fused{chunk: id, score: 0.5})
	}
	_, order, err := (&Base{texts: shelf}).reread(t.Context(), uuid.New(), "guaranteed stop fee", HashEmbedder{}.Model(), ranked, nil)
	require.NoError(t, err)
	require.Equal(t, ranked[1].chunk, order[0].chunk)
}
