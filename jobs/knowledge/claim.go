package knowledge

import (
	"regexp"
	"strconv"
	"strings"
)

// leastSupport is the share of a claim's words that the cited passages must have.
const leastSupport = 0.5

// Claim is a statement of an answer that cites passages.
type Claim struct {
	Text    string // with its marks
	Marks   []int
	Support float64 // share of its words and figures that the cited passages have, from 0 to 1
	figures bool    // they have every figure
}

// Supported reports whether the cited passages have at least half of the claim's words and every
// figure in it. It bounds entailment by words: what fails it is not in the passages; what passes may
// still be said in another sense.
func (c Claim) Supported() bool { return c.Support >= leastSupport && c.figures }

var (
	ownMark = regexp.MustCompile(`\[(\d{1,3})\]`)
	number  = regexp.MustCompile(`\d+(?:[.,]\d+)*`)
)

// claims are the sentences of an answer that cite, each held against what it cites.
func claims(text string, cited []Citation) []Claim {
	all := []Claim{}
	for line := range strings.SplitSeq(text, "\n") {
		for _, s := range joinMarks(sentences(line)) {
			c := Claim{Text: strings.TrimSpace(s)}
			var sources strings.Builder
			for _, found := range ownMark.FindAllStringSubmatch(s, -1) {
				n, _ := strconv.Atoi(found[1]) // three digits
				if n < 1 || n > len(cited) {
					continue
				}
				p := cited[n-1].Passage
				c.Marks = append(c.Marks, n)
				sources.WriteString(p.Title + "\n" + p.Position.Heading + "\n" + p.Text + "\n")
			}
			if len(c.Marks) > 0 {
				c.weigh(ownMark.ReplaceAllString(s, " "), sources.String())
				all = append(all, c)
			}
		}
	}
	return all
}

// joinMarks gives marks that follow a full stop, as in "So. [1]", to the sentence before them.
func joinMarks(parts []string) []string {
	var joined []string
	for _, part := range parts {
		rest := strings.TrimLeft(part, " \t")
		at := 0
		for {
			found := ownMark.FindStringIndex(rest[at:])
			if found == nil || strings.TrimSpace(rest[at:at+found[0]]) != "" {
				break
			}
			at += found[1]
		}
		if at > 0 && len(joined) > 0 {
			joined[len(joined)-1] += rest[:at]
			part = rest[at:]
		}
		if strings.Trim(part, " \t.") != "" {
			joined = append(joined, part)
		}
	}
	return joined
}

func (c *Claim) weigh(statement, sources string) {
	c.Support = newWordSet(statement).share(sources)
	c.figures = true
	have := map[string]bool{}
	for _, n := range number.FindAllString(sources, -1) {
		have[strings.ReplaceAll(n, ",", "")] = true
	}
	for _, n := range number.FindAllString(statement, -1) {
		if !have[strings.ReplaceAll(n, ",", "")] {
			c.figures = false
		}
	}
}
