package bert

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// wordPieces cuts text into the pieces of a vocabulary, as BERT does (Devlin et al. 2019).
type wordPieces struct {
	pieces              map[string]int32
	prefix              string // of a piece within a word
	lower               bool
	begin, end, unknown int32
}

// mostWord is the length of a word, in runes, above which it is unknown.
const mostWord = 100

func readWordPieces(raw []byte, vocabulary int) (*wordPieces, error) {
	var file struct {
		Normalizer struct {
			Lowercase *bool `json:"lowercase"`
		} `json:"normalizer"`
		Model struct {
			Type   string           `json:"type"`
			Prefix string           `json:"continuing_subword_prefix"`
			Vocab  map[string]int32 `json:"vocab"`
		} `json:"model"`
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("tokenizer.json: %w", err)
	}
	w := &wordPieces{pieces: file.Model.Vocab, prefix: file.Model.Prefix, lower: file.Normalizer.Lowercase == nil || *file.Normalizer.Lowercase}
	if file.Model.Type != "" && file.Model.Type != "WordPiece" || w.prefix == "" {
		return nil, fmt.Errorf("tokenizer.json is of type %q: only WordPiece is read", file.Model.Type)
	}
	for name, into := range map[string]*int32{"[CLS]": &w.begin, "[SEP]": &w.end, "[UNK]": &w.unknown} {
		id, ok := w.pieces[name]
		if !ok {
			return nil, fmt.Errorf("tokenizer.json has no %s", name)
		}
		*into = id
	}
	for piece, id := range w.pieces {
		if id < 0 || int(id) >= vocabulary {
			return nil, fmt.Errorf("tokenizer.json has piece %q of number %d, and the model %d pieces", piece, id, vocabulary)
		}
	}
	if len(w.pieces) < 4 {
		return nil, errors.New("tokenizer.json has no vocabulary")
	}
	return w, nil
}

// ids are the numbers of the pieces of a text, without those that begin and end it.
func (w *wordPieces) ids(text string) []int32 {
	var all []int32
	for _, word := range w.words(text) {
		all = w.cut(all, word)
	}
	return all
}

// words cuts a text at white space, and makes each sign and each Chinese character a word.
func (w *wordPieces) words(text string) []string {
	if w.lower {
		text = strings.ToLower(text)
		text = norm.NFD.String(text)
	}
	var words []string
	var open strings.Builder
	flush := func() {
		if open.Len() > 0 {
			words = append(words, open.String())
			open.Reset()
		}
	}
	for _, r := range text {
		switch {
		case unicode.IsSpace(r):
			flush()
		case r == 0 || r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r), w.lower && unicode.Is(unicode.Mn, r):
		case unicode.Is(unicode.Han, r) || r < 0x80 && (unicode.IsPunct(r) || unicode.IsSymbol(r)) || unicode.IsPunct(r):
			flush()
			words = append(words, string(r))
		default:
			open.WriteRune(r)
		}
	}
	flush()
	return words
}

// cut adds the longest pieces that a word is made of, from its beginning on.
func (w *wordPieces) cut(all []int32, word string) []int32 {
	runes := []rune(word)
	if len(runes) > mostWord {
		return append(all, w.unknown)
	}
	start := len(all)
	for from := 0; from < len(runes); {
		to := len(runes)
		id, ok := int32(0), false
		for ; to > from; to-- {
			piece := string(runes[from:to])
			if from > 0 {
				piece = w.prefix + piece
			}
			if id, ok = w.pieces[piece]; ok {
				break
			}
		}
		if !ok {
			return append(all[:start], w.unknown)
		}
		all, from = append(all, id), to
	}
	return all
}
