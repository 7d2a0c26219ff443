package console

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
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

// marked is the answer with each mark, such as [2], as a link to its passage.
func (f *found) marked() template.HTML {
	if f.Answer == nil {
		return ""
	}
	text := template.HTMLEscapeString(f.Answer.Text)
	var links []string
	for _, cite := range f.Answer.Citations {
		mark := "[" + strconv.Itoa(cite.Mark) + "]"
		links = append(links, mark, `<a class="cite" href="#chunk-`+template.HTMLEscapeString(cite.ChunkID)+`">`+mark+`</a>`)
	}
	text = strings.NewReplacer(links...).Replace(text)
	return template.HTML(strings.ReplaceAll(text, "\n", "<br>"))
}
