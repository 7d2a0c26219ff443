package knowledge

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/kljensen/snowball/english"
)

// words are the lower-case words of a text that carry meaning, as English stems and in order. A
// script written without spaces gives each pair of neighbouring characters instead.
func words(text string) []string {
	var found []string
	for stem := range spelt(text) {
		found = append(found, stem)
	}
	return found
}

// spelt gives each word of a text that carries meaning with how it is spelt there, in small letters.
func spelt(text string) iter.Seq2[string, string] {
	return func(yield func(stem, word string) bool) {
		for word, pair := range spellings(text) {
			if stem := stemOf(word, pair); stem != "" && !yield(stem, word) {
				return
			}
		}
	}
}

// stemOf is a word's stem, "" of one that carries no meaning.
func stemOf(word string, pair bool) string {
	switch {
	case pair:
		return word
	case english.IsStopWord(word):
		return ""
	}
	return english.Stem(word, false)
}

// spellings are the words of a text in small letters, and whether each is a pair of characters of a script without spaces.
func spellings(text string) iter.Seq2[string, bool] {
	return func(yield func(word string, pair bool) bool) {
		for field := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
		}) {
			if !Unspaced(field) {
				if !yield(field, false) {
					return
				}
				continue
			}
			for _, pair := range pairs(field) {
				if !yield(pair, true) {
					return
				}
			}
		}
	}
}

// Unspaced reports whether a run of letters is of a script that puts no spaces between words.
func Unspaced(field string) bool {
	for _, r := range field {
		if r >= utf8.RuneSelf && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) {
			return true
		}
	}
	return false
}

func pairs(field string) []string {
	runes := []rune(field)
	if len(runes) == 1 {
		return []string{field}
	}
	all := make([]string, 0, len(runes)-1)
	for i := range runes[1:] {
		all = append(all, string(runes[i:i+2]))
	}
	return all
}

// wordSet is the words of a question.
type wordSet map[string]bool

func newWordSet(text string) wordSet {
	set := wordSet{}
	for _, word := range words(text) {
		set[word] = true
	}
	return set
}

func (s wordSet) sorted() []string { return slices.Sorted(maps.Keys(s)) }

// share is the part of the words that the text has, 0 when there are none.
func (s wordSet) share(text string) float64 {
	if len(s) == 0 {
		return 0
	}
	return float64(s.count(text)) / float64(len(s))
}

// count is how many of the words the text has. A word is stemmed only where it begins like one of them.
func (s wordSet) count(text string) int {
	begins := s.beginnings()
	found := map[string]bool{}
	for at := 0; at < len(text) && len(found) < len(s); at++ {
		start, plain := at, true
		for ; at < len(text) && (text[at] >= utf8.RuneSelf || alphanumeric(text[at])); at++ {
			plain = plain && text[at] < utf8.RuneSelf
		}
		if field := text[start:at]; plain && (field == "" || !begins.may(field)) {
			continue
		}
		// What is not ASCII may be anything, also several words.
		for word := range spelt(text[start:at]) {
			if s[word] {
				found[word] = true
			}
		}
	}
	return len(found)
}

// beginnings are the first two letters that words of ASCII have if they may be of a set. A stem begins as its word
// does, but that "dying" becomes "die", and some are of one letter.
type beginnings struct {
	one [utf8.RuneSelf]bool
	two [utf8.RuneSelf][utf8.RuneSelf]bool
}

func (s wordSet) beginnings() *beginnings {
	var b beginnings
	for word := range s {
		switch {
		case word == "" || word[0] >= utf8.RuneSelf:
		case len(word) == 1:
			b.one[word[0]] = true
		case word[1] < utf8.RuneSelf:
			b.two[word[0]][word[1]] = true
			if word[1] == 'i' {
				b.two[word[0]]['y'] = true
			}
		}
	}
	return &b
}

func (b *beginnings) may(word string) bool {
	first := small(word[0])
	return b.one[first] || len(word) > 1 && b.two[first][small(word[1])]
}

func small(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
