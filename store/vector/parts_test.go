package vector_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/store/vector"
	"millrace/store/vector/qdranttest"
)

// topical embeds a text by how often it names each of a few topics, whatever words it uses for them.
type topical struct{}

func (topical) Model() knowledge.Model {
	return knowledge.Model{Provider: "openai", Name: "topical", Dimensions: 4}
}

func (topical) Embed(_ context.Context, _ knowledge.Use, texts []string) ([][]float32, error) {
	topics := map[string]int{"gap": 0, "jump": 0, "tax": 1, "levy": 1, "volume": 2, "turnover": 2}
	vectors := make([][]float32, len(texts))
	for i, text := range texts {
		sums := []float64{0, 0, 0, 0.01}
		for word := range strings.FieldsSeq(text) {
			if topic, ok := topics[strings.Trim(word, "?.")]; ok {
				sums[topic]++
			}
		}
		vectors[i] = knowledge.Normalized(sums)
	}
	return vectors, nil
}

// sentence says something of a topic in one part of a long passage about another.
func sentence(topic, rest string) string {
	return strings.Repeat(rest+" ", 72) + strings.Repeat(topic+" ", 48) + strings.Repeat(rest+" ", 72)
}

// A passage whose one sentence answers comes before one that is a little about the question all over.
func TestAPassageIsComparedByItsBestPart(t *testing.T) {
	t.Parallel()
	s := newShelfOf(t, topical{})
	vague := s.put(t, "", strings.Repeat("gap tax volume tax volume gap quietly ", 40))
	exact := s.put(t, "", sentence("gap", "turnover"))
	found, _ := s.ask(t, "What about a jump?")
	require.Len(t, found.Matches, 2)
	require.Equal(t, exact[0], found.Matches[0].ID)
	require.Equal(t, vague[0], found.Matches[1].ID)
}

// From documents to an answer with Qdrant in the place of Postgres: in memory, and on the server at QDRANT_TEST_URL. The order is
// the same, as the parts are in Postgres either way.
func TestQuestionsAreAnsweredAlikeWithQdrant(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"in-memory": "", "qdrant": os.Getenv("QDRANT_TEST_URL")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			switch {
			case name == "in-memory":
				url = qdranttest.New(t).URL
			case url == "":
				t.Skip("QDRANT_TEST_URL is not set: the suite has run on the server in memory, not on a real one")
			}
			index, err := vector.NewQdrant(url, "")
			require.NoError(t, err)
			t.Cleanup(func() { _ = index.Close() })
			s := newShelfIn(t, topical{}, index)
			t.Cleanup(func() { _ = index.DeleteWorkspace(context.Background(), s.scope) })
			vague := s.put(t, "", strings.Repeat("gap tax volume tax volume gap quietly ", 40))
			exact := s.put(t, "", sentence("gap", "turnover")+"It fills at the open.")
			found, answer := s.ask(t, "What about a jump?")
			require.Empty(t, found.Lacking)
			require.Len(t, found.Matches, 2)
			require.Equal(t, exact[0], found.Matches[0].ID)
			require.Equal(t, vague[0], found.Matches[1].ID)
			require.NotEmpty(t, answer.Text)
			require.NoError(t, index.DeleteRevisions(t.Context(), s.scope, found.Matches[1].DocumentID, knowledge.AllRevisions))
			found, _ = s.ask(t, "What about a jump?")
			require.Len(t, found.Matches, 1)
		})
	}
}

// Chunks from before there were parts are found and compared by their one vector.
func TestChunksWithoutPartsAreFoundBesideThoseThatHaveThem(t *testing.T) {
	t.Parallel()
	s := newShelfOf(t, topical{})
	exact := s.put(t, "", sentence("gap", "turnover"))
	old := s.put(t, "", "A gap tax levy of the old kind.")
	other := s.put(t, "", "A levy.")
	_, err := s.db.OwnerPool(t).Exec(t.Context(), `delete from chunk_parts where chunk_id = any($1)`, append(old, other...))
	require.NoError(t, err)
	found, _ := s.ask(t, "What about a jump?")
	require.Empty(t, found.Lacking)
	var order []uuid.UUID
	for _, m := range found.Matches {
		order = append(order, m.ID)
	}
	require.Equal(t, []uuid.UUID{exact[0], old[0], other[0]}, order)
	require.InDelta(t, 0.4472, *found.Matches[1].VectorScore, 0.001)

	_, err = s.db.OwnerPool(t).Exec(t.Context(), `update chunk_parts set parts = '\x09'`) // of a version to come
	require.NoError(t, err)
	found, _ = s.ask(t, "What about a jump?")
	require.Len(t, found.Matches, 3)
	require.Equal(t, old[0], found.Matches[0].ID, "by its one vector again")
}

// Another workspace's parts cannot be read, nor those of another collection.
func TestPartsAreReadWithinTheirWorkspaceAndCollection(t *testing.T) {
	t.Parallel()
	s := newShelfOf(t, topical{})
	chunks := s.put(t, "", "gap")
	parts, err := s.store.Library.ChunkParts(t.Context(), s.scope.Workspace, s.scope.Collection, chunks)
	require.NoError(t, err)
	require.Len(t, parts, 1)
	parts, err = s.store.Library.ChunkParts(t.Context(), s.scope.Workspace, knowledge.Collection{Name: "another", Dimensions: 4}, chunks)
	require.NoError(t, err)
	require.Empty(t, parts)
	stranger, err := s.store.Tenants.CreateWorkspace(t.Context(), "stranger", 1)
	require.NoError(t, err)
	parts, err = s.store.Library.ChunkParts(t.Context(), stranger.ID, s.scope.Collection, chunks)
	require.NoError(t, err)
	require.Empty(t, parts)
}
