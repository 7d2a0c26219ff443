package lexicon

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
)

// table is a line with the number of pieces and of dimensions, a line for each piece, and then its vector, a byte a dimension.
//
//go:embed words.bin
var table string

// within begins a piece that stands within a word.
const within = "##"

// mostWord is the length of a word, in bytes, above which it is not known.
const mostWord = 100

// Lexicon knows words. It is safe for concurrent use.
type Lexicon struct {
	pieces map[string]int
	rows   string
	width  int
}

var errTable = errors.New("the table of words is damaged")

// Open reads the table.
func Open() (*Lexicon, error) { return read(table) }

func read(raw string) (*Lexicon, error) {
	head, rest, _ := strings.Cut(raw, "\n")
	var count, width int
	if _, err := fmt.Sscanf(head, "%d %d", &count, &width); err != nil || count < 1 || width < 1 || count > len(rest) {
		return nil, errTable
	}
	l := &Lexicon{pieces: make(map[string]int, count), width: width}
	for i := range count {
		piece, after, ok := strings.Cut(rest, "\n")
		if !ok {
			return nil, errTable
		}
		l.pieces[piece], rest = i, after
	}
	if l.rows = rest; len(l.pieces) != count || len(rest) != count*width {
		return nil, errTable
	}
	return l, nil
}

// Meaning implements knowledge.Lexicon: the sum of the vectors of the word's pieces, from its beginning the longest that there is.
func (l *Lexicon) Meaning(word string) []int32 {
	if word == "" || len(word) > mostWord {
		return nil
	}
	sum := make([]int32, l.width)
	for from := 0; from < len(word); {
		row, to := l.longest(word, from)
		if to == from {
			return nil
		}
		for d := range sum {
			sum[d] += int32(int8(l.rows[row*l.width+d]))
		}
		from = to
	}
	return sum
}

// longest is the longest piece that a word has at a place, and where it ends: where it begins when there is none.
func (l *Lexicon) longest(word string, from int) (row, to int) {
	prefix := ""
	if from > 0 {
		prefix = within
	}
	for to := len(word); to > from; to-- {
		if row, ok := l.pieces[prefix+word[from:to]]; ok {
			return row, to
		}
	}
	return 0, from
}
