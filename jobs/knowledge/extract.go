package knowledge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"millrace/jobs/portable"
)

const (
	mostSentences = 12 // an answer is then about as long as one in words
	// leastScore is the part of the best sentence's score that another needs.
	leastScore = 0.3
	// What a word of the question counts where it is not in the sentence but in the heading above it or
	// the passage's title, in the sentence before, and in the sentence after.
	headingShare = 0.5
	beforeShare  = 0.3
	afterShare   = 0.1
	// laterShare is what each place further down the list takes from a passage's sentences.
	laterShare = 0.12
	// nearShare is what the nearness of the part that a sentence stands in counts beside its words.
	nearShare = 0.5
)

// sentence is a candidate for a quotation.
type sentence struct {
	passage, order int
	text           string
	score          float64
}

// extract is an answer without an LLM: the sentences that have the most of the question's words, and stand in the parts
// nearest to it where those were compared, each quoted as it stands and cited. A word counts the more the fewer sentences
// have it, and in part where the heading above has it: a sentence seldom repeats what its heading says.
func extract(question string, from []Match) (string, []Citation) {
	all := candidates(question, from)
	slices.SortStableFunc(all, func(a, b sentence) int { return cmp.Compare(b.score, a.score) })
	all = distinct(all)
	if len(all) == 0 {
		return quoteFirst(from)
	}
	slices.SortFunc(all, func(a, b sentence) int {
		return cmp.Or(cmp.Compare(a.passage, b.passage), cmp.Compare(a.order, b.order))
	})
	var text strings.Builder
	var cited []Citation
	for _, s := range all {
		if len(cited) == 0 || cited[len(cited)-1].Passage.ID != from[s.passage].ID {
			cited = append(cited, Citation{Mark: len(cited) + 1, Passage: from[s.passage].Passage})
		}
		fmt.Fprintf(&text, "“%s” [%d]\n", from[s.passage].unmark(s.text), len(cited))
	}
	return strings.TrimSpace(text.String()), cited
}

// candidates are the sentences of the passages with their scores, without those that have none.
func candidates(question string, from []Match) []sentence {
	asked := newWordSet(question)
	all := readings(from)
	weights, total := rarities(asked, all)
	low, span := spreadOfParts(from)
	var scored []sentence
	for _, r := range all {
		score, own := r.words(asked, weights)
		if r.compared {
			r.near = (r.near - low) / span
		}
		if score == 0 && r.near == 0 || r.row && !own {
			continue // the rows of a table all stand under the same words
		}
		if total > 0 {
			score /= total
		}
		// What is short says it to the point, but not the shortest.
		score /= 1 + float64(0.015*float64(len(r.own)))
		score += float64(nearShare * r.near)
		r.score = score / (1 + float64(laterShare*float64(r.passage)))
		scored = append(scored, r.sentence)
	}
	return scored
}

// reading is a sentence with the words that it has and that stand around it.
type reading struct {
	sentence
	own, above, before, after wordSet
	row                       bool
	compared                  bool // with the question, by vectors
	near                      float64
}

// readings are all sentences of the passages, in order.
func readings(from []Match) []reading {
	var all []reading
	for i, m := range from {
		cut := quotes(m.Text)
		near := nearness(m.Text, cut, m.Parts)
		for order, q := range cut {
			r := reading{
				sentence: sentence{passage: i, order: order, text: q.text}, row: q.row,
				own: newWordSet(q.text), above: newWordSet(cmp.Or(q.heading, m.Position.Heading) + " " + m.Title), before: newWordSet(q.before),
			}
			if near != nil {
				r.compared, r.near = true, near[order]
			}
			if order > 0 {
				all[len(all)-1].after = r.own
			}
			all = append(all, r)
		}
	}
	return all
}

// words is what the words of a question count in a sentence, and whether it has one itself.
func (r reading) words(asked wordSet, weights map[string]float64) (score float64, own bool) {
	above := false
	// In order: a sum of floats depends on it.
	for _, word := range asked.sorted() {
		switch {
		case r.own[word]:
			own = true
			score += weights[word]
		case r.above[word]:
			above = true
			score += float64(headingShare * weights[word])
		case r.before[word]:
			score += float64(beforeShare * weights[word])
		case r.after[word]:
			score += float64(afterShare * weights[word])
		}
	}
	if !own && !above && !r.compared {
		return 0, false // its neighbours alone say nothing of it
	}
	return score, own
}

// rarities are what the words of a question count: the more the fewer sentences have them. total is their sum.
func rarities(asked wordSet, all []reading) (weights map[string]float64, total float64) {
	weights = map[string]float64{}
	for _, word := range asked.sorted() {
		holders := 0.0
		for _, r := range all {
			if r.own[word] {
				holders++
			}
		}
		weights[word] = portable.Log(1 + (float64(len(all))+0.5)/(holders+0.5))
		total += weights[word]
	}
	return weights, total
}

// spreadOfParts is the lowest cosine of the passages' parts, and how far the highest is above it.
func spreadOfParts(from []Match) (low, span float64) {
	low, high := 1.0, -1.0
	for _, m := range from {
		for _, c := range m.Parts {
			low, high = min(low, c), max(high, c)
		}
	}
	if high <= low {
		return low - 1, 1 // one part, or all alike: each has 1
	}
	return low, high - low
}

// distinct keeps the best sentences; neighbouring passages overlap, so that some come twice.
func distinct(all []sentence) []sentence {
	var kept []sentence
	for _, s := range all {
		if len(kept) == mostSentences || s.score < leastScore*all[0].score {
			break
		}
		if !slices.ContainsFunc(kept, func(k sentence) bool { return strings.Contains(k.text, s.text) || strings.Contains(s.text, k.text) }) {
			kept = append(kept, s)
		}
	}
	return kept
}

// quoteFirst quotes the beginning of the best passage: its meaning fits, though none of the words.
func quoteFirst(from []Match) (string, []Citation) {
	if len(from) == 0 {
		return nothingFound, []Citation{}
	}
	for _, q := range quotes(from[0].Text) {
		return fmt.Sprintf("“%s” [1]", from[0].unmark(q.text)), []Citation{{Mark: 1, Passage: from[0].Passage}}
	}
	return nothingFound, []Citation{}
}
