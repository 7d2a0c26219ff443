package vector_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store/pgtest"
)

// ask searches the shelf and answers from what is found.
func (s *shelf) ask(t testing.TB, question string) (*knowledge.Found, knowledge.Explanation) {
	t.Helper()
	found, err := s.base.Search(t.Context(), s.scope.Workspace, knowledge.Question{Text: question, TopK: 8})
	require.NoError(t, err)
	answer, err := s.base.Answer(t.Context(), question, found)
	require.NoError(t, err)
	return found, answer
}

func TestAnEmptyBaseFindsNothing(t *testing.T) {
	t.Parallel()
	found, answer := newShelf(t).ask(t, "What is a stop?")
	require.Empty(t, found.Matches)
	require.Empty(t, found.Lacking)
	require.Zero(t, found.Best)
	require.Empty(t, answer.Citations)
}

func TestABaseOfOneChunkCoversWhatItIsAbout(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.put(t, "Stops", "A stop fills at the open when the market gaps.")
	found, answer := s.ask(t, "Where does a stop usually fill when the market suddenly gaps?")
	require.GreaterOrEqual(t, found.Best, knowledge.StrongMatch, "words that the only chunk has are not common")
	require.Contains(t, answer.Text, "fills at the open")
	found, _ = s.ask(t, "How does sourdough rise in the market?")
	require.Less(t, found.Best, knowledge.StrongMatch)
}

func TestAQuestionOfStopWordsFindsNothing(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.put(t, "", "What is it and why is it so?", "The market gaps.")
	found, answer := s.ask(t, "what is it and why is it so")
	require.Empty(t, found.Matches)
	require.Zero(t, found.Best)
	require.Empty(t, answer.Citations)
}

func TestAQuestionOfFourThousandCharactersIsSearched(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	chunks := s.put(t, "", "A stop fills at the open.", "Nothing of it.")
	found, _ := s.ask(t, strings.Repeat("stop fills open zebra quokka ", 140))
	require.Equal(t, chunks[0], found.Matches[0].ID)
	found, _ = s.ask(t, strings.Repeat("x", 4000))
	require.Empty(t, found.Matches)
}

func TestAnotherLanguageIsFoundAndNotCoveredByEnglish(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.put(t, "", "A moving average crosses.", "The market gaps.")
	japanese := s.put(t, "", "移動平均線のクロスは横ばい相場では失敗しやすい。")
	german := s.put(t, "", "Der gleitende Durchschnitt hinkt dem Kurs hinterher.")
	found, answer := s.ask(t, "移動平均線のクロスはなぜ失敗する？")
	require.Equal(t, japanese[0], found.Matches[0].ID)
	require.Contains(t, answer.Text, "横ばい相場")
	found, _ = s.ask(t, "Warum hinkt der gleitende Durchschnitt?")
	require.Equal(t, german[0], found.Matches[0].ID)
	found, _ = s.ask(t, "Как работает скользящая средняя?")
	require.Less(t, found.Best, knowledge.StrongMatch)
}

func TestADocumentOfOneTableIsQuotedByRows(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.put(t, "Fees", "| venue | maker fee | taker fee |\n|---|---|---|\n| Alpha | 0.02 % | 0.05 % |\n| Beta | 0.00 % | 0.09 % |\n| Gamma | 0.01 % | 0.04 % |")
	_, answer := s.ask(t, "What is the taker fee of Beta?")
	require.Contains(t, answer.Text, "“Beta | 0.00 % | 0.09 %” [1]")
	require.NotContains(t, answer.Text, "Gamma")
}

func TestTenCopiesOfADocumentLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	for range 10 {
		s.put(t, "Stops", "A stop fills at the open when the market gaps.")
	}
	other := s.put(t, "Gaps", "Where the market gaps over night a guaranteed stop fills at its price.")
	found, answer := s.ask(t, "Where does a stop fill when the market gaps?")
	require.Len(t, found.Matches, 2, "a copy is shown once")
	require.Contains(t, []any{found.Matches[0].ID, found.Matches[1].ID}, other[0])
	require.Equal(t, 1, strings.Count(answer.Text, "A stop fills at the open"))
}

// eight is a model of other dimensions than the workspace was embedded with.
type eight struct{}

func (eight) Model() knowledge.Model {
	return knowledge.Model{Provider: "hash", Name: "words-v1", Dimensions: 8}
}

func (eight) Embed(_ context.Context, _ knowledge.Use, texts []string) ([][]float32, error) {
	vectors := make([][]float32, len(texts))
	for i := range vectors {
		vectors[i] = []float32{1, 0, 0, 0, 0, 0, 0, 0}
	}
	return vectors, nil
}

func TestAModelOfOtherDimensionsHalfWayLeavesTheWords(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	chunks := s.put(t, "", "A stop fills at the open.")
	base, err := knowledge.NewBase(knowledge.Parts{
		Texts: s.store.Library, Trials: s.store.Recommend, Embedders: knowledge.Embedders{eight{}}, Index: s.index, LLM: s.llm,
	})
	require.NoError(t, err)
	// Chunks that came by the other model have no vectors here.
	_, late := pgtest.Document{Texts: []string{"A stop fills later."}}.Insert(t, s.db.OwnerPool(t), s.scope.Workspace)
	found, err := base.Search(t.Context(), s.scope.Workspace, knowledge.Question{Text: "Where does a stop fill?", TopK: 8})
	require.NoError(t, err)
	require.Equal(t, []string{"embedder_unconfigured"}, found.Lacking)
	require.Len(t, found.Matches, 2)
	require.ElementsMatch(t, []any{chunks[0], late[0]}, []any{found.Matches[0].ID, found.Matches[1].ID})

	_, err = s.index.Search(t.Context(), s.scope, make([]float32, 8), knowledge.Filter{}, 10)
	require.Equal(t, knowledge.FaultDimensions, knowledge.AsFault("", err).Kind)
}
