package vector_test

import (
	"archive/zip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/bert"
	"millrace/jobs/knowledge/extract"
	"millrace/jobs/knowledge/judge"
	"millrace/store/pgtest"
)

const judgedSet = "../../jobs/knowledge/judge/testdata"

// putJudged ingests the committed documents as a worker would.
func (s *shelf) putJudged(t testing.TB) {
	t.Helper()
	chunker, err := knowledge.NewChunker()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(judgedSet, "documents", "*.md"))
	require.NoError(t, err)
	require.Greater(t, len(files), 50)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		extracted, err := extract.Text(raw, filepath.Base(file))
		require.NoError(t, err)
		chunks, err := chunker.Chunks(t.Context(), uuid.New(), extracted)
		require.NoError(t, err)
		d := pgtest.Document{Title: extracted.Title, URL: "upload:" + filepath.Base(file)}
		for _, c := range chunks {
			d.Texts, d.Headings = append(d.Texts, c.Text), append(d.Headings, c.Position.Heading)
		}
		s.putDocument(t, d, chunks)
	}
}

// judgedCases are the committed questions of one half.
func judgedCases(t testing.TB, half string) []judge.Case {
	t.Helper()
	file, err := os.Open(filepath.Join(judgedSet, "questions.jsonl"))
	require.NoError(t, err)
	defer func() { _ = file.Close() }()
	cases, err := judge.Read(file)
	require.NoError(t, err)
	return slices.DeleteFunc(cases, func(c judge.Case) bool { return c.Half != half })
}

// The measure of the search on the committed set. Constants were chosen on the half "tune".
func TestJudgedSet(t *testing.T) { judgeShelf(t, knowledge.HashEmbedder{}, -0.0005) }

// A model that carries meaning has to gain.
func TestJudgedSetWithALocalModel(t *testing.T) {
	local := localModel(t)
	if local == nil {
		t.Skip("EMBEDDER_TEST_FILE is not set: the judged set runs with the lexical embedder only")
	}
	judgeShelf(t, local, 0.04)
}

// localModel is the model of EMBEDDER_TEST_FILE, nil where it is not set.
func localModel(t testing.TB) knowledge.Embedder {
	t.Helper()
	file := os.Getenv("EMBEDDER_TEST_FILE")
	if file == "" {
		return nil
	}
	archive, err := zip.OpenReader(file)
	require.NoError(t, err)
	defer func() { _ = archive.Close() }()
	local, err := bert.Open(archive)
	require.NoError(t, err)
	return local
}

func judgeShelf(t *testing.T, embedder knowledge.Embedder, gain float64) {
	t.Helper()
	s := newShelfOf(t, embedder)
	s.putJudged(t)
	for _, half := range []string{"tune", "report"} {
		judged, err := judge.Run(t.Context(), s.base, s.scope.Workspace, judgedCases(t, half))
		require.NoError(t, err)
		var text strings.Builder
		sum := judge.Summarize(judged)
		require.NoError(t, sum.Write(&text))
		t.Logf("half %q, embedder %s\n%s", half, s.embedder.Model(), text.String())
		require.Greater(t, sum.WordsNDCG.Mean, 0.85, "half %q", half)
		require.GreaterOrEqual(t, sum.Gain.Mean, gain, "what the vectors add to the order of half %q", half)
		require.GreaterOrEqual(t, sum.Covered.True, 0.85, "questions of half %q on the subject that count as covered", half)
		require.LessOrEqual(t, sum.Covered.False, 0.05, "questions of half %q off the subject that count as covered", half)
		require.GreaterOrEqual(t, 78*sum.Answered, 55*sum.Phrases, "answers of half %q that hold the phrase", half)
		for _, j := range judge.Missed(judged) {
			t.Logf("missed: recalled %v, within %v, %s | %s", j.Recalled, j.Within, j.Question, j.Phrase)
		}
	}
}
