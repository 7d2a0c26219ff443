package knowledge

import (
	"math"

	"millrace/jobs/portable"
)

// What speaks for a sentence, each times how far: the logarithm of the odds that it answers. They are those of a conditional
// logistic regression over the sentences found for 332 questions whose answers are known (the sets own, docs, terse and natural of
// ops/docs/knowledge.md, with both embedders). Learnt on three of the sets and used on the fourth, they
// find 518 answers of 664 where the score alone finds 509; of single sets one or two less.
const (
	scoreWeight = 7.0  // its score, of the best
	aboutWeight = 4.6  // how near is what it and those around it are about
	placeWeight = 0.47 // the logarithm of its passage's place, which speaks against it
)

// aroundReach is how many sentences on each side count for what one is about, each half as much as itself.
const aroundReach = 2

// likely sets how likely each sentence is the one that answers, of 1 together.
func likely(question string, from []Match, all []sentence, known Lexicon) {
	top := 0.0
	for _, s := range all {
		top = max(top, s.score)
	}
	if top == 0 {
		return
	}
	about := subjects(question, from, known)
	best := math.Inf(-1)
	for i := range all {
		s := &all[i]
		if s.score == 0 {
			continue
		}
		s.likely = float64(scoreWeight*s.score/top) - float64(placeWeight*portable.Log(float64(1+s.passage)))
		if about != nil {
			s.likely += float64(aboutWeight * about[s.passage][s.order])
		}
		best = max(best, s.likely)
	}
	sum := 0.0
	for i := range all {
		if all[i].score > 0 {
			all[i].likely = portable.Exp(all[i].likely - best)
			sum += all[i].likely
		}
	}
	for i := range all {
		all[i].likely /= sum
	}
}

// subjects is for each quote of the passages how near it is to the question in what it and its neighbours are about; nil
// when nothing is known of the question's words. The fewer quotes have a word, the more it says of them.
func subjects(question string, from []Match, known Lexicon) [][]float64 {
	if known == nil {
		return nil
	}
	r := gists{known: known, seen: map[string][]int32{}, holders: map[string]int32{}}
	cut := make([][]quote, len(from))
	for i, m := range from {
		cut[i] = quotes(m.Text)
		for _, q := range cut[i] {
			r.count(q.text)
		}
	}
	asked := r.of(question)
	if asked == nil {
		return nil
	}
	near := make([][]float64, len(from))
	for i, passage := range cut {
		own := make([][]int32, len(passage))
		for k, q := range passage {
			own[k] = r.of(q.text)
		}
		near[i] = make([]float64, len(passage))
		for k := range passage {
			sum := make([]int32, len(asked))
			for j := max(0, k-aroundReach); j < min(len(passage), k+aroundReach+1); j++ {
				for d, x := range own[j] {
					sum[d] += x
					if j == k {
						sum[d] += x
					}
				}
			}
			near[i][k] = cosine(asked, sum)
		}
	}
	return near
}
