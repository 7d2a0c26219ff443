package judge

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"millrace/jobs/knowledge"
)

// Case is a question whose answer is known.
type Case struct {
	Question string `json:"question"`
	// Document is the title or address of the document that answers, or the end of its address; "" for any.
	Document string `json:"document,omitempty"`
	// Phrase is what the passage that answers says, word for word; "" when the whole document answers.
	Phrase    string `json:"phrase,omitempty"`
	OffDomain bool   `json:"off_domain,omitempty"` // nothing in the base answers
	Half      string `json:"half,omitempty"`       // free: the part of the set that the case is in
}

// mostLine bounds a line of a file of cases, in bytes.
const mostLine = 64 << 10

// Read reads cases, one JSON object a line. An error names the line.
func Read(r io.Reader) ([]Case, error) {
	var cases []Case
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, mostLine)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var c Case
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&c); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		cases = append(cases, c)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", len(cases)+1, err)
	}
	return cases, nil
}

func (c Case) check() error {
	switch {
	case strings.TrimSpace(c.Question) == "":
		return fmt.Errorf("question is empty")
	case c.OffDomain && (c.Document != "" || c.Phrase != ""):
		return fmt.Errorf("a question that is off_domain has neither document nor phrase")
	case !c.OffDomain && c.Document == "" && c.Phrase == "":
		return fmt.Errorf("name the document or the phrase that answers, or set off_domain")
	}
	return nil
}

// relevant reports whether a passage answers the question.
func (c Case) relevant(p knowledge.Passage) bool {
	return (c.Document == "" || p.Title == c.Document || strings.HasSuffix(p.URL, c.Document)) &&
		(c.Phrase == "" || holds(p.Text, c.Phrase))
}

// holds reports whether a text has a phrase, in any case and however its lines are broken.
func holds(text, phrase string) bool {
	return strings.Contains(plain(text), plain(phrase))
}

func plain(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }
