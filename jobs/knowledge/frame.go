package knowledge

import (
	"fmt"
	"regexp"
	"strings"
)

// frameTag is what looks like the begin or end of a passage's frame, however it is spelt.
var frameTag = regexp.MustCompile(`(?i)[<＜‹〈]([\s\p{Cf}]*/?[\s\p{Cf}]*passages?\b)`)

// foreignMark is code, or what looks like a citation mark: numbers in square or lenticular brackets.
var foreignMark = regexp.MustCompile("(?s)```.*?```|`[^`\n]*`|" + `[\[【]\s*(\^?\d{1,3}(?:\s*[,;–-]\s*\^?\d{1,3})*)\s*(?:†[^\]】]*)?[\]】]`)

// unmark puts what looks like citation marks in a source's own text into round brackets: its
// references are not ours. In code brackets are an index, and stay.
func (p Passage) unmark(text string) string {
	if p.SourceType == SourcePine {
		return text
	}
	return foreignMark.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "`") {
			return found
		}
		return foreignMark.ReplaceAllString(found, "($1)")
	})
}

// defuse makes a passage's text harmless within a frame.
func (p Passage) defuse(text string) string {
	return p.unmark(frameTag.ReplaceAllString(text, "‹ $1"))
}

// writePassages frames each passage. What looks like a frame or a citation within one is defused.
func writePassages(text *strings.Builder, passages []Passage) {
	for i, p := range passages {
		fmt.Fprintf(text, "<passage number=\"%d\" title=%q position=%q>\n%s\n</passage>\n\n", i+1, p.defuse(p.Title), p.Position.String(), p.defuse(p.Text))
	}
}
