package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/store"
	"millrace/store/pgtest"
	"millrace/store/stores"
)

func TestKnowledgeIsJudgedByAFileOfQuestions(t *testing.T) {
	db := pgtest.New(t)
	pool, err := store.OpenPool(t.Context(), store.PoolOptions{DatabaseURL: db.URL, MaxConns: 4})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	st := stores.New(pool, nil)
	space, err := st.Tenants.CreateWorkspace(t.Context(), "judged", 1)
	require.NoError(t, err)
	pgtest.Document{Title: "Stops", URL: "upload:stops.md", Texts: []string{"A stop fills at the open when the market gaps."}}.Insert(t, db.OwnerPool(t), space.ID)

	questions := filepath.Join(t.TempDir(), "questions.jsonl")
	write := func(text string) { require.NoError(t, os.WriteFile(questions, []byte(text), 0o600)) }
	judge := func(args ...string) (int, string) {
		var out bytes.Buffer
		status := run(t.Context(), append([]string{"kb", "judge", questions, "--database-url", db.URL}, args...), &out, &out)
		return status, out.String()
	}
	write(`{"question":"Where does a stop fill in a gap?","document":"stops.md","phrase":"fills at the open"}
{"question":"Who tends the zebra?","phrase":"nobody"}
{"question":"How is sourdough baked?","off_domain":true}
`)
	status, out := judge("--workspace", "judged", "--missed")
	require.Zero(t, status, out)
	require.Contains(t, out, "2 on the subject, 1 off it")
	require.Contains(t, out, "phrase in the answer   1 of 2; it was in the passages of 1")
	require.Contains(t, out, "gain over BM25         0.000")
	require.Contains(t, out, "0.500 of those on the subject, 0.000 of those off it")
	require.Contains(t, out, "not among the first ten: Who tends the zebra?")
	require.Contains(t, out, "found by neither       1")
	write(`{"question":"Where does a market stop fill?","document":"other.md"}`)
	_, out = judge("--workspace", "judged", "--missed")
	require.Contains(t, out, "  1. Stops, part 1: A stop fills at the open when the market gaps.", "what came first instead")
	runs, err := db.OwnerPool(t).Exec(t.Context(), `select from match_runs`)
	require.NoError(t, err)
	require.Zero(t, runs.RowsAffected(), "judged questions are not recorded")

	for _, named := range []string{"nowhere", uuid.NewString()} {
		status, out = judge("--workspace", named)
		require.Equal(t, 2, status)
		require.Contains(t, out, `no workspace is called "`+named+`"`)
	}
	write(`{"question":"a"}`)
	status, out = judge("--workspace", "judged")
	require.Equal(t, 2, status)
	require.Contains(t, out, "line 1: name the document or the phrase")
	t.Run("the workspace of the environment", func(t *testing.T) {
		t.Setenv("MILLRACE_WORKSPACE_ID", space.ID.String())
		write(`{"question":"Where does a stop fill in a gap?","document":"stops.md"}`)
		status, out := judge()
		require.Zero(t, status, out)
	})
	write("\n")
	_, out = judge("--workspace", "judged")
	require.Contains(t, out, "has no questions")
}
