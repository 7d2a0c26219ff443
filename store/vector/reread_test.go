package vector_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
)

// A passage that has a question's words in one sentence comes before one that repeats them here and there.
func TestAPassageIsReadSentenceBySentence(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	apart := s.put(t, "", "The guaranteed return was small. Ships sailed in the north that week. A stop on the way cost an hour. Ships sailed west. "+
		"The harbour asked for a fee. Ships sailed east. Nobody guaranteed a return. Ships sailed south. Another stop came. Ships sailed home. Then came the next fee.")
	one := s.put(t, "", "Weather and tides are watched all day. The fee of a guaranteed stop is 0.3 percent.")
	for range 30 {
		s.put(t, "", "Harbours were full of fish, nets and rope; "+strings.Repeat("rain ", 40))
	}
	question := knowledge.Question{Text: "guaranteed stop fee", TopK: 2}
	found, err := s.base.Search(t.Context(), s.scope.Workspace, question)
	require.NoError(t, err)
	require.Equal(t, one[0], found.Matches[0].ID)
	require.Equal(t, apart[0], found.Matches[1].ID)
	for _, m := range found.Matches {
		require.True(t, m.Score > 0 && m.Score <= 1, "%v", m.Score)
	}
	question.WordsOnly = true
	found, err = s.base.Search(t.Context(), s.scope.Workspace, question)
	require.NoError(t, err)
	require.InDelta(t, 0.9, found.Matches[0].Score, 1e-9, "BM25 alone, which its own best is measured by")
}
