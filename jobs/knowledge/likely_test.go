package knowledge

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Where one sentence stands out the answer ends sooner than where all fit alike.
func TestAnswersAreLongerWhereNoSentenceStandsOut(t *testing.T) {
	t.Parallel()
	words := func(clear int) int {
		var text strings.Builder
		for i := range 50 {
			kind := "plain sheet of paper"
			if i < clear {
				kind = "guaranteed stop order"
			}
			fmt.Fprintf(&text, "A %s of desk %d has a fee %s. ", kind, i, strings.Repeat("x", i+1))
		}
		answer, _ := extract("fee of a guaranteed stop order", matches(passages(text.String())), nil)
		require.Equal(t, max(clear, 1), max(strings.Count(answer, "guaranteed"), 1))
		return len(strings.Fields(answer))
	}
	flat := words(0)
	require.Greater(t, flat, usualWords+50)
	require.LessOrEqual(t, flat, mostWords)
	clear := words(22)
	require.Greater(t, clear, usualWords/2, "the others are quoted too, while there is room")
	require.LessOrEqual(t, clear, usualWords+20)
}

// Of sentences that have the same words, the one among those about the question is likelier to answer.
func TestASentenceAmongThoseAboutTheQuestionIsLikelier(t *testing.T) {
	t.Parallel()
	p := matches(passages("Rain fell there. The ships sailed. Keep two keys, the first time. The ships sailed again. Rain fell there once more.",
		"A purchase there. Currencies were due. Keep two keys, the second time. A purchase again. Currencies came once more."))
	chances := func(known Lexicon) map[string]float64 {
		all := candidates("Which keys buy coins?", p, known)
		likely("Which keys buy coins?", p, all, known)
		by := map[string]float64{}
		for _, s := range all {
			by[s.text] = s.likely
		}
		return by
	}
	first, second := "Keep two keys, the first time.", "Keep two keys, the second time."
	by := chances(known)
	require.Greater(t, by[second], by[first])
	by = chances(nil)
	require.Greater(t, by[first], by[second], "without a lexicon the better passage comes first")
}

// What a rare word means counts more than what a common one does, and by as much everywhere.
func TestRareWordsSayMoreOfWhatATextIsAbout(t *testing.T) {
	t.Parallel()
	r := gists{known: known, seen: map[string][]int32{}, holders: map[string]int32{}}
	for _, text := range []string{"Buy, buy.", "Buy coins.", "Buy rain."} {
		r.count(text)
	}
	require.Equal(t, []int32{11, 19, 0}, r.of("buy coins"), "16 ln(1 + 3.5/3.5) and 16 ln(1 + 3.5/1.5)")
	require.Nil(t, r.of("rain"))
	plain := gists{known: known, seen: map[string][]int32{}}
	require.Equal(t, []int32{1, 1, 0}, plain.of("buy coins"), "where none were counted all count alike")
}

// Whatever is asked of whatever passages, what is likely is of 1 together, and the same each time.
func TestLikelihoodsAreOfOneTogether(t *testing.T) {
	t.Parallel()
	text := rapid.StringMatching(`([a-z]{1,5}|buy|coins|weather|[0-9]|\.|\n\n|\| | )*`)
	rapid.Check(t, func(rt *rapid.T) {
		p := matches(passages(rapid.SliceOfN(text, 1, 6).Draw(rt, "texts")...))
		question := text.Draw(rt, "question") + " coins"
		all := candidates(question, p, known)
		likely(question, p, all, known)
		again := candidates(question, p, known)
		likely(question, p, again, known)
		sum, best := 0.0, 0.0
		for i, s := range all {
			best = max(best, s.score)
			if s.likely < 0 || s.likely != again[i].likely {
				rt.Fatalf("%q: %v, then %v", s.text, s.likely, again[i].likely)
			}
			sum += s.likely
		}
		if best > 0 && (sum < 1-1e-9 || sum > 1+1e-9) {
			rt.Fatalf("together %v", sum)
		}
	})
}

// worded finds every passage of a shelf by its words.
type worded struct{ *shelved }

func (worded) Placement(context.Context, uuid.UUID, Model) (Placement, error) {
	return PlacementOf(HashEmbedder{}.Model()), nil
}

func (w worded) MatchText(context.Context, uuid.UUID, string, Filter, int) (hits []WordHit, _ error) {
	for id := range w.passages {
		hits = append(hits, WordHit{Hit: Hit{Chunk: id, Score: 1}, Covered: 1})
	}
	return hits, nil
}

// noVectors is an index that is away.
type noVectors struct{ VectorIndex }

func (noVectors) Search(context.Context, Scope, []float32, Filter, int) ([]Hit, error) {
	return nil, errors.New("away")
}

// An explanation's quotations stand beside its facts, and are no longer than usual.
func TestAnExplanationQuotesAsMuchAsUsual(t *testing.T) {
	t.Parallel()
	shelf := &shelved{passages: map[uuid.UUID]Passage{}}
	for i := range explainTopK {
		var text strings.Builder
		for k := range 40 {
			fmt.Fprintf(&text, "The trend of desk %d in week %d is weak. ", i, k)
		}
		id := uuid.New()
		shelf.passages[id] = Passage{Chunk: Chunk{ID: id, Text: text.String()}}
	}
	b := &Base{texts: worded{shelf}, embedders: Embedders{HashEmbedder{}}, index: noVectors{}, llm: noLLM{}}
	e, err := b.Explain(t.Context(), uuid.New(), Subject{Question: "trend desk", Facts: []string{"It lost."}})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(e.Text, "It lost.\n\nFrom the documents: “The trend"), e.Text)
	require.Greater(t, len(strings.Fields(e.Text)), usualWords/2)
	require.Less(t, len(strings.Fields(e.Text)), usualWords+50)
}
