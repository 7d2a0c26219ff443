package main

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge/bert/berttest"
	"millrace/ops"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

func TestAnswersKnowTheWordsOfTheLocalModel(t *testing.T) {
	t.Parallel()
	file := berttest.Archive(t)
	st := stores.New(pgtest.New(t).Pool(t), nil)
	for embedder, has := range map[string]bool{"local": true, "hash": false} {
		flags := knowledgeFlags{Embedder: embedder, EmbedderFile: file, VectorMemory: 1, TextMemory: 1}
		parts, err := flags.openKnowledge(&lifecycle{}, st, ops.NewMetrics(), slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		require.Equal(t, has, parts.words != nil, embedder)
		_, err = parts.base(st)
		require.NoError(t, err)
	}
}
