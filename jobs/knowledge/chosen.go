package knowledge

import (
	"cmp"
	"slices"
	"strings"
)

// chosen are the likeliest sentences that an answer has room for, with what follows those that end in a colon; neighbouring
// passages overlap, so that some come twice.
func chosen(all []sentence, most int) []sentence {
	best := 0.0
	at := make(map[[2]int]sentence, len(all))
	for _, s := range all {
		best, at[[2]int{s.passage, s.order}] = max(best, s.score), s
	}
	all = slices.DeleteFunc(all, func(s sentence) bool { return s.score == 0 || s.score < leastScore*best })
	slices.SortStableFunc(all, func(a, b sentence) int { return cmp.Compare(b.likely, a.likely) })
	var kept []sentence
	introduced := map[[2]int]bool{} // kept before their own likelihood had them looked at
	words, sure := 0, 0.0
	for _, s := range all {
		if len(kept) == mostSentences {
			break
		}
		if introduced[[2]int{s.passage, s.order}] {
			continue
		}
		if slices.ContainsFunc(kept, s.repeats) {
			sure += s.likely
			continue
		}
		words += s.words + 1
		if len(kept) > 0 && (words > most || words > usualWords && sure >= enough) {
			break
		}
		kept, sure = append(kept, s), sure+s.likely
		for _, next := range introducedBy(s, at, min(introducedWords, most-words)) {
			if len(kept) < mostSentences && !slices.ContainsFunc(kept, next.repeats) {
				kept, sure, words = append(kept, next), sure+next.likely, words+next.words+1
				introduced[[2]int{next.passage, next.order}] = true
			}
		}
	}
	return kept
}

// introducedBy is what follows a sentence that ends in a colon, of so many words at most: without it, it says nothing.
func introducedBy(s sentence, at map[[2]int]sentence, words int) (next []sentence) {
	if !strings.HasSuffix(s.text, ":") {
		return nil
	}
	for i := range mostIntroduced {
		n, ok := at[[2]int{s.passage, s.order + i + 1}]
		if words -= n.words + 1; !ok || words < 0 || n.heading != s.heading || i > 0 && (n.code != next[0].code || listed(n.text) != listed(next[0].text)) {
			break
		}
		next = append(next, n)
	}
	return next
}

// repeats reports whether a sentence says little but what another does. A word that stands alone is not all that is said
// where it is used.
func (s sentence) repeats(other sentence) bool {
	return strings.Contains(other.text, s.text) || 2*len(other.text) > len(s.text) && strings.Contains(s.text, other.text)
}
