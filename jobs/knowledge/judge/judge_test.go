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
	cases, err := Read(strings.NewReader("\ufeff" + `{"question":"Why?","document":"a.md","phrase":"so"}` + "\n\n" + `{"question":"What?","off_domain":true}` + "\n"))
	require.NoError(t, err)
	require.Equal(t, []Case{{Question: "Why?", Document: "a.md", Phrase: "so"}, {Question: "What?", OffDomain: true}}, cases)
	for text, message := range map[string]string{
		`{"question":" ","phrase":"x"}`:                                   "line 1: question is empty",
		`{"question":"a"}`:                                                "line 1: name the document or the phrase",
		"{\"question\":\"a\",\"phrase\":\"x\"}\n{":                        "line 2",
		`{"question":"a","phrase":"x","off_domain":true}`:                 "line 1: a question that is off_domain",
		`{"question":"a","phrase":"x","also":[{"grade":1}]}`:              "line 1: also[0]: name the document or the phrase",
		`{"question":"a","phrase":"x","also":[{"phrase":"y","grade":3}]}`: "a grade of 1 (related) or 2 (answers)",
		`{"question":"a","phrases":"x"}`:                                  `unknown object member name "phrases"`,
		"\n\n" + `{"question":"` + strings.Repeat("a", 70_000) + `"`:      "line 3: is longer than 65536 bytes",
		`{"question":"a","phrase":"x"} {"question":"b","phrase":"x"}`:     "line 1",
		`{"question":"a","phrase":"x"} and more`:                          "line 1",
		`{"question":"a","phrase":"x","phrase":"y"}`:                      "line 1: jsontext: duplicate object member name \"phrase\"",
		`{"question":"a\u0000","phrase":"x"}`:                             "line 1: question holds a NUL",
		"{\"question\":\"a\xff\",\"phrase\":\"x\"}":                       "line 1: jsontext: invalid UTF-8",
		`{"question":"a","phrase":" "}`:                                   "line 1: document and phrase are words",
		`{"question":"a","phrase":"x","document":"\t"}`:                   "line 1: document and phrase are words",
		`{"question":"a","phrase":"x","also":[{"phrase":" "}]}`:           "line 1: also[0]",
	} {
		_, err := Read(strings.NewReader(text))
		require.ErrorContains(t, err, message)
	}
}

func TestAPassageAnswersByDocumentAndPhrase(t *testing.T) {
	t.Parallel()
	p := knowledge.Passage{Title: "Stops", URL: "upload:stops.md", Chunk: knowledge.Chunk{Text: "It fills  at\nthe Open."}}
	for _, c := range []Case{{Document: "stops.md"}, {Document: "Stops", Phrase: "fills at the open"}, {Phrase: "FILLS at"}} {
		require.Equal(t, 2, c.grade(p), "%v", c)
	}
	for _, c := range []Case{{Document: "other.md"}, {Document: "Stops", Phrase: "closes"}} {
		require.Zero(t, c.grade(p), "%v", c)
	}
}

func TestOtherPassagesAnswerAsWellOrAreRelated(t *testing.T) {
	t.Parallel()
	p := knowledge.Passage{Title: "Stops", URL: "upload:stops.md", Chunk: knowledge.Chunk{Text: "It fills  at\nthe Open."}}
	c := Case{Document: "orders.md", Phrase: "at the next open", Also: []Another{{Document: "stops.md", Grade: 1}}}
	require.Equal(t, 1, c.grade(p))
	require.False(t, c.answered("It fills at the open."), "what is related does not answer")
	c.Also[0].Phrase = "fills at the open"
	require.Equal(t, 1, c.grade(p))
	require.False(t, c.answered("It fills at the open."), "nor does what it says")
	c.Also = append(c.Also, Another{Phrase: "fills at the open"})
	require.Equal(t, 2, c.grade(p))
	require.True(t, c.answered("“It fills at the open.” [1]"))
	require.True(t, c.answered("“At the next open.” [1]"))
}

func TestOrderIsTheNormalisedDiscountedGain(t *testing.T) {
	t.Parallel()
	ids := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
	var matches []knowledge.Match
	for _, id := range ids {
		matches = append(matches, knowledge.Match{Passage: knowledge.Passage{Chunk: knowledge.Chunk{ID: id}}})
	}
	ndcg, found := order(matches, map[uuid.UUID]int{ids[0]: 2, ids[2]: 2}, 10)
	require.True(t, found)
	require.InDelta(t, (1+0.5)/(1+1/math.Log2(3)), ndcg, 1e-12)
	ndcg, found = order(matches, map[uuid.UUID]int{ids[2]: 2}, 2)
	require.False(t, found, "beyond the depth")
	require.Zero(t, ndcg)
	ndcg, _ = order(nil, map[uuid.UUID]int{}, 10)
	require.Zero(t, ndcg)
	ndcg, found = order(matches, map[uuid.UUID]int{ids[0]: 1, ids[1]: 2}, 10)
	require.True(t, found)
	require.InDelta(t, (1+3/math.Log2(3))/(3+1/math.Log2(3)), ndcg, 1e-12)
	_, found = order(matches, map[uuid.UUID]int{ids[0]: 1}, 10)
	require.False(t, found, "what is related does not answer")
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
