package judge

import (
	"math"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
)

func TestCasesAreReadAndFaultsNamedByLine(t *testing.T) {
	t.Parallel()
	cases, err := Read(strings.NewReader(`{"question":"Why?","document":"a.md","phrase":"so"}` + "\n\n" + `{"question":"What?","off_domain":true}` + "\n"))
	require.NoError(t, err)
	require.Equal(t, []Case{{Question: "Why?", Document: "a.md", Phrase: "so"}, {Question: "What?", OffDomain: true}}, cases)
	for text, message := range map[string]string{
		`{"question":" ","phrase":"x"}`:                     "line 1: question is empty",
		`{"question":"a"}`:                                  "line 1: name the document or the phrase",
		"{\"question\":\"a\",\"phrase\":\"x\"}\n{":          "line 2",
		`{"question":"a","phrase":"x","off_domain":true}`:   "line 1: a question that is off_domain",
		`{"question":"a","phrases":"x"}`:                    `line 1: json: unknown field "phrases"`,
		`{"question":"` + strings.Repeat("a", 70_000) + `"`: "line 1: bufio",
	} {
		_, err := Read(strings.NewReader(text))
		require.ErrorContains(t, err, message)
	}
}

func TestAPassageAnswersByDocumentAndPhrase(t *testing.T) {
	t.Parallel()
	p := knowledge.Passage{Title: "Stops", URL: "upload:stops.md", Chunk: knowledge.Chunk{Text: "It fills  at\nthe Open."}}
	for _, c := range []Case{{Document: "stops.md"}, {Document: "Stops", Phrase: "fills at the open"}, {Phrase: "FILLS at"}} {
		require.True(t, c.relevant(p), "%v", c)
	}
	for _, c := range []Case{{Document: "other.md"}, {Document: "Stops", Phrase: "closes"}} {
		require.False(t, c.relevant(p), "%v", c)
	}
}

func TestOrderIsTheNormalisedDiscountedGain(t *testing.T) {
	t.Parallel()
	ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	var matches []knowledge.Match
	for _, id := range ids {
		matches = append(matches, knowledge.Match{Passage: knowledge.Passage{Chunk: knowledge.Chunk{ID: id}}})
	}
	ndcg, found := order(matches, map[uuid.UUID]bool{ids[0]: true, ids[2]: true}, 10)
	require.True(t, found)
	require.InDelta(t, (1+0.5)/(1+1/math.Log2(3)), ndcg, 1e-12)
	ndcg, found = order(matches, map[uuid.UUID]bool{ids[2]: true}, 2)
	require.False(t, found, "beyond the depth")
	require.Zero(t, ndcg)
	ndcg, _ = order(nil, map[uuid.UUID]bool{}, 10)
	require.Zero(t, ndcg)
}

func TestCurveAndAreaOfKnownScores(t *testing.T) {
	t.Parallel()
	on, off := []float64{0.9, 0.8, 0.4}, []float64{0.5, 0.1}
	require.InDelta(t, 5.0/6, Area(on, off), 1e-12)
	require.Equal(t, Point{0.8, 2.0 / 3, 0}, Curve(on, off)[1])
	require.Equal(t, Point{0.1, 1, 1}, Curve(on, off)[4])
	i := Bootstrap([]float64{0, 1, 0, 1, 0, 1, 0, 1})
	require.Equal(t, 0.5, i.Mean)
	require.True(t, i.Low < 0.3 && i.High > 0.7, "%v", i)
	require.Equal(t, i, Bootstrap([]float64{0, 1, 0, 1, 0, 1, 0, 1}), "the same draws each time")
}
