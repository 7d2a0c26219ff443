package main

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/api/types"
	"millrace/jobs/knowledge"
	"millrace/store/pgtest"
	"millrace/store/tenants"
)

// put adds a document with its vectors to a workspace.
func (v *verbs) put(workspace uuid.UUID, d pgtest.Document) {
	v.t.Helper()
	document, chunks := d.Insert(v.t, v.db.OwnerPool(v.t), workspace)
	embedder := v.parts.embedders[0]
	place, err := v.store.Library.Placement(v.t.Context(), workspace, embedder.Model())
	require.NoError(v.t, err)
	vectors, err := embedder.Embed(v.t.Context(), knowledge.ForDocument, d.Texts)
	require.NoError(v.t, err)
	points := make([]knowledge.Point, len(chunks))
	for i, id := range chunks {
		points[i] = knowledge.Point{Chunk: id, Document: document, Revision: 1, SourceType: "text", Vector: vectors[i]}
	}
	require.NoError(v.t, v.parts.index.Ensure(v.t.Context(), place.Collection))
	require.NoError(v.t, v.parts.index.Upsert(v.t.Context(), knowledge.Scope{Workspace: workspace, Collection: place.Collection}, points))
}

func TestAskPrintsAnAnswerAndWhatItCites(t *testing.T) {
	v := newVerbs(t)
	space, err := v.store.Tenants.CreateWorkspace(t.Context(), "alpha", 1)
	require.NoError(t, err)
	key, err := v.store.Tenants.CreateKey(t.Context(), space.ID, "cli", tenants.RoleViewer)
	require.NoError(t, err)
	v.put(space.ID, pgtest.Document{Title: "Notes\x1b[2J", Texts: []string{"A crossover is whipsawed without a trend.", "Coffee is harvested late."}})

	out := v.ok("ask", "When", "is a crossover whipsawed?", "--api-key", key)
	require.Regexp(t, `(?s)^“A crossover is whipsawed without a trend.” \[1\]\n\n\[1\] Notes.*\(chunk [0-9a-f-]{36}\)\n$`, out)
	require.NotContains(t, out, "\x1b", "what a document holds does not steer a terminal")
	status, _, notes := v.run("ask", "When is a crossover whipsawed?", "--api-key", key)
	require.Zero(t, status)
	require.Contains(t, notes, "No language model is set up")

	out = v.ok("ask", "crossover whipsawed", "--passages", "--top-k", "1", "--source", "text", "--api-key", key)
	require.Contains(t, out, "1. Notes")
	require.NotContains(t, out, "Coffee")
	require.Contains(t, v.ok("ask", "xylophone", "--passages", "--api-key", key), "Nothing in the knowledge base")
	require.True(t, json.Valid([]byte(v.ok("ask", "crossover", "--json", "--api-key", key))))

	status, _, errs := v.run("ask", "??", "--api-key", key)
	require.Equal(t, 1, status)
	require.Contains(t, errs, "question")
	status, _, errs = v.run("ask", "crossover", "--top-k", "51", "--api-key", key)
	require.Equal(t, 1, status)
	require.Contains(t, errs, "--top-k")
}

func TestReembedVerbStartsAMove(t *testing.T) {
	v := newVerbs(t)
	_, err := v.store.Tenants.CreateWorkspace(t.Context(), "alpha", 1)
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f-]{36}\n$`, v.ok("admin", "workspace", "reembed", "alpha", "--to", "hash", "--detach"))
	status, _, errs := v.run("admin", "workspace", "reembed", "alpha", "--to", "openai", "--detach")
	require.Equal(t, 1, status)
	require.Contains(t, errs, "provider")
}

func TestAskSaysWhatTheSearchHadToDoWithout(t *testing.T) {
	t.Parallel()
	var notes strings.Builder
	var found types.Query
	found.Search.Lacking = []string{"vectors_unreachable", "reranker_rate_limit"}
	printAnswer(io.Discard, &notes, &found)
	require.Equal(t, "note: the search had to do without vectors (unreachable), reranker (rate limit)\n", notes.String())
}

func TestAskSaysThatPassagesAreOnlyTheNearest(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	for covered, note := range map[*bool]string{nil: "", &yes: "", &no: "note: none of them is clearly about the question\n"} {
		var notes strings.Builder
		printAnswer(io.Discard, &notes, &types.Query{Covered: covered, Results: []types.Match{{Rank: 1, Title: "Notes"}}})
		require.Equal(t, note, notes.String())
	}
}
