package knowledge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"millrace/jobs/portable"
)

const (
	mostSentences = 6
	// leastScore is the part of the best sentence's score that another needs.
	leastScore = 0.32
	// What a word of the question counts where it is not in the sentence but in the heading above it or
	// the passage's title, and in the sentence before.
	headingShare = 0.4
	beforeShare  = 0.3
	// laterShare is what each place further down the list takes from a passage's sentences.
	laterShare = 0.12
)

// sentence is a candidate for a quotation.
type sentence struct {
	passage, order int
	text           string
	score          float64
}

// extract is an answer without an LLM: the sentences that have the most of the question's words,
// each quoted as it stands and cited. A word counts the more the fewer sentences have it, and in part
// where the heading above has it: a sentence seldom repeats what its heading says.
func extract(question string, passages []Passage) (string, []Citation) {
	all := candidates(question, passages)
	slices.SortStableFunc(all, func(a, b sentence) int { return cmp.Compare(b.score, a.score) })
	all = distinct(all)
	if len(all) == 0 {
		return quoteFirst(passages)
	}
	slices.SortFunc(all, func(a, b sentence) int {
		return cmp.Or(cmp.Compare(a.passage, b.passage), cmp.Compare(a.order, b.order))
	})
	var text strings.Builder
	var cited []Citation
	for _, s := range all {
		if len(cited) == 0 || cited[len(cited)-1].Passage.ID != passages[s.passage].ID {
			cited = append(cited, Citation{Mark: len(cited) + 1, Passage: passages[s.passage]})
		}
		fmt.Fprintf(&text, "“%s” [%d]\n", passages[s.passage].unmark(s.text), len(cited))
	}
	return strings.TrimSpace(text.String()), cited
}

// candidates are the sentences of the passages with their scores, without those that have none.
func candidates(question string, passages []Passage) []sentence {
	asked := newWordSet(question)
	type read struct {
		sentence
		own, above, before wordSet
		row                bool
	}
	var all []read
	holders := map[string]float64{}
	for i, p := range passages {
		for order, q := range quotes(p.Text) {
			r := read{sentence{passage: i, order: order, text: q.text}, newWordSet(q.text), newWordSet(cmp.Or(q.heading, p.Position.Heading) + " " + p.Title), newWordSet(q.before), q.row}
			for word := range asked {
				if r.own[word] {
					holders[word]++
				}
			}
			all = append(all, r)
		}
	}
	weights := map[string]float64{}
	for word := range asked {
		weights[word] = portable.Log(1 + (float64(len(all))+0.5)/(holders[word]+0.5))
	}
	var scored []sentence
	for _, r := range all {
		found, own := false, false
		// In order: a sum of floats depends on it.
		for _, word := range asked.sorted() {
			switch {
			case r.own[word]:
				own = true
				r.score += weights[word]
			case r.above[word]:
				r.score += float64(headingShare * weights[word])
			case r.before[word]:
				r.score += float64(beforeShare * weights[word])
			default:
				continue
			}
			found = true
		}
		if !found || r.row && !own {
			continue // the rows of a table all stand under the same words
		}
		// What is short says it to the point, but not the shortest.
		r.score /= 1 + float64(0.015*float64(len(r.own)))
		r.score /= 1 + float64(laterShare*float64(r.passage))
		scored = append(scored, r.sentence)
	}
	return scored
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
func quoteFirst(passages []Passage) (string, []Citation) {
	if len(passages) == 0 {
		return nothingFound, []Citation{}
	}
	for _, q := range quotes(passages[0].Text) {
		return fmt.Sprintf("“%s” [1]", passages[0].unmark(q.text)), []Citation{{Mark: 1, Passage: passages[0]}}
	}
	return nothingFound, []Citation{}
}
