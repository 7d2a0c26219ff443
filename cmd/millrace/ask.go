package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"millrace/api/types"
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

// source is a passage's document as it is cited: title, place and address.
func source(title, url, position string) string {
	text := title
	if text == "" {
		text = url
	}
	if position != "" {
		text += ", " + position
	}
	if strings.HasPrefix(url, "http") && title != "" {
		text += "  " + url
	}
	return printable(text)
}

// Run asks and prints.
func (c *askCmd) Run(ctx context.Context, env *environment) error {
	api, err := c.open()
	if err != nil {
		return err
	}
	answer, err := api.Query(ctx, c.body())
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.stdout, answer)
	}
	printAnswer(env.stdout, env.stderr, answer)
	return nil
}

func (c *askCmd) body() types.QueryRequest {
	body := types.QueryRequest{
		Question: strings.Join(c.Question, " "), Mode: "answer", TopK: &c.TopK, Rerank: c.Rerank,
		Filters: types.QueryFilters{DocumentIDs: c.Document},
	}
	for _, s := range c.Source {
		body.Filters.SourceTypes = append(body.Filters.SourceTypes, types.SourceType(s))
	}
	if c.Passages {
		body.Mode = "retrieve"
	}
	return body
}

// printAnswer prints the answer and what it cites, or the passages; what the server had to do without
// goes to notes.
func printAnswer(out, notes io.Writer, found *types.Query) {
	if answer := found.Answer; answer != nil {
		fmt.Fprintln(out, printableLines(answer.Text))
		if len(answer.Citations) > 0 {
			fmt.Fprintln(out)
		}
		for _, cited := range answer.Citations {
			fmt.Fprintf(out, "[%d] %s  (chunk %s)\n", cited.Mark, source(cited.Title, cited.URL, cited.Position), printable(cited.ChunkID))
		}
		if answer.Error != nil {
			fmt.Fprintln(notes, "note:", printable(*answer.Error))
		}
	} else {
		for _, r := range found.Results {
			fmt.Fprintf(out, "%d. %s  (fit %.2f, chunk %s)\n%s\n\n", r.Rank, source(r.Title, r.URL, r.Position), r.Fit, printable(r.ChunkID), printableLines(r.Text))
		}
		if len(found.Results) == 0 {
			fmt.Fprintln(out, "Nothing in the knowledge base matches this question.")
		} else if found.Covered != nil && !*found.Covered {
			fmt.Fprintln(notes, "note: none of them is clearly about the question")
		}
	}
	if len(found.Search.Lacking) > 0 {
		fmt.Fprintln(notes, "note: the search had to do without", printable(lackingText(found.Search.Lacking)))
	}
}

// lackingText has "vectors_rate_limit" read "vectors (rate limit)".
func lackingText(codes []string) string {
	texts := make([]string, len(codes))
	for i, code := range codes {
		part, why, _ := strings.Cut(code, "_")
		texts[i] = part + " (" + strings.ReplaceAll(why, "_", " ") + ")"
	}
	return strings.Join(texts, ", ")
}

// printableLines is printable for text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = printable(line)
	}
	return strings.Join(lines, "\n")
}
