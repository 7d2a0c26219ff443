package vector_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store/pgtest"
)

// lacks puts a question and returns what the search did without.
func (s *shelf) lacks(t *testing.T, q knowledge.Question) []string {
	t.Helper()
	q.TopK = 8
	found, err := s.base.Search(t.Context(), s.scope.Workspace, q)
	require.NoError(t, err)
	return found.Lacking
}

// After a collection was dropped its index answers that it has nothing, and does not fail.
func TestAQuestionSaysThatVectorsAreMissing(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	stops, strange := knowledge.Question{Text: "Where does a stop fill?"}, knowledge.Question{Text: "zeppelins"}
	require.Empty(t, s.lacks(t, stops), "an empty base has no vectors and lacks none")
	s.put(t, "Stops", "A stop fills at the open.", "A stop may fill below its price.", "Stops fill when the market gaps.")
	require.Empty(t, s.lacks(t, stops))
	require.Empty(t, s.lacks(t, strange))

	require.NoError(t, s.index.DeleteWorkspace(t.Context(), s.scope))
	missing := []string{"vectors_missing"}
	require.Equal(t, missing, s.lacks(t, stops))
	require.Equal(t, missing, s.lacks(t, strange), "though no word is found either")
	require.Empty(t, s.lacks(t, knowledge.Question{Text: stops.Text, WordsOnly: true}), "it asked for none")
	require.Empty(t, s.lacks(t, knowledge.Question{Text: stops.Text, Filter: knowledge.Filter{Documents: []uuid.UUID{uuid.New()}}}), "nothing is asked of")
	require.Empty(t, s.lacks(t, knowledge.Question{Text: stops.Text, Filter: knowledge.Filter{SourceTypes: []knowledge.SourceType{"pdf"}}}))

	s.put(t, "Fills", "An order fills at the ask, and a stop too.")
	require.Equal(t, missing, s.lacks(t, stops), "what was ingested since has vectors, and most has none")
}

// A chunk that was committed between the two searches is found by its words alone.
func TestOneChunkWithoutAVectorIsNotMissing(t *testing.T) {
	t.Parallel()
	s := newShelf(t)
	s.put(t, "Stops", "A stop fills at the open.", "A stop may fill below its price.")
	pgtest.Document{Texts: []string{"A stop fills later."}}.Insert(t, s.db.OwnerPool(t), s.scope.Workspace)
	require.Empty(t, s.lacks(t, knowledge.Question{Text: "Where does a stop fill?"}))
}
