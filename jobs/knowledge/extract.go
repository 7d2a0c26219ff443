package knowledge

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

const (
	mostSentences = 4
	// mostSentence cuts what has no end of sentence, as a table has none.
	mostSentence = 400 // bytes
)

// sentence is a candidate for a quotation.
type sentence struct {
	passage, order int
	text           string
	score          float64
}

// extract is an answer without an LLM: the sentences that have the most of the question's words,
// each quoted as it stands and cited. A word counts the more the fewer passages have it.
func extract(question string, passages []Passage) (string, []Citation) {
	asked := newWordSet(question)
	weight := asked.weights(passages)
	var all []sentence
	for i, p := range passages {
		for order, text := range quotes(p.Text) {
			score := weight.score(text)
			if score == 0 {
				continue
			}
			// Passages come best first, and a near tie is theirs.
			all = append(all, sentence{i, order, text, score / (1 + float64(0.05*float64(i)))})
		}
	}
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
		fmt.Fprintf(&text, "“%s” [%d]\n", s.text, len(cited))
	}
	return strings.TrimSpace(text.String()), cited
}

// distinct keeps the best sentences; neighbouring passages overlap, so that some come twice.
func distinct(all []sentence) []sentence {
	var kept []sentence
	for _, s := range all {
		if len(kept) == mostSentences || s.score < all[0].score/4 {
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
	for _, text := range quotes(passages[0].Text) {
		return fmt.Sprintf("“%s” [1]", text), []Citation{{Mark: 1, Passage: passages[0]}}
	}
	return nothingFound, []Citation{}
}

// wordWeights is what each word of a question counts.
type wordWeights map[string]float64

func (s wordSet) weights(passages []Passage) wordWeights {
	weights := wordWeights{}
	for word := range s {
		weights[word] = 1
	}
	for _, p := range passages {
		for word := range newWordSet(p.Text) {
			if s[word] {
				weights[word]++
			}
		}
	}
	for word, n := range weights {
		weights[word] = 1 / n
	}
	return weights
}

// score sums the weights of the words that the text has, and favours what is short.
func (w wordWeights) score(text string) float64 {
	var sum float64
	has := newWordSet(text)
	for word, weight := range w {
		if has[word] {
			sum += weight
		}
	}
	return sum / (1 + float64(0.02*float64(len(has))))
}

// quotes cuts a text into what can be quoted: its sentences, on one line each and not too long.
func quotes(text string) []string {
	var all []string
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		for _, s := range sentences(strings.Join(strings.Fields(paragraph), " ")) {
			if s = strings.TrimSpace(s); s == "" {
				continue
			}
			if len(s) > mostSentence {
				s = strings.TrimSpace(s[:runeStart(s, mostSentence)]) + "…"
			}
			all = append(all, s)
		}
	}
	return all
}
