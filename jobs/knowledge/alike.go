package knowledge

import (
	"math"
	"strings"
	"unicode"
)

// Lexicon knows what words mean without what stands around them, in the process. It is safe for concurrent use.
type Lexicon interface {
	// Meaning is the vector of a word in small letters, the longer the more the word says, or nil of one that it does not know.
	Meaning(word string) []int32
}

const (
	// akinShare is what a word of the same family counts beside the word itself.
	akinShare = 0.7
	// alikeShare times how far the cosine of two words is above leastAlike, which it is by chance, is what one counts for the
	// other: "purchase" for "buy" 0.98, "big" for "large" 0.8, "fast" for "speed" 0.6.
	alikeShare = 1.2
	leastAlike = 0.2
)

// likeness compares the words of one question with those of passages.
type likeness struct {
	asked []string // stems, in order: a sum of floats depends on it
	known Lexicon
	means [][]int32       // the meaning of each; nil where it is not known
	seen  map[string]read // by how it is spelt
}

// read is a word that was looked at. Most words of passages come often.
type read struct {
	stem string // "" of one that carries no meaning
	near []float64
}

// newLikeness prepares a question. Without known, words are compared by their letters alone.
func newLikeness(known Lexicon, question string) *likeness {
	l := &likeness{known: known, seen: map[string]read{}}
	spellings := map[string]string{}
	for stem, word := range spelt(question) {
		spellings[stem] = word
	}
	l.asked = newWordSet(question).sorted()
	l.means = make([][]int32, len(l.asked))
	if known != nil {
		for i, stem := range l.asked {
			l.means[i] = known.Meaning(spellings[stem])
		}
	}
	return l
}

// read looks at a word of a passage.
func (l *likeness) read(word string, pair bool) read {
	r, ok := l.seen[word]
	if !ok {
		if r.stem = stemOf(word, pair); r.stem != "" {
			r.near = l.near(r.stem, word)
		}
		l.seen[word] = r
	}
	return r
}

// near is what a word counts for each asked word, from 0 to 1: 1 for itself.
func (l *likeness) near(stem, word string) []float64 {
	near := make([]float64, len(l.asked))
	var means []int32
	if l.known != nil {
		means = l.known.Meaning(word)
	}
	for i, asked := range l.asked {
		switch {
		case asked == stem:
			near[i] = 1
			continue
		case figured(asked) && figured(stem):
			continue // names or figures: what is said of SYM375 says nothing of SYM377, nor 2019 of 2020
		case akin(asked, stem):
			near[i] = akinShare
		}
		if means != nil && l.means[i] != nil {
			near[i] = min(1, max(near[i], alikeShare*(cosine(means, l.means[i])-leastAlike)/(1-leastAlike)))
		}
	}
	return near
}

// figured reports whether a word has a digit.
func figured(word string) bool { return strings.ContainsFunc(word, unicode.IsDigit) }

// akin reports whether two stems are likely of one family, as "categor" and "categori".
func akin(a, b string) bool {
	one, other := []rune(a), []rune(b)
	n, short := 0, min(len(one), len(other))
	for n < short && one[n] == other[n] {
		n++
	}
	return n >= 6 || n >= 4 && 5*n >= 4*short
}

// cosine is that of two vectors of whole numbers, which sum up to the same on every machine; 0 where one has no length.
func cosine(a, b []int32) float64 {
	var both, one, other int64
	for i, x := range a {
		y := int64(b[i])
		both, one, other = both+int64(x)*y, one+int64(x)*int64(x), other+y*y
	}
	if one == 0 || other == 0 {
		return 0
	}
	return float64(both) / float64(math.Sqrt(float64(one))*math.Sqrt(float64(other)))
}
