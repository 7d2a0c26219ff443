package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// askCmd is the verb `ask`: an answer with its citations, or passages alone.
type askCmd struct {
	clientFlags
	Question []string `arg:"" help:"What to ask."`
	Passages bool     `help:"Print the passages found instead of an answer."`
	TopK     int      `name:"top-k" default:"8" help:"Passages to look at, 50 at most."`
	Source   []string `placeholder:"TYPE" help:"Only documents of this source type: pdf, article, youtube, pine, text. Repeatable."`
	Document []string `placeholder:"ID" help:"Only this document. Repeatable."`
	Rerank   bool     `help:"Have the passages judged by the server's reranker."`
	JSON     bool     `help:"Print the answer as JSON, as the API gives it."`
}

// askBody is the body of POST /query.
type askBody struct {
	Question string     `json:"question"`
	Mode     string     `json:"mode"`
	TopK     int        `json:"top_k"`
	Filters  askFilters `json:"filters"`
	Rerank   bool       `json:"rerank"`
}

type askFilters struct {
	SourceTypes []string `json:"source_types,omitempty"`
	DocumentIDs []string `json:"document_ids,omitempty"`
}

// asked is the answer as the API gives it, as far as it is printed.
type asked struct {
	Answer *struct {
		Text      string  `json:"text"`
		Model     string  `json:"model"`
		Error     *string `json:"error"`
		Citations []struct {
			Mark    int    `json:"mark"`
			ChunkID string `json:"chunk_id"`
			askedSource
		} `json:"citations"`
	} `json:"answer"`
	Results []struct {
		Rank    int     `json:"rank"`
		ChunkID string  `json:"chunk_id"`
		Text    string  `json:"text"`
		Fit     float64 `json:"fit"`
		askedSource
	} `json:"results"`
	Search struct {
		Lacking []string `json:"lacking"`
	} `json:"search"`
}

type askedSource struct {
	Title    string `json:"title"`
	URL      string `json:"url"`
	Position string `json:"position"`
}

// String is a source as it is cited: title, place and address.
func (s askedSource) String() string {
	text := s.Title
	if text == "" {
		text = s.URL
	}
	if s.Position != "" {
		text += ", " + s.Position
	}
	if strings.HasPrefix(s.URL, "http") && s.Title != "" {
		text += "  " + s.URL
	}
	return printable(text)
}

// Run asks and prints.
func (c *askCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	raw, err := api.ask(ctx, c.body())
	if err != nil {
		return err
	}
	if c.JSON {
		_, err := env.stdout.Write(append(raw, '\n'))
		return err
	}
	var found asked
	if err := json.Unmarshal(raw, &found); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	printAsked(env.stdout, env.stderr, &found)
	return nil
}

func (c *askCmd) body() askBody {
	body := askBody{
		Question: strings.Join(c.Question, " "), Mode: "answer", TopK: c.TopK, Rerank: c.Rerank,
		Filters: askFilters{SourceTypes: c.Source, DocumentIDs: c.Document},
	}
	if c.Passages {
		body.Mode = "retrieve"
	}
	return body
}

// ask asks the knowledge base. It may be asked again: a question changes nothing.
func (c *client) ask(ctx context.Context, body askBody) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode question: %w", err)
	}
	return c.retry(ctx, func() (*http.Request, error) {
		return c.request(ctx, http.MethodPost, "/query", bytes.NewReader(text))
	})
}

// printAsked prints the answer and what it cites, or the passages; what the server had to do without
// goes to notes.
func printAsked(out, notes io.Writer, found *asked) {
	if answer := found.Answer; answer != nil {
		fmt.Fprintln(out, printableLines(answer.Text))
		if len(answer.Citations) > 0 {
			fmt.Fprintln(out)
		}
		for _, cited := range answer.Citations {
			fmt.Fprintf(out, "[%d] %s  (chunk %s)\n", cited.Mark, cited.askedSource, printable(cited.ChunkID))
		}
		if answer.Error != nil {
			fmt.Fprintln(notes, "note:", printable(*answer.Error))
		}
	} else {
		for _, r := range found.Results {
			fmt.Fprintf(out, "%d. %s  (fit %.2f, chunk %s)\n%s\n\n", r.Rank, r.askedSource, r.Fit, printable(r.ChunkID), printableLines(r.Text))
		}
		if len(found.Results) == 0 {
			fmt.Fprintln(out, "Nothing in the knowledge base matches this question.")
		}
	}
	if len(found.Search.Lacking) > 0 {
		fmt.Fprintln(notes, "note: the search had to do without", printable(strings.Join(found.Search.Lacking, ", ")))
	}
}

// printableLines is printable for text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}
