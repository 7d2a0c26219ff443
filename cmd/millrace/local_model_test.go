package main

import (
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/bert/berttest"
	"millrace/ops"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

// Whatever embeds, answers know words that mean the like from the table that is built in.
func TestAnswersKnowWordsThatMeanTheLike(t *testing.T) {
	t.Parallel()
	file := berttest.Archive(t)
	st := stores.New(pgtest.New(t).Pool(t), nil)
	for _, embedder := range []string{"local", "hash"} {
		flags := knowledgeFlags{Embedder: embedder, EmbedderFile: file, VectorMemory: 1, TextMemory: 1, LLM: "none"}
		parts, err := flags.openKnowledge(&lifecycle{}, st, ops.NewMetrics(), slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		base, err := parts.base(st)
		require.NoError(t, err)
		found := &knowledge.Found{Matches: []knowledge.Match{{Passage: knowledge.Passage{Chunk: knowledge.Chunk{
			ID: uuid.New(), Text: "The desk closes at noon. A purchase of digital currencies needs two keys. The weather was fine.",
		}}}}}
		answer, err := base.Answer(t.Context(), "Who may buy coins?", found)
		require.NoError(t, err)
		require.Contains(t, answer.Text, "A purchase of digital currencies needs two keys.” [1]", embedder)
		require.NotContains(t, answer.Text, "weather", embedder)
		answer, err = base.Answer(t.Context(), "Who may sing opera?", found)
		require.NoError(t, err)
		require.NotContains(t, answer.Text, "purchase", embedder)
	}
}
