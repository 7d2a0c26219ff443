package knowledge

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/kljensen/snowball/english"
)

// words are the lower-case words of a text that carry meaning, as English stems and in order. A
// script written without spaces gives each pair of neighbouring characters instead.
func words(text string) []string {
	var found []string
	for field := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r)
	}) {
		if unspaced(field) {
			found = append(found, pairs(field)...)
			continue
		}
		if !english.IsStopWord(field) {
			found = append(found, english.Stem(field, false))
		}
	}
	return found
}

// unspaced reports whether a run of letters is of a script that puts no spaces between words.
func unspaced(field string) bool {
	for _, r := range field {
		if unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai) {
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

// count is how many of the words the text has.
func (s wordSet) count(text string) int {
	found := map[string]bool{}
	for _, word := range words(text) {
		if s[word] {
			found[word] = true
		}
	}
	return len(found)
}
