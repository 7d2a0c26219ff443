package knowledge

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestAboutIsHowNearThePartsAre(t *testing.T) {
	t.Parallel()
	from := matches(passages("Weather.", "Purchase currencies, weather.", "Purchase coins.", "Ships sailed."))
	about, nearest := (&Base{lexicon: known}).about("Who may buy coins?", from)
	require.InDeltaSlice(t, []float64{0, 0.8165, 1, 0}, about, 1e-4, "neither another meaning nor words that are not known are near")
	require.InDeltaSlice(t, []float64{0, 0.8165, 1, 0}, nearest, 1e-4)
	about, nearest = (&Base{lexicon: known}).about("Who sails?", from)
	require.True(t, about == nil && nearest == nil, "of the question no word is known")
	about, _ = (&Base{}).about("Who may buy coins?", from)
	require.Nil(t, about)
	about, nearest = (&Base{lexicon: known}).about("Who may buy coins?", from[:1])
	require.Equal(t, []float64{1}, about, "one alone is the nearest")
	require.Equal(t, []float64{0}, nearest, "and far all the same")

	// The best part counts beside all of them.
	var long string
	for range 3 * partWords {
		long += "weather "
	}
	about, _ = (&Base{lexicon: known}).about("buy", matches(passages(long, long+" buy buy buy buy buy buy buy buy buy buy buy buy buy buy buy buy", "buy weather")))
	require.Equal(t, 0.0, about[0])
	require.Equal(t, 1.0, about[2])
	require.True(t, 0.3 < about[1] && about[1] < 1, "%v", about)
}

// Where the best sentences of two passages say the same, what else they are about decides.
func TestThePassageThatIsAboutTheQuestionComesFirst(t *testing.T) {
	t.Parallel()
	shelf, same := &shelved{passages: map[uuid.UUID]Passage{}}, "Buy coins. Buy coins here. "
	var ranked []fused
	for _, text := range []string{same + "Weather, weather, weather.", same + "Purchase, currencies, purchase."} {
		id := uuid.New()
		shelf.passages[id] = Passage{Chunk: Chunk{ID: id, Text: text}}
		ranked = append(ranked, fused{chunk: id, score: 0.5})
	}
	_, order, err := (&Base{texts: shelf, lexicon: known}).reread(t.Context(), uuid.New(), "Where to buy coins?", HashEmbedder{}.Model(), ranked, nil)
	require.NoError(t, err)
	require.Equal(t, ranked[1].chunk, order[0].chunk)
	require.True(t, order[0].score > 0 && order[0].score <= 1)
	_, order, err = (&Base{texts: shelf}).reread(t.Context(), uuid.New(), "Where to buy coins?", HashEmbedder{}.Model(), ranked, nil)
	require.NoError(t, err)
	require.Equal(t, ranked[0].chunk, order[0].chunk, "without a lexicon it is not known")
}
