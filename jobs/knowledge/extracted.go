package knowledge

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Extracted is what an extractor makes of a source: its text as blocks, in order, and what the
// source says about itself.
type Extracted struct {
	Title       string
	Author      string
	PublishedAt *time.Time
	Metadata    map[string]any
	Blocks      []Block
}

// Block is a passage that belongs together: a paragraph, a list, a subtitle, a function.
type Block struct {
	Text     string
	Position Position
	Break    Break // what separates it from the block before
}

// Break is how strongly two blocks are apart: the stronger, the rather a chunk ends between them.
type Break int

// The breaks, weakest first.
const (
	BreakSpace     Break = iota // running text, as two subtitles
	BreakLine                   // lines of one thing
	BreakParagraph              // the next paragraph
	BreakSection                // the next heading or page
)

// joint is what stands between two blocks of a chunk.
func (b Break) joint() string {
	switch b {
	case BreakSpace:
		return " "
	case BreakLine:
		return "\n"
	}
	return "\n\n"
}

// Rejection is a source that can never be ingested as it is, with the reason for the one who sent it.
type Rejection struct {
	Reason string
	// Textless says that the file shows text but has none that can be read: recognising it (OCR) would help.
	Textless bool
}

// Error implements error.
func (r *Rejection) Error() string { return r.Reason }

// Rejectf makes a Rejection.
func Rejectf(format string, args ...any) error {
	return &Rejection{Reason: fmt.Sprintf(format, args...)}
}

// Composed is text with each letter in one piece with its accents, and each Korean syllable in one. A Mac writes names, and
// some PDF files all text, with the pieces apart; a search would take these for other words.
func Composed(text string) string { return norm.NFC.String(text) }

// Clean makes text fit to be stored, searched and shown: valid UTF-8, composed, line ends as \n, and no control
// characters. Postgres stores no NUL, and the others would steer a terminal.
func Clean(text string) string {
	if isClean(text) {
		return text
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return Composed(strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\r', r == '\u2028', r == '\u2029', r == '\v', r == '\f':
			return '\n'
		case r == '\u00a0':
			return ' '
		case unicode.IsControl(r), r == '\uFEFF', r == '\u00ad':
			return -1
		}
		return r
	}, text))
}

func isClean(text string) bool {
	for i := 0; i < len(text); i++ {
		if c := text[i]; c < 0x20 && c != '\n' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return true
}

// Line is text on one line, with runs of spaces as one, cut to a number of runes.
func Line(text string, most int) string {
	text = strings.Join(strings.Fields(Clean(text)), " ")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	runes := []rune(text)
	return strings.TrimSpace(string(runes[:most-1])) + "…"
}

// Tidy cleans every text of e and drops the blocks that are empty. Extractors end with it.
func (e *Extracted) Tidy() {
	e.Title, e.Author = Line(e.Title, 300), Line(e.Author, 200)
	if e.Metadata == nil {
		e.Metadata = map[string]any{}
	}
	kept, pending := e.Blocks[:0], BreakSpace
	for _, block := range e.Blocks {
		block.Text = strings.Trim(Clean(block.Text), "\n")
		block.Position.Heading = Line(block.Position.Heading, 200)
		block.Break = max(block.Break, pending)
		if pending = block.Break; strings.TrimSpace(block.Text) == "" {
			continue // what was apart stays apart
		}
		pending = BreakSpace
		kept = append(kept, block)
	}
	e.Blocks = kept
}

// Size is the bytes of text in all blocks.
func (e *Extracted) Size() int {
	size := 0
	for _, block := range e.Blocks {
		size += len(block.Text)
	}
	return size
}

// Sum is the SHA-256 of all that would be stored, by which unchanged content is known. version
// stands for how the text is cut, so that another way of chunking is a change.
func (e *Extracted) Sum(version string) ([32]byte, error) {
	var buf bytes.Buffer
	err := json.NewEncoder(&buf).Encode(struct {
		Version string
		*Extracted
	}{version, e})
	if err != nil {
		return [32]byte{}, fmt.Errorf("sum of extracted text: %w", err)
	}
	return sha256.Sum256(buf.Bytes()), nil
}
