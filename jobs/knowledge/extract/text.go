package extract

import (
	"bytes"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/unicode"

	"millrace/jobs/knowledge"
)

// Text reads plain text or Markdown. name is that of the file, by which Markdown is known, and the
// title when the text has none.
func Text(data []byte, name string) (*knowledge.Extracted, error) {
	text, err := decode(data)
	if err != nil {
		return nil, err
	}
	e := &knowledge.Extracted{Metadata: map[string]any{"format": "plain"}}
	first := 1
	markdown := isMarkdown(name)
	if markdown {
		e.Metadata["format"] = "markdown"
		var matter map[string]string
		if matter, text, first = frontMatter(text); matter != nil {
			e.Title, e.Author = matter["title"], matter["author"]
			if at, err := time.Parse(time.DateOnly, matter["date"]); err == nil {
				e.PublishedAt = &at
			}
		}
	}
	s := scanner{markdown: markdown, title: &e.Title}
	s.scan(text, first)
	e.Blocks = s.blocks
	e.Tidy()
	if len(e.Blocks) == 0 {
		return nil, knowledge.Rejectf("the text is empty")
	}
	if e.Title == "" {
		e.Title = titleOf(name, e.Blocks)
	}
	return e, nil
}

func isMarkdown(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".md", ".markdown", ".mdx":
		return true
	}
	return false
}

// titleOf is the file's name without its ending, or else how the text begins.
func titleOf(name string, blocks []knowledge.Block) string {
	base := path.Base(strings.ReplaceAll(name, `\`, "/"))
	if base = strings.TrimSuffix(base, path.Ext(base)); base != "" && base != "." && base != "/" {
		return knowledge.Line(base, 300)
	}
	if len(blocks) == 0 {
		return ""
	}
	line, _, _ := strings.Cut(strings.TrimSpace(blocks[0].Text), "\n")
	return knowledge.Line(line, 80)
}

// decode finds the encoding of a text: a byte order mark, else UTF-8, else what its bytes are likely to be,
// see legacy. Data that is not text, or in an encoding that is not known for sure, is rejected: what
// is stored is never a guess that shows other letters than were written.
func decode(data []byte) (string, error) {
	var from encoding.Encoding
	switch {
	case bytes.HasPrefix(data, []byte{0xEF, 0xBB, 0xBF}):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}), bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		from = unicode.UTF16(unicode.LittleEndian, unicode.UseBOM)
	}
	if from == nil && !utf8.Valid(data) && !isBinary(data) {
		if mostlyUTF8(data) {
			return string(bytes.ToValidUTF8(data, []byte("\uFFFD"))), nil
		}
		if from = legacy(data); from == nil {
			return "", knowledge.Rejectf("the text's encoding is not recognised: save it as UTF-8 and send it again")
		}
	}
	if from != nil {
		decoded, err := from.NewDecoder().Bytes(data)
		if err != nil {
			return "", knowledge.Rejectf("the text is damaged: its encoding does not hold")
		}
		data = decoded
	}
	if isBinary(data) {
		return "", knowledge.Rejectf("this is not text: it holds bytes that no text has")
	}
	return string(data), nil
}

// isBinary reports whether data has what text has not: NULs, or many control characters.
func isBinary(data []byte) bool {
	head := data[:min(len(data), 64<<10)]
	control := 0
	for _, b := range head {
		if b == 0 {
			return true
		}
		if b < 0x20 && b != '\n' && b != '\r' && b != '\t' && b != '\f' && b != 0x1b {
			control++
		}
	}
	return control > len(head)/50
}

// mostlyUTF8 reports whether data is UTF-8 with some damage: few bad bytes among many that only
// make sense as UTF-8.
func mostlyUTF8(data []byte) bool {
	good, bad := 0, 0
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			bad++
		case size > 1:
			good++
		}
		i += size
	}
	return good > 4*bad
}

// frontMatter reads the "key: value" lines that a Markdown file may begin with between two lines of
// three dashes. It returns what comes after, and the number of its first line.
func frontMatter(text string) (matter map[string]string, rest string, first int) {
	body, ok := strings.CutPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "---\n")
	if !ok {
		return nil, text, 1
	}
	head, rest, ok := strings.Cut(body, "\n---\n")
	if !ok || len(head) > 16<<10 {
		return nil, text, 1
	}
	matter = map[string]string{}
	for line := range strings.SplitSeq(head, "\n") {
		if key, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, " ") {
			matter[strings.ToLower(strings.TrimSpace(key))] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return matter, rest, strings.Count(head, "\n") + 4
}

// scanner cuts text into paragraphs, and keeps Markdown's headings and fenced code.
type scanner struct {
	markdown bool
	title    *string
	blocks   []knowledge.Block
	heading  string
	fence    string // what ends the code block that the scanner is in
	open     []string
	openLine int
	next     knowledge.Break
}

func (s *scanner) scan(text string, first int) {
	s.next = knowledge.BreakParagraph
	line := first
	for raw := range strings.SplitSeq(text, "\n") {
		s.line(strings.TrimRight(raw, "\r"), line)
		line++
	}
	s.flush()
}

func (s *scanner) line(text string, number int) {
	trimmed := strings.TrimSpace(text)
	level, heading := 0, ""
	if s.markdown && s.fence == "" {
		level, heading = headingOf(trimmed)
	}
	switch {
	case s.fence != "":
		s.add(text, number)
		if strings.HasPrefix(trimmed, s.fence) && strings.Trim(trimmed, s.fence[:1]) == "" {
			s.fence = ""
		}
	case s.markdown && (strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~")):
		s.fence = trimmed[:3]
		s.add(text, number)
	case trimmed == "":
		s.flush()
	case level > 0:
		s.flush()
		s.heading, s.next = heading, knowledge.BreakSection
		if level == 1 && *s.title == "" {
			*s.title = heading
		}
		s.add(text, number)
	default:
		s.add(text, number)
	}
}

// headingOf reads "## Heading"; level 0 is not a heading.
func headingOf(line string) (level int, text string) {
	rest := strings.TrimLeft(line, "#")
	level = len(line) - len(rest)
	if level < 1 || level > 6 || !strings.HasPrefix(rest, " ") {
		return 0, ""
	}
	return level, strings.TrimSpace(strings.TrimRight(rest, "# "))
}

func (s *scanner) add(line string, number int) {
	if len(s.open) == 0 {
		s.openLine = number
	}
	s.open = append(s.open, line)
}

func (s *scanner) flush() {
	if len(s.open) == 0 {
		return
	}
	s.blocks = append(s.blocks, knowledge.Block{
		Text: strings.Join(s.open, "\n"), Break: s.next,
		Position: knowledge.Position{Line: s.openLine, Heading: s.heading},
	})
	s.open, s.next = nil, knowledge.BreakParagraph
}
