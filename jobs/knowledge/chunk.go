package knowledge

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
)

// The size of a chunk, in tokens: small enough for every embedding model, with a tail carried over
// so that a statement on a bound is whole in one of the two.
const (
	ChunkTokens   = 512
	OverlapTokens = 64
	// ChunkVersion names this way of cutting; content cut in another way is content that changed.
	ChunkVersion = "cl100k/512/64/1"
)

// Chunker cuts extracted text into chunks. It is safe for concurrent use.
type Chunker struct{ tokens *Tokenizer }

// NewChunker makes a chunker.
func NewChunker() (*Chunker, error) {
	tokens, err := NewTokenizer()
	if err != nil {
		return nil, err
	}
	return &Chunker{tokens}, nil
}

// piece is the smallest part that chunks are made of: a sentence, or a part of one that is too long.
type piece struct {
	text   string // with the white space that separates it from the piece before in front
	tokens int
	at     Position
	brk    Break
}

// Chunks cuts e into chunks of about 512 tokens. Each begins with up to 64 tokens of the end of the
// one before, in whole sentences where they fit. A chunk ends at a page or heading where that leaves
// it at least half full, else at a paragraph where that leaves it at least two thirds full, else at
// a sentence; what fits neither is cut between words. The only error is that of ctx.
func (c *Chunker) Chunks(ctx context.Context, document uuid.UUID, e *Extracted) ([]Chunk, error) {
	pieces, err := c.pieces(ctx, e.Blocks)
	if err != nil {
		return nil, err
	}
	var chunks []Chunk
	for first, fresh := 0, 0; fresh < len(pieces); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		end := c.end(pieces, first, fresh)
		chunk, err := c.join(pieces[first:end], pieces[fresh].at.Heading)
		if err != nil {
			return nil, err
		}
		chunk.DocumentID, chunk.Index = document, len(chunks)
		chunks = append(chunks, chunk)
		first, fresh = overlap(pieces, first, end), end
	}
	return chunks, nil
}

// end is where the chunk ends that starts at first and whose first piece not in an earlier chunk is
// fresh.
func (c *Chunker) end(pieces []piece, first, fresh int) int {
	total, i := 0, first
	section, paragraph := 0, 0
	for ; i < len(pieces); i++ {
		if i > fresh {
			if pieces[i].brk == BreakSection && total >= ChunkTokens/2 {
				section = i
			}
			if pieces[i].brk == BreakParagraph && total >= ChunkTokens*2/3 {
				paragraph = i
			}
		}
		if total += pieces[i].tokens; total > ChunkTokens && i > fresh {
			break
		}
	}
	switch {
	case i == len(pieces):
		return i // the rest fits
	case section > 0:
		return section
	case paragraph > 0:
		return paragraph
	}
	return i
}

// overlap is where the chunk after end starts: whole pieces from the end of the one before.
func overlap(pieces []piece, first, end int) int {
	if end == len(pieces) {
		return end
	}
	total, i := 0, end
	for i-1 > first && total+pieces[i-1].tokens <= OverlapTokens {
		i--
		total += pieces[i].tokens
	}
	return i
}

// join makes a chunk of pieces. Its heading is that of what is new in it.
func (c *Chunker) join(pieces []piece, heading string) (Chunk, error) {
	var joined strings.Builder
	at := pieces[0].at
	for _, p := range pieces {
		joined.WriteString(p.text)
		at = at.through(p.at)
	}
	at.Heading = heading
	text := strings.TrimRight(dropSpace(joined.String()), " \t\n")
	id, err := uuid.NewV7()
	if err != nil {
		return Chunk{}, fmt.Errorf("chunk id: %w", err)
	}
	return Chunk{ID: id, Position: at, Text: text, Tokens: c.tokens.Count(text)}, nil
}

// dropSpace drops the white space that text begins with, but not the indentation of its first line.
func dropSpace(text string) string {
	rest := strings.TrimLeft(text, " \t\n")
	space := text[:len(text)-len(rest)]
	if i := strings.LastIndexByte(space, '\n'); i >= 0 {
		return text[i+1:]
	}
	return rest
}

// through extends a position to the end of a later one.
func (p Position) through(last Position) Position {
	p.PageEnd = max(p.PageEnd, last.Page, last.PageEnd)
	p.LineEnd = max(p.LineEnd, last.Line, last.LineEnd)
	if last.EndSeconds != nil {
		p.EndSeconds = last.EndSeconds
	}
	return p
}

// maxPiece bounds a piece to the overlap, so that at least one piece fits into an overlap.
const maxPiece = OverlapTokens

// pieces cuts blocks into sentences, and sentences that are too long between words.
func (c *Chunker) pieces(ctx context.Context, blocks []Block) ([]piece, error) {
	var out []piece
	for _, block := range blocks {
		joint, brk := block.Break.joint(), block.Break
		if len(out) == 0 {
			joint = "\n" // dropped again, but for its sake indentation is kept
		}
		line := block.Position.Line
		for _, sentence := range sentences(block.Text) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			at := block.Position
			if line > 0 {
				at.Line = line + strings.Count(leading(sentence), "\n")
				line += strings.Count(sentence, "\n")
				at.LineEnd = line
			}
			for _, text := range c.fit(joint + sentence) {
				out = append(out, piece{text.string, text.tokens, at, brk})
				joint, brk = "", BreakSpace
			}
		}
	}
	return out, nil
}

// leading is the white space that text begins with.
func leading(text string) string {
	return text[:len(text)-len(strings.TrimLeft(text, " \t\n"))]
}

type counted struct {
	string
	tokens int
}

// fit cuts a text that has too many tokens in two, between words where it can, until all parts fit.
func (c *Chunker) fit(text string) []counted {
	if len(text) <= 4*window {
		if n := c.tokens.Count(text); n <= maxPiece || len(text) <= 1 {
			return []counted{{text, n}}
		}
	}
	cut := halfway(text)
	if cut <= 0 || cut >= len(text) {
		return []counted{{text, c.tokens.Count(text)}}
	}
	return append(c.fit(text[:cut]), c.fit(text[cut:])...)
}

// halfway is the bound of a word nearest to the middle of text, or else that of a rune.
func halfway(text string) int {
	middle := len(text) / 2
	for d := 0; d < middle; d++ {
		for _, i := range []int{middle - d, middle + d} {
			if i > 0 && i < len(text) && (text[i] == ' ' || text[i] == '\n') && strings.TrimSpace(text[:i]) != "" {
				return i
			}
		}
		if d > 200 {
			break // one word without end
		}
	}
	return runeStart(text, middle)
}

// sentences cuts text behind each sentence or line. What separates two is at the front of the second,
// so that the parts make up the text.
func sentences(text string) []string {
	var parts []string
	start := 0
	for i, r := range text {
		if i <= start || r == ' ' || r == '\n' || r == '\t' {
			continue
		}
		if before := text[start:i]; ends(before, r) {
			cut := start + len(strings.TrimRight(before, " \t\n"))
			if strings.TrimSpace(text[start:cut]) != "" {
				parts = append(parts, text[start:cut])
				start = cut
			}
		}
	}
	return append(parts, text[start:])
}

// ends reports whether before, with the white space at its end, is a whole sentence when next
// follows: it ends a line, or ends with a full stop before anything but a small letter.
func ends(before string, next rune) bool {
	trimmed := strings.TrimRight(before, " \t\n")
	if strings.Contains(before[len(trimmed):], "\n") {
		return true
	}
	if len(trimmed) == len(before) {
		last, _ := utf8.DecodeLastRuneInString(trimmed)
		return strings.ContainsRune("。！？", last)
	}
	trimmed = strings.TrimRight(trimmed, `"')]”’»`)
	last, size := utf8.DecodeLastRuneInString(trimmed)
	switch last {
	case '!', '?', '…', '。', '！', '？':
		return true
	case '.':
		// An initial or an abbreviation as "e.g." or "Fig." ends no sentence before a small letter
		// or a digit; one letter alone never does.
		word := trimmed[strings.LastIndexAny(trimmed[:len(trimmed)-size], " \n(")+1 : len(trimmed)-size]
		return !unicode.IsLower(next) && utf8.RuneCountInString(word) > 1
	}
	return false
}
