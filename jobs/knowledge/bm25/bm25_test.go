package bm25_test

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/bm25"
)

// model is BM25F as its formula says it, over a map of chunks.
type model map[uuid.UUID]held

type held struct {
	document uuid.UUID
	source   knowledge.SourceType
	words    []bm25.Word
}

func (m model) score(question []string, chunk held) (score, covered float64) {
	var meanHead, meanBody, total float64
	for _, c := range m {
		for _, w := range c.words {
			meanHead, meanBody = meanHead+float64(w.Head), meanBody+float64(w.Body)
		}
	}
	n := float64(len(m))
	meanHead, meanBody = meanHead/n, meanBody/n
	var head, body, rarities float64
	for _, w := range chunk.words {
		head, body = head+float64(w.Head), body+float64(w.Body)
	}
	for _, text := range question {
		holders := 0.0
		for _, c := range m {
			if slices.ContainsFunc(c.words, func(w bm25.Word) bool { return w.Text == text }) {
				holders++
			}
		}
		idf := math.Log(1 + (n-holders+0.5)/(holders+0.5))
		rarity := math.Log(1 + (n+50-holders+0.5)/(holders+0.5))
		total, rarities = total+idf, rarities+rarity
		for _, w := range chunk.words {
			if w.Text != text {
				continue
			}
			weight := float64(w.Body) / (0.25 + 0.75*body/meanBody)
			if w.Head > 0 {
				weight += 2 * float64(w.Head) / (0.7 + 0.3*head/meanHead)
			}
			score, covered = score+idf*weight/(weight+1.2), covered+rarity
		}
	}
	return score / total, covered / rarities
}

// familiar is how common the words of a question are, those of more than 400 chunks in one as strange as any.
func (m model) familiar(question []string) float64 {
	sum := 0.0
	for _, text := range question {
		holders := 0.0
		for _, c := range m {
			if slices.ContainsFunc(c.words, func(w bm25.Word) bool { return w.Text == text }) {
				holders++
			}
		}
		sum += max(0, 1-math.Log((float64(len(m))+51)/(holders+0.5))/6)
	}
	return sum / float64(len(question))
}

func (m model) search(question []string, filter knowledge.Filter, limit int) []knowledge.WordHit {
	var hits []knowledge.WordHit
	for id, c := range m {
		if len(filter.Documents) > 0 && !slices.Contains(filter.Documents, c.document) ||
			len(filter.SourceTypes) > 0 && !slices.Contains(filter.SourceTypes, c.source) {
			continue
		}
		if score, covered := m.score(question, c); score > 0 {
			hits = append(hits, knowledge.WordHit{Hit: knowledge.Hit{Chunk: id, Document: c.document, Score: score}, Covered: covered})
		}
	}
	slices.SortFunc(hits, func(a, b knowledge.WordHit) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), slices.Compare(a.Chunk[:], b.Chunk[:]))
	})
	return hits[:min(limit, len(hits))]
}

// The index scores as the formula does, whatever came and went before, and after it was tidied.
func TestScoresAreThoseOfTheFormula(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	index, expected := bm25.New(), model{}
	documents := make([]uuid.UUID, 40)
	sources := []knowledge.SourceType{knowledge.SourceText, knowledge.SourcePDF}
	id := func() uuid.UUID {
		var id uuid.UUID
		for i := range id {
			id[i] = byte(r.Uint32())
		}
		return id
	}
	put := func(d int) {
		documents[d] = id()
		for range 1 + r.IntN(5) {
			chunk := held{document: documents[d], source: sources[d%2]}
			for word := range 60 {
				if r.IntN(word+2) == 0 {
					chunk.words = append(chunk.words, bm25.Word{Text: fmt.Sprint("w", word), Head: r.IntN(2) * r.IntN(3), Body: 1 + r.IntN(4)*r.IntN(2)})
				}
			}
			n := id()
			expected[n] = chunk
			index.Add(chunk.document, chunk.source, n, chunk.words)
		}
	}
	for d := range documents {
		put(d)
	}
	for round := range 60 {
		d := r.IntN(len(documents))
		index.Remove(documents[d])
		for n, c := range expected {
			if c.document == documents[d] {
				delete(expected, n)
			}
		}
		put(d)
		if round%7 == 0 {
			index.Tidy()
			index.Trim()
		}
		require.Equal(t, len(expected), index.Chunks())
		question := []string{fmt.Sprint("w", r.IntN(60)), fmt.Sprint("w", 60+r.IntN(3)), fmt.Sprint("x", round), fmt.Sprint("w", r.IntN(9))}
		question = slices.Compact(slices.Sorted(slices.Values(question)))
		filter := knowledge.Filter{}
		if round%3 == 0 {
			filter.SourceTypes = sources[:1]
		}
		if round%4 == 0 {
			filter.Documents = documents[:20]
		}
		hits, err := index.Search(t.Context(), question, filter, 10)
		require.NoError(t, err)
		best := expected.search(question, filter, 10)
		require.Len(t, hits, len(best))
		for i, hit := range hits {
			// Sums in single precision may exchange two that are equal in double.
			require.InDelta(t, best[i].Score, hit.Score, 1e-5)
			require.InDelta(t, best[i].Covered, hit.Covered, 1e-5)
			score, _ := expected.score(question, expected[hit.Chunk])
			require.InDelta(t, hit.Score, score, 1e-5)
			require.InDelta(t, expected.familiar(question), *hit.Familiar, 1e-9)
		}
	}
}

// Runs of letters of a script without spaces are no words: how common they are says nothing.
func TestHowCommonRunsOfLettersAreIsNotKnown(t *testing.T) {
	t.Parallel()
	index := bm25.New()
	index.Add(uuid.New(), knowledge.SourceText, uuid.New(), []bm25.Word{{Text: "rsi", Body: 1}, {Text: "とは", Body: 1}})
	for question, known := range map[string]bool{"rsi": true, "とは": false, "rsi とは": true} {
		hits, err := index.Search(t.Context(), strings.Fields(question), knowledge.Filter{}, 10)
		require.NoError(t, err)
		require.Equal(t, known, hits[0].Familiar != nil, question)
	}
}

func TestTidyGivesBackWhatIsGone(t *testing.T) {
	t.Parallel()
	index := bm25.New()
	words := make([]bm25.Word, 200)
	for i := range words {
		words[i] = bm25.Word{Text: fmt.Sprint(i), Body: 1 + i%2}
	}
	kept := uuid.New()
	index.Add(kept, knowledge.SourceText, uuid.New(), words)
	for range 1000 {
		document := uuid.New()
		index.Add(document, knowledge.SourceText, uuid.New(), words)
		index.Remove(document)
		index.Tidy()
	}
	require.Less(t, index.Bytes(), int64(100_000), "what is gone is cleared away")
	hits, err := index.Search(t.Context(), []string{"7"}, knowledge.Filter{}, 10)
	require.NoError(t, err)
	require.Len(t, hits, 1)
	require.Equal(t, kept, hits[0].Document)
}

func TestEmptyIndexAndQuestionFindNothing(t *testing.T) {
	t.Parallel()
	index := bm25.New()
	hits, err := index.Search(t.Context(), []string{"a"}, knowledge.Filter{}, 10)
	require.NoError(t, err)
	require.Empty(t, hits)
	index.Add(uuid.New(), knowledge.SourceText, uuid.New(), []bm25.Word{{Text: "a", Head: 0, Body: 1}})
	hits, err = index.Search(t.Context(), nil, knowledge.Filter{}, 10)
	require.NoError(t, err)
	require.Empty(t, hits)
	hits, err = index.Search(t.Context(), []string{"a"}, knowledge.Filter{}, 10)
	require.NoError(t, err)
	require.Len(t, hits, 1, "a word that every chunk has still finds them")
	require.Greater(t, hits[0].Score, 0.0)
	index.Remove(uuid.New())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = index.Search(ctx, []string{"a"}, knowledge.Filter{}, 10)
	require.ErrorIs(t, err, context.Canceled)
}
