package vector_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
)

// scattered puts a passage that repeats the words of "guaranteed stop fee" here and there, one that has them in one sentence,
// and others.
func (s *shelf) scattered(t *testing.T) (apart, one uuid.UUID) {
	t.Helper()
	apart = s.put(t, "", "The guaranteed return was small. Ships sailed in the north that week. A stop on the way cost an hour. Ships sailed west. "+
		"The harbour asked for a fee. Ships sailed east. Nobody guaranteed a return. Ships sailed south. Another stop came. Ships sailed home. Then came the next fee.")[0]
	one = s.put(t, "", "Weather and tides are watched all day. The fee of a guaranteed stop is 0.3 percent.")[0]
	for range 30 {
		s.put(t, "", "Harbours were full of fish, nets and rope; "+strings.Repeat("rain ", 40))
	}
	return apart, one
}

// A passage that has a question's words in one sentence comes before one that repeats them here and there.
func TestAPassageIsReadSentenceBySentence(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	apart, one := s.scattered(t)
	question := knowledge.Question{Text: "guaranteed stop fee", TopK: 2}
	found, err := s.base.Search(t.Context(), s.scope.Workspace, question)
	require.NoError(t, err)
	require.Equal(t, one, found.Matches[0].ID)
	require.Equal(t, apart, found.Matches[1].ID)
	for _, m := range found.Matches {
		require.True(t, m.Score > 0 && m.Score <= 1, "%v", m.Score)
	}
	question.WordsOnly = true
	found, err = s.base.Search(t.Context(), s.scope.Workspace, question)
	require.NoError(t, err)
	require.InDelta(t, 0.85, found.Matches[0].Score, 1e-9, "BM25 alone, which its own best is measured by")
}

// What models that were not measured find is not ordered by sentences.
func TestSentencesDoNotCountBesideVectorsThatWereNotMeasured(t *testing.T) {
	t.Parallel()
	s := newShelfOf(t, topical{})
	apart, one := s.scattered(t)
	found, err := s.base.Search(t.Context(), s.scope.Workspace, knowledge.Question{Text: "guaranteed stop fee", TopK: 2})
	require.NoError(t, err)
	require.Equal(t, one, found.Matches[0].ID)
	require.Equal(t, apart, found.Matches[1].ID)
	require.InDelta(t, found.Matches[0].Score, found.Matches[1].Score, 0.02, "their words and vectors are nearly alike")
}

// knownTopical is a model whose similarities were measured.
type knownTopical struct{ topical }

func (knownTopical) Model() knowledge.Model {
	return knowledge.Model{Provider: "local", Name: "all-MiniLM-L6-v2", Dimensions: 4}
}

// What a model that was measured finds is ordered by its sentences, and they say more than the vectors do here.
func TestSentencesCountBesideVectorsThatWereMeasured(t *testing.T) {
	t.Parallel()
	s := newShelfOf(t, knownTopical{})
	apart, one := s.scattered(t)
	found, err := s.base.Search(t.Context(), s.scope.Workspace, knowledge.Question{Text: "guaranteed stop fee", TopK: 2})
	require.NoError(t, err)
	require.Equal(t, one, found.Matches[0].ID)
	require.Equal(t, apart, found.Matches[1].ID)
	require.Greater(t, found.Matches[0].Score, found.Matches[1].Score+0.05)
	require.LessOrEqual(t, found.Matches[0].Score, 1.0)
	require.GreaterOrEqual(t, found.BestFit(), knowledge.StrongMatch, "the question's words are of the base")
}
