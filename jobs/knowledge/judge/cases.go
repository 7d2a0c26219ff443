package judge

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"millrace/jobs/knowledge"
)

// Case is a question whose answer is known.
type Case struct {
	Question string `json:"question"`
	// Document is the title or address of the document that answers, or the end of its address; "" for any.
	Document string `json:"document,omitempty"`
	// Phrase is what the passage that answers says, word for word; "" when the whole document answers.
	Phrase    string    `json:"phrase,omitempty"`
	Also      []Another `json:"also,omitempty"`
	OffDomain bool      `json:"off_domain,omitempty"` // nothing in the base answers
	Half      string    `json:"half,omitempty"`       // free: the part of the set that the case is in
}

// Another is a passage that answers as well, named as in a Case, or that is related at least.
type Another struct {
	Document string `json:"document,omitempty"`
	Phrase   string `json:"phrase,omitempty"`
	Grade    int    `json:"grade,omitempty"` // answers (2, which 0 stands for) or is related (1)
}

// answers is the grade of a passage that answers.
const answers = 2

// mostLine bounds a line of a file of cases, in bytes.
const mostLine = 64 << 10

// Read reads cases, one JSON object a line. An error names the line.
func Read(r io.Reader) ([]Case, error) {
	var cases []Case
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, mostLine)
	n := 0
	for lines.Scan() {
		n++
		line := lines.Bytes()
		if n == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff")) // as some editors begin a file
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var c Case
		// It refuses a member that is there twice, what follows the object, and text that is not UTF-8.
		if err := json.Unmarshal(line, &c, json.RejectUnknownMembers(true)); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if err := c.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		c.Question = knowledge.Composed(c.Question) // as the API does it
		cases = append(cases, c)
	}
	err := lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		err = fmt.Errorf("is longer than %d bytes", mostLine)
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return cases, nil
}

func (c Case) check() error {
	switch {
	case strings.TrimSpace(c.Question) == "":
		return fmt.Errorf("question is empty")
	case strings.ContainsRune(c.Question, 0):
		return fmt.Errorf("question holds a NUL")
	case blank(c.Document), blank(c.Phrase):
		return fmt.Errorf("document and phrase are words, or left out: white space is in every passage")
	case c.OffDomain && (c.Document != "" || c.Phrase != "" || len(c.Also) > 0):
		return fmt.Errorf("a question that is off_domain has neither document nor phrase")
	case !c.OffDomain && c.Document == "" && c.Phrase == "":
		return fmt.Errorf("name the document or the phrase that answers, or set off_domain")
	}
	for i, a := range c.Also {
		if strings.TrimSpace(a.Document+a.Phrase) == "" || blank(a.Document) || blank(a.Phrase) || a.Grade < 0 || a.Grade > answers {
			return fmt.Errorf("also[%d]: name the document or the phrase, and a grade of 1 (related) or 2 (answers)", i)
		}
	}
	return nil
}

// blank reports whether a text is there and says nothing.
func blank(text string) bool { return text != "" && strings.TrimSpace(text) == "" }

// grade is how far a passage answers the question: 2 when it does, 1 when it is related, 0 when neither.
func (c Case) grade(p knowledge.Passage) int {
	best := 0
	for _, a := range c.named() {
		if a.Grade > best && (a.Document == "" || p.Title == a.Document || strings.HasSuffix(p.URL, a.Document)) &&
			(a.Phrase == "" || holds(p.Text, a.Phrase)) {
			best = a.Grade
		}
	}
	return best
}

// named are all passages that the case names, with their grades.
func (c Case) named() []Another {
	all := []Another{{c.Document, c.Phrase, answers}}
	for _, a := range c.Also {
		a.Grade = cmp.Or(a.Grade, answers)
		all = append(all, a)
	}
	return all
}

// answered reports whether a text has one of the phrases that answer.
func (c Case) answered(text string) bool {
	return slices.ContainsFunc(c.named(), func(a Another) bool {
		return a.Grade == answers && a.Phrase != "" && holds(text, a.Phrase)
	})
}

// holds reports whether a text has a phrase, in any case and however its lines are broken.
func holds(text, phrase string) bool {
	return strings.Contains(plain(text), plain(phrase))
}

func plain(text string) string { return strings.Join(strings.Fields(strings.ToLower(text)), " ") }
