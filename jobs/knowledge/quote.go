package knowledge

import (
	"cmp"
	"regexp"
	"strings"
	"unicode/utf8"
)

// mostSentence cuts what has no end of sentence, in bytes.
const mostSentence = 400

// quote is a part of a passage that can be quoted: a sentence, an item of a list, a row of a table, or
// a block of code, on one line.
type quote struct {
	text    string
	after   bool   // it begins within a sentence that was too long
	cut     bool   // it ends within one
	heading string // that it stands under within its passage; "" above the first
	before  string // the sentence before it in its paragraph; of a row of a table, the table's first
	row     bool   // of a table
	code    bool   // of a fence
	run     int    // of text that it stands in: a paragraph, an item, a row
}

// quotes cuts a passage's text into what can be quoted. Headings are not: they name a subject and say
// nothing of it.
func quotes(text string) []quote {
	var all []quote
	heading, run, fenced := "", 0, beginsFenced(text)
	paragraphs := strings.Split(text, "\n\n")
	for i, paragraph := range paragraphs {
		before, first := "", ""
		add := func(part string, row, code bool) {
			parts := shortened(strings.Join(strings.Fields(part), " "))
			for i, part := range parts {
				q := quote{text: part, after: i > 0, cut: i+1 < len(parts), heading: heading, before: before, row: row, code: code, run: run}
				if row {
					q.before, first = first, cmp.Or(first, part)
				}
				all, before = append(all, q), part
			}
		}
		var found []body
		found, fenced = bodies(paragraph, i+1 < len(paragraphs), fenced)
		for _, b := range found {
			run++
			switch {
			case b.heading:
				heading, before = b.text, ""
			case b.row:
				add(b.text, true, false)
			case b.whole:
				for _, lines := range blocks(b.text) {
					add(lines, false, true)
				}
			default:
				for _, s := range sentences(strings.Join(strings.Fields(b.text), " ")) {
					add(s, false, false)
				}
			}
		}
	}
	return all
}

// blocks cuts code into runs of lines that are no longer than a quotation.
func blocks(code string) []string {
	var all []string
	for line := range strings.SplitSeq(code, "\n") {
		last := len(all) - 1
		if last < 0 || len(all[last])+1+len(line) > mostSentence {
			all = append(all, line)
			continue
		}
		all[last] += "\n" + line
	}
	return all
}

// shortened cuts what is too long at words: transcripts have no sentences, and other scripts end theirs otherwise.
func shortened(part string) []string {
	var all []string
	for len(part) > mostSentence {
		cut := runeStart(part, mostSentence)
		if space := strings.LastIndexByte(part[:cut], ' '); space > mostSentence/2 {
			cut = space
		}
		all, part = append(all, strings.TrimSpace(part[:cut])), strings.TrimSpace(part[cut:])
	}
	if part != "" {
		all = append(all, part)
	}
	return all
}

// fence reports whether a line begins or ends code.
func fence(line string) bool {
	rest, backticks := strings.CutPrefix(line, "```")
	return backticks && !strings.Contains(rest, "`") || strings.HasPrefix(line, "~~~")
}

// beginsFenced reports whether a passage begins within code: the first fence of an odd number names no language.
func beginsFenced(text string) bool {
	fences, bare := 0, false
	for line := range strings.SplitSeq(text, "\n") {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "```") && fence(line) {
			if fences++; fences == 1 {
				bare = line == "```"
			}
		}
	}
	return bare && fences%2 == 1
}

// body is a run of lines of a paragraph that belong together.
type body struct {
	text    string
	heading bool
	whole   bool // is not cut into sentences
	row     bool // of a table
}

// bodies cuts a paragraph into headings, items of lists, rows of tables, code and running text. A line
// that stands alone, is short and ends no sentence is a heading when more follows. Code may begin in a paragraph before,
// and continue in the next; what tildes begin ends with its paragraph, as they also underline.
func bodies(paragraph string, more, fenced bool) (all []body, open bool) {
	lines := strings.Split(strings.Trim(paragraph, "\n"), "\n")
	if len(lines) == 1 && more && !fenced && titled(lines[0]) {
		return []body{{text: strings.TrimSpace(lines[0]), heading: true}}, false
	}
	if open = fenced; fenced {
		all = append(all, body{whole: true})
	}
	for i, line := range lines {
		trimmed := strings.TrimSpace(line)
		last := len(all) - 1
		switch {
		case fence(trimmed):
			fenced, open = !fenced, !fenced && trimmed[0] == '`'
			if fenced {
				all = append(all, body{whole: true})
			}
		case fenced:
			all[last].text += "\n" + line
		case trimmed == "" || ruled(trimmed) || options(lines, i):
		case isHeading(trimmed):
			all = append(all, body{text: strings.TrimSpace(strings.Trim(trimmed, "#")), heading: true})
		case directive.MatchString(trimmed):
			if _, says, _ := strings.Cut(trimmed, "::"); admonition.MatchString(trimmed) && says != "" {
				all = append(all, body{text: strings.TrimSpace(says)})
			}
		case i+1 < len(lines) && underlines(strings.TrimSpace(lines[i+1]), trimmed):
			all = append(all, body{text: trimmed, heading: true})
		case strings.HasPrefix(trimmed, "|") || tabular(lines, i):
			all = append(all, body{text: row(trimmed), whole: true, row: true})
		case listed(trimmed), last < 0, all[last].heading, all[last].whole:
			all = append(all, body{text: trimmed})
		default:
			all[last].text += "\n" + trimmed
		}
	}
	return all, open
}

func isHeading(line string) bool {
	rest := strings.TrimLeft(line, "#")
	return len(rest) < len(line) && strings.HasPrefix(rest, " ")
}

// titled reports whether a line alone looks like a heading.
func titled(line string) bool {
	line = strings.TrimSpace(line)
	if isHeading(line) {
		return true
	}
	last, _ := utf8.DecodeLastRuneInString(line)
	return line != "" && len(line) <= 80 && !listed(line) && !strings.HasPrefix(line, "|") && !strings.ContainsRune(".!?…:;,。！？", last)
}

// ruled reports whether a line only separates: of a table, or a rule, of whatever sign.
func ruled(line string) bool {
	return strings.Trim(line, "|-:= *_") == "" || len(line) >= 3 && strings.ContainsRune(underlining, rune(line[0])) && strings.Trim(line, line[:1]) == ""
}

// underlining are the signs by which reStructuredText marks headings, beside those of other rules.
const underlining = "=-~^\"'`+#*:._"

// underlines reports whether a line marks the one above it as a heading: it is as long, and of one sign.
func underlines(line, above string) bool {
	return len(line) >= 3 && len(line) >= utf8.RuneCountInString(above) && len(above) <= 80 &&
		strings.ContainsRune(underlining, rune(line[0])) && strings.Trim(line, line[:1]) == ""
}

// Lines of reStructuredText that say how what follows is shown, and of those the ones that begin a remark.
var (
	directive  = regexp.MustCompile(`^\.\. [\w-]+::`)
	admonition = regexp.MustCompile(`(?i)^\.\. (note|tip|hint|important|warning|caution|attention|danger|error|admonition|versionadded|versionchanged|deprecated)::`)
	option     = regexp.MustCompile(`^:[\w-]+:`)
)

// options reports whether a line is an option of the directive above it.
func options(lines []string, i int) bool {
	for ; i > 0 && option.MatchString(strings.TrimSpace(lines[i])); i-- {
		if directive.MatchString(strings.TrimSpace(lines[i-1])) {
			return true
		}
	}
	return false
}

// tabular reports whether a line is a row of a table as it comes out of a page: its cells apart, beside a line of as many.
func tabular(lines []string, i int) bool {
	cells := strings.Count(lines[i], " | ")
	return cells > 0 && (i > 0 && strings.Count(lines[i-1], " | ") == cells || i+1 < len(lines) && strings.Count(lines[i+1], " | ") == cells)
}

// row is a row of a table with its cells apart.
func row(line string) string {
	var cells []string
	for cell := range strings.SplitSeq(strings.Trim(line, "|"), "|") {
		if cell = strings.TrimSpace(cell); cell != "" {
			cells = append(cells, cell)
		}
	}
	return strings.Join(cells, " | ")
}

// listed reports whether a line begins an item of a list.
func listed(line string) bool {
	if rest := strings.TrimLeft(line, "-*•–"); len(rest) < len(line) && strings.HasPrefix(rest, " ") {
		return true
	}
	digits := strings.TrimLeft(line, "0123456789")
	return len(digits) < len(line) && len(line)-len(digits) <= 3 && (strings.HasPrefix(digits, ". ") || strings.HasPrefix(digits, ") "))
}
