package console

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"millrace/api/types"
)

// passage is a found piece of a document.
type passage struct{ types.Match }

// Link is where the passage can be read, when that is an address a browser may follow.
func (p passage) Link() string { return link(p.URL) }

// link is an address that a browser may follow, or "".
func link(address string) string {
	to, err := url.Parse(address)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" {
		return ""
	}
	return address
}

// found is what the knowledge base answered.
type found struct {
	types.Query
	Results []passage `json:"results"`
}

// Ask handles GET and POST /admin/query. A question is posted, so that it is in no log of addresses.
func (p *Pages) Ask(c echo.Context) error {
	v, err := p.page(c, "Ask", "Ask")
	if err != nil || v.Workspace == nil {
		return p.orEmpty(c, v, "query", err)
	}
	data := struct {
		Question, Mode string
		Found          *found
		Answer         template.HTML
	}{Mode: "answer"}
	status := http.StatusOK
	if c.Request().Method == http.MethodPost {
		data.Question, data.Mode = strings.TrimSpace(c.FormValue("question")), cmp.Or(c.FormValue("mode"), "answer")
		answer, err := p.post(c, v, "/query", "", map[string]any{"question": data.Question, "mode": data.Mode})
		if err != nil {
			if v.Problem, err = refused(err); err != nil {
				return err
			}
			status = v.Problem.Status
		} else {
			data.Found = &found{}
			if err := answer.into(data.Found); err != nil {
				return err
			}
			data.Answer = data.Found.marked()
		}
	}
	v.Data = data
	return p.render(c, status, "query", v)
}

// Nearest reports whether the passages are only the nearest there are: none is about the question.
func (f *found) Nearest() bool { return f.Covered != nil && !*f.Covered && len(f.Results) > 0 }

// Mark is what the answer cites a passage by, as in [2]; "" when it does not.
func (f *found) Mark(p passage) string {
	if f.Answer != nil {
		for _, cite := range f.Answer.Citations {
			if cite.ChunkID == p.ChunkID {
				return markOf(cite)
			}
		}
	}
	return ""
}

func markOf(cite types.Citation) string { return "[" + strconv.Itoa(cite.Mark) + "]" }

// quotation is a line of an answer that quotes, and its mark.
var quotation = regexp.MustCompile(`^(“.*”) (\[\d+\])$`)

// marked is the answer with each mark, such as [2], as a link to its passage. Within a quotation brackets are the source's own.
func (f *found) marked() template.HTML {
	if f.Answer == nil {
		return ""
	}
	var links []string
	for _, cite := range f.Answer.Citations {
		links = append(links, markOf(cite), `<a class="cite" href="#chunk-`+template.HTMLEscapeString(cite.ChunkID)+`">`+markOf(cite)+`</a>`)
	}
	link := strings.NewReplacer(links...)
	lines := strings.Split(f.Answer.Text, "\n")
	for i, line := range lines {
		if parts := quotation.FindStringSubmatch(line); parts != nil {
			lines[i] = "<bdi>" + template.HTMLEscapeString(parts[1]) + "</bdi> " + link.Replace(parts[2])
		} else {
			lines[i] = link.Replace(template.HTMLEscapeString(line))
		}
	}
	return template.HTML(strings.Join(lines, "<br>"))
}
