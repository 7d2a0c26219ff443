package bm25

import (
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"

	"millrace/jobs/knowledge"
	"millrace/jobs/portable"
)

// The constants of BM25, as its authors recommend them. A title says in a few words what a text is
// about, so its words count double, and its length hardly matters.
const (
	k1         = 1.2
	bodyLength = 0.75
	headLength = 0.3
	headWeight = 2.0
)

// asked is a word of the question.
type asked struct {
	text   string
	list   *list // nil: no chunk has it
	idf    float64
	rarity float64 // what it counts in Covered
}

// presumed chunks, none of which has any word of the question, are added before rarity is judged:
// in a base of a few chunks, words that one has are not common yet.
const presumed = 50

// mostRare is the rarity of a word that one chunk in 400 has. What is rarer is as strange to a base of any size.
const mostRare = 6.0

// Search finds the chunks that share words with the question, best first, ties by id: at most limit
// of those that pass the filter. What is rare is so among all chunks, whatever the filter. A score is
// the share of what a chunk could reach that repeats every word of the question without end: from 0
// to 1, below 1. Covered is the share of the question's words, weighted by rarity, that the chunk has. Familiar is how common
// they are, each as 1 − rarity/mostRare, on average.
//
// The only error is that of ctx.
func (x *Index) Search(ctx context.Context, question []string, filter knowledge.Filter, limit int) ([]knowledge.WordHit, error) {
	words, total, rarities := x.ask(question)
	if total == 0 || x.live == 0 || limit < 1 {
		return nil, ctx.Err()
	}
	scores, covered := make([]float32, len(x.chunks)), make([]float32, len(x.chunks))
	norms := x.norms()
	for _, w := range words {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if w.list == nil {
			continue
		}
		idf, rarity := w.idf, float32(w.rarity/rarities)
		w.list.each(func(n int32, head, body uint8) {
			c := &x.chunks[n]
			weight := float64(body) / (norms.body + float64(norms.perBody*float64(c.body)))
			if head > 0 {
				weight += float64(headWeight * float64(head) / (norms.head + float64(norms.perHead*float64(c.head))))
			}
			scores[n] += float32(idf * weight / (weight + k1))
			covered[n] += rarity
		})
	}
	hits := x.best(scores, covered, total, x.passes(filter), limit)
	common := familiar(words)
	for i := range hits {
		hits[i].Familiar = common
	}
	return hits, nil
}

// ask looks the words up, with how rare each is: ln(1 + (N − n + ½)/(n + ½)) where n of N chunks have it.
// total and rarities are the sums over all.
func (x *Index) ask(question []string) (words []asked, total, rarities float64) {
	for _, text := range question {
		w := asked{text: text}
		n := 0
		if number, known := x.words[text]; known {
			w.list = &x.lists[number]
			n = x.holders(w.list)
		}
		w.idf, w.rarity = idf(x.live, n), idf(x.live+presumed, n)
		words, total, rarities = append(words, w), total+w.idf, rarities+w.rarity
	}
	return words, total, rarities
}

// familiar is how common words are, from 0 to 1; nil of runs of letters that are not words.
func familiar(words []asked) *float64 {
	sum, n := 0.0, 0
	for _, w := range words {
		if !knowledge.Unspaced(w.text) {
			sum, n = sum+max(0, 1-w.rarity/mostRare), n+1
		}
	}
	if n == 0 {
		return nil
	}
	sum /= float64(n)
	return &sum
}

func idf(chunks, holders int) float64 {
	return portable.Log(1 + (float64(chunks)-float64(holders)+0.5)/(float64(holders)+0.5))
}

// holders is how many live chunks a list names.
func (x *Index) holders(l *list) int {
	if x.dead == 0 {
		return int(l.n)
	}
	n := 0
	l.each(func(at int32, _, _ uint8) {
		if !x.docs[x.chunks[at].document].gone {
			n++
		}
	})
	return n
}

// norms are what counts are divided by for a field's length: constant + perWord·length, 1 at the mean.
type norms struct{ body, perBody, head, perHead float64 }

func (x *Index) norms() norms {
	n := norms{body: 1, head: 1}
	if x.body > 0 {
		n.body, n.perBody = 1-bodyLength, bodyLength*float64(x.live)/float64(x.body)
	}
	if x.head > 0 {
		n.head, n.perHead = 1-headLength, headLength*float64(x.live)/float64(x.head)
	}
	return n
}

// passes are the documents, by number, that are there and pass the filter.
func (x *Index) passes(filter knowledge.Filter) []bool {
	some := map[uuid.UUID]bool{}
	for _, id := range filter.Documents {
		some[id] = true
	}
	pass := make([]bool, len(x.docs))
	for d, doc := range x.docs {
		pass[d] = !doc.gone && (len(some) == 0 || some[doc.id]) &&
			(len(filter.SourceTypes) == 0 || slices.Contains(filter.SourceTypes, doc.source))
	}
	return pass
}

// best are the highest scores above 0, kept in a heap whose first is the worst.
func (x *Index) best(scores, covered []float32, total float64, pass []bool, limit int) []knowledge.WordHit {
	worse := func(a, b int32) bool {
		if scores[a] != scores[b] {
			return scores[a] < scores[b]
		}
		return slices.Compare(x.chunks[a].id[:], x.chunks[b].id[:]) > 0
	}
	var heap []int32
	for n, score := range scores {
		if score == 0 || len(heap) == limit && score < scores[heap[0]] || !pass[x.chunks[n].document] {
			continue
		}
		at := int32(n)
		switch {
		case len(heap) < limit:
			heap = append(heap, at)
			for i := len(heap) - 1; i > 0 && worse(heap[i], heap[(i-1)/2]); i = (i - 1) / 2 {
				heap[i], heap[(i-1)/2] = heap[(i-1)/2], heap[i]
			}
		case worse(heap[0], at):
			heap[0] = at
			sink(heap, worse)
		}
	}
	slices.SortFunc(heap, func(a, b int32) int {
		return cmp.Or(cmp.Compare(scores[b], scores[a]), slices.Compare(x.chunks[a].id[:], x.chunks[b].id[:]))
	})
	hits := make([]knowledge.WordHit, len(heap))
	for i, n := range heap {
		hits[i] = knowledge.WordHit{
			Hit:     knowledge.Hit{Chunk: x.chunks[n].id, Document: x.docs[x.chunks[n].document].id, Score: float64(scores[n]) / total},
			Covered: min(1, float64(covered[n])),
		}
	}
	return hits
}

// sink moves the first of a heap to its place.
func sink(heap []int32, worse func(a, b int32) bool) {
	for i := 0; ; {
		child := 2*i + 1
		if child >= len(heap) {
			return
		}
		if child+1 < len(heap) && worse(heap[child+1], heap[child]) {
			child++
		}
		if !worse(heap[child], heap[i]) {
			return
		}
		heap[i], heap[child] = heap[child], heap[i]
		i = child
	}
}
