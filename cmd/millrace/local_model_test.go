package main

import (
	"log/slog"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/ops"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

func TestAnswersKnowTheWordsOfTheLocalModel(t *testing.T) {
	t.Parallel()
	file := os.Getenv("EMBEDDER_TEST_FILE")
	if file == "" {
		t.Skip("EMBEDDER_TEST_FILE is not set")
	}
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
