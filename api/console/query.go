package console

import (
	"cmp"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// passage is a found piece of a document as the API answers it.
type passage struct {
	Rank       int     `json:"rank"`
	ChunkID    string  `json:"chunk_id"`
	SourceType string  `json:"source_type"`
	Title      string  `json:"title"`
	URL        string  `json:"url"`
	Position   string  `json:"position"`
	Text       string  `json:"text"`
	Fit        float64 `json:"fit"`
}

// Link is where the passage can be read, when that is an address a browser may follow.
func (p passage) Link() string {
	to, err := url.Parse(p.URL)
	if err != nil || to.Scheme != "http" && to.Scheme != "https" {
		return ""
	}
	return p.URL
}

// citation ties a mark of an answer to the passage it stands for.
type citation struct {
	Mark    int    `json:"mark"`
	ChunkID string `json:"chunk_id"`
}

// found is what the knowledge base answered.
type found struct {
	Question string `json:"question"`
	Answer   *struct {
		Text      string     `json:"text"`
		Citations []citation `json:"citations"`
		Model     string     `json:"model"`
		Provider  string     `json:"provider"`
		LatencyMS float64    `json:"latency_ms"`
		Degraded  bool       `json:"degraded"`
		Error     *string    `json:"error"`
	} `json:"answer"`
	Results []passage `json:"results"`
	Search  struct {
		Model     string   `json:"model"`
		Lexical   bool     `json:"lexical"`
		Degraded  bool     `json:"degraded"`
		Lacking   []string `json:"lacking"`
		TimingsMS struct {
			Total float64 `json:"total"`
		} `json:"timings_ms"`
	} `json:"search"`
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
