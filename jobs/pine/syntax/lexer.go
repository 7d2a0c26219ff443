package syntax

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a source. A script beyond one of them is refused.
const (
	MaxSourceBytes = 256 << 10
	MaxTokens      = 100_000
	MaxNesting     = 100
)

const indentWidth = 4

type bracket struct {
	text string
	pos  Pos
}

// lexer makes tokens of lines. Layout becomes newline, indent and dedent tokens.
type lexer struct {
	diags     *Diagnostics
	tokens    []token
	levels    []int // open blocks' indentation, in levels; the first is 0
	brackets  []bracket
	version   int
	versionAt Pos
	named     string // the version as it is written
}

// lex splits the source. It stops at the token limit.
func lex(source string, diags *Diagnostics) *lexer {
	lx := &lexer{diags: diags, levels: []int{0}, version: 1, versionAt: Pos{1, 1}}
	source = strings.TrimPrefix(source, "\ufeff")
	line := int32(0)
	for len(source) > 0 {
		line++
		var text string
		text, source = cutLine(source)
		if strings.Contains(text, `"""`) {
			text, source, line = lx.longString(text, source, line)
		}
		begun := line
		text, source, line = joinText(text, source, line)
		if !lx.line(text, begun) {
			break
		}
	}
	if n := len(lx.brackets); n > 0 {
		open := lx.brackets[n-1]
		diags.Add(open.pos, Error, "P102", fmt.Sprintf("“%s” is never closed", open.text), "close it, or indent the lines that belong to it")
	}
	end := Pos{line + 1, 1}
	if len(lx.tokens) > 0 {
		lx.emit(token{kind: tokNewline, pos: end})
	}
	for range lx.levels[1:] {
		lx.emit(token{kind: tokDedent, pos: end})
	}
	lx.emit(token{kind: tokEOF, pos: end})
	return lx
}

// cutLine takes the first line off, whichever way it ends.
func cutLine(source string) (line, rest string) {
	i := strings.IndexAny(source, "\r\n")
	if i < 0 {
		return source, ""
	}
	line, rest = source[:i], source[i+1:]
	if source[i] == '\r' && strings.HasPrefix(rest, "\n") {
		rest = rest[1:]
	}
	return line, rest
}

// longString joins the lines of a text in triple quotes into one line with an ordinary text.
func (lx *lexer) longString(text, source string, line int32) (string, string, int32) {
	for {
		i := strings.Index(text, `"""`)
		if i < 0 || strings.Contains(text[:i], "//") || strings.Count(text[:i], `"`)%2 == 1 {
			return text, source, line
		}
		j := strings.Index(text[i+3:], `"""`)
		for j < 0 && len(source) > 0 {
			var more string
			more, source = cutLine(source)
			line++
			text += "\n" + more
			j = strings.Index(text[i+3:], `"""`)
		}
		if j < 0 {
			return text, source, line
		}
		text = text[:i] + strconv.Quote(text[i+3:i+3+j]) + text[i+3+j+3:]
	}
}

// joinText appends the lines on which a text continues: like any continued line they are indented by
// a number of spaces that is not a multiple of four.
func joinText(text, source string, line int32) (joined, rest string, last int32) {
	for opensText(text) && len(source) > 0 {
		more, after := cutLine(source)
		word := strings.TrimLeft(more, " ")
		if indent := len(more) - len(word); indent%indentWidth == 0 || word == "" {
			break
		}
		text, source, line = text+" "+word, after, line+1
	}
	return text, source, line
}

// opensText reports whether a text that begins on the line does not end on it.
func opensText(text string) bool {
	quote := byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote == 0 && c == '/' && strings.HasPrefix(text[i:], "//"):
			return false
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote != 0 && c == '\\':
			i++
		case c == quote:
			quote = 0
		}
	}
	return quote != 0
}

func (lx *lexer) emit(t token) { lx.tokens = append(lx.tokens, t) }

// line makes the tokens of one physical line. It reports whether to go on.
func (lx *lexer) line(text string, line int32) bool {
	width, at := 0, 0
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		if text[at] == '\t' {
			width += indentWidth
		} else {
			width++
		}
		at++
	}
	first := len(lx.tokens)
	lx.words(text, at, line)
	if len(lx.tokens) == first {
		return true
	}
	if len(lx.tokens) > MaxTokens {
		lx.diags.Add(Pos{line, 1}, Error, "P401", fmt.Sprintf("the script has more than %d words", MaxTokens), "split it, or drop what only draws")
		lx.tokens = lx.tokens[:first]
		return false
	}
	return true
}

// layout puts the newline, indent and dedent tokens that stand before the first token of a line.
func (lx *lexer) layout(width int, t token) {
	if len(lx.tokens) == 0 {
		return
	}
	last := lx.tokens[len(lx.tokens)-1]
	if len(lx.brackets) > 0 || last.continues() || t.cannotBegin() {
		return
	}
	if width%indentWidth != 0 {
		return
	}
	lx.emit(token{kind: tokNewline, pos: t.pos})
	level := width / indentWidth
	top := lx.levels[len(lx.levels)-1]
	switch {
	case level > top:
		if len(lx.levels) >= MaxNesting {
			lx.diags.Add(t.pos, Error, "P402", fmt.Sprintf("blocks nest deeper than %d", MaxNesting), "move the inner blocks into functions")
			return
		}
		lx.levels = append(lx.levels, level)
		lx.emit(token{kind: tokIndent, pos: t.pos})
	case level < top:
		for len(lx.levels) > 1 && lx.levels[len(lx.levels)-1] > level {
			lx.levels = lx.levels[:len(lx.levels)-1]
			lx.emit(token{kind: tokDedent, pos: t.pos})
		}
		if lx.levels[len(lx.levels)-1] != level {
			lx.diags.Add(t.pos, Error, "P103", "the indentation belongs to no open block", "indent by four spaces a level, as the block's first line")
			lx.levels[len(lx.levels)-1] = level
		}
	}
}

// words makes the tokens of a line from byte at on.
func (lx *lexer) words(text string, at int, line int32) {
	width := 0
	for _, c := range text[:at] {
		if c == '\t' {
			width += indentWidth
		} else {
			width++
		}
	}
	column := int32(utf8.RuneCountInString(text[:at])) + 1
	begun, gap := false, true
	for at < len(text) {
		c := text[at]
		if c == ' ' || c == '\t' {
			at, column, gap = at+1, column+1, true
			continue
		}
		if strings.HasPrefix(text[at:], "//") {
			lx.comment(text[at+2:], Pos{line, column})
			return
		}
		t, size := lx.word(text[at:], Pos{line, column})
		if size == 0 {
			return
		}
		column += int32(utf8.RuneCountInString(text[at : at+size]))
		at += size
		if t.kind == tokEOF { // refused and dropped
			continue
		}
		if !begun {
			lx.layout(width, t)
			begun = true
		}
		t.gap, gap = gap, false
		lx.bracket(t)
		lx.emit(t)
	}
}

// comment looks for the version.
func (lx *lexer) comment(text string, at Pos) {
	rest, found := strings.CutPrefix(strings.TrimSpace(text), "@version")
	if !found {
		return
	}
	rest = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), "="))
	lx.named, _, _ = strings.Cut(rest, " ")
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	if n, err := strconv.Atoi(rest[:end]); err == nil {
		lx.version, lx.versionAt = n, at
	} else {
		lx.diags.Add(at, Error, "P101", "the version is not a number", "write //@version=6")
	}
}

// bracket keeps the stack of open brackets.
func (lx *lexer) bracket(t token) {
	if t.kind != tokOp {
		return
	}
	switch t.text {
	case "(", "[":
		lx.brackets = append(lx.brackets, bracket{t.text, t.pos})
	case ")", "]":
		want := map[string]string{")": "(", "]": "["}[t.text]
		if n := len(lx.brackets); n > 0 && lx.brackets[n-1].text == want {
			lx.brackets = lx.brackets[:n-1]
		} else if n > 0 {
			open := lx.brackets[n-1]
			lx.diags.Add(t.pos, Error, "P102", fmt.Sprintf("“%s” does not close the “%s” of line %d", t.text, open.text, open.pos.Line), "")
			lx.brackets = lx.brackets[:n-1]
		} else {
			lx.diags.Add(t.pos, Error, "P102", fmt.Sprintf("“%s” closes nothing", t.text), "remove it")
		}
	}
}

// word makes the token at the start of text. A size of zero ends the line; a kind of tokEOF means
// that the character is refused.
func (lx *lexer) word(text string, at Pos) (token, int) {
	c := text[0]
	switch {
	case c == '"' || c == '\'':
		return lx.str(text, at)
	case c >= '0' && c <= '9', c == '.' && len(text) > 1 && text[1] >= '0' && text[1] <= '9':
		return number(text, at)
	case c == '#':
		n := 1
		for n < len(text) && isHex(text[n]) {
			n++
		}
		if n != 7 && n != 9 {
			lx.diags.Add(at, Error, "P104", fmt.Sprintf("“%s” is not a color", quote(text[:n])), "write #RRGGBB or #RRGGBBAA")
			return token{kind: tokColor, text: "#000000", pos: at}, n
		}
		return token{kind: tokColor, text: text[:n], pos: at}, n
	}
	if n := identLength(text); n > 0 {
		return token{kind: tokIdent, text: text[:n], pos: at}, n
	}
	for _, op := range operators {
		if strings.HasPrefix(text, op) {
			return token{kind: tokOp, text: op, pos: at}, len(op)
		}
	}
	r, size := utf8.DecodeRuneInString(text)
	if unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' {
		return token{kind: tokEOF}, size
	}
	lx.diags.Add(at, Error, "P104", fmt.Sprintf("the character %q has no meaning here", r), "remove it, or put it into a text or a comment")
	return token{kind: tokEOF}, size
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func identLength(text string) int {
	n := 0
	for n < len(text) {
		c := text[n]
		if c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || n > 0 && c >= '0' && c <= '9' {
			n++
			continue
		}
		if c < utf8.RuneSelf {
			break
		}
		r, size := utf8.DecodeRuneInString(text[n:])
		if !unicode.IsLetter(r) {
			break
		}
		n += size
	}
	return n
}

func number(text string, at Pos) (token, int) {
	n, k := 0, tokInt
	digits := func() {
		for n < len(text) && text[n] >= '0' && text[n] <= '9' {
			n++
		}
	}
	digits()
	if n < len(text) && text[n] == '.' {
		n, k = n+1, tokFloat
		digits()
	}
	if n < len(text) && (text[n] == 'e' || text[n] == 'E') {
		m := n + 1
		if m < len(text) && (text[m] == '+' || text[m] == '-') {
			m++
		}
		if m < len(text) && text[m] >= '0' && text[m] <= '9' {
			n, k = m, tokFloat
			digits()
		}
	}
	return token{kind: k, text: text[:n], pos: at}, n
}

// str reads a text up to its closing quote.
func (lx *lexer) str(text string, at Pos) (token, int) {
	var out strings.Builder
	for i := 1; i < len(text); i++ {
		c := text[i]
		switch {
		case c == text[0]:
			return token{kind: tokString, text: out.String(), pos: at}, i + 1
		case c == '\\' && i+1 < len(text):
			i++
			switch text[i] {
			case 'n':
				out.WriteByte('\n')
			case 't':
				out.WriteByte('\t')
			default:
				out.WriteByte(text[i])
			}
		default:
			out.WriteByte(c)
		}
	}
	lx.diags.Add(at, Error, "P105", "the text is not closed on its line", "close it with the quote it begins with")
	return token{kind: tokString, text: out.String(), pos: at}, len(text)
}
