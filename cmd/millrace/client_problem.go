package main

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"
)

// problem is an error answer of the API (RFC 9457).
type problem struct {
	Title    string         `json:"title"`
	Status   int            `json:"status"`
	Detail   string         `json:"detail"`
	Instance string         `json:"instance"`
	Errors   []problemField `json:"errors"`
}

type problemField struct {
	Field   string          `json:"field"`
	Message string          `json:"message"`
	Limit   json.RawMessage `json:"limit"`
}

// readProblem reads an answer that is not a success.
func readProblem(resp *http.Response) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	p := &problem{}
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || kind != "application/problem+json" || json.Unmarshal(body, p) != nil {
		p = &problem{Detail: strings.TrimSpace(string(body[:min(len(body), 200)]))}
	}
	p.Status = resp.StatusCode
	if p.Title == "" {
		p.Title = http.StatusText(resp.StatusCode)
	}
	return p
}

// Error prints the problem and each field at fault on a line of its own.
func (p *problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %s", p.Status, printable(p.Title))
	if p.Detail != "" {
		fmt.Fprintf(&b, ": %s", printable(p.Detail))
	}
	for _, f := range p.Errors {
		fmt.Fprintf(&b, "\n  %s: %s", printable(f.Field), printable(f.Message))
		if limit := limitText(f.Limit); limit != "" {
			fmt.Fprintf(&b, " (limit: %s)", limit)
		}
	}
	if p.Status >= 500 && p.Instance != "" {
		fmt.Fprintf(&b, "\n  %s", printable(p.Instance))
	}
	return b.String()
}

// limitText renders a limit: a number, a text, or a list of the values allowed.
func limitText(raw json.RawMessage) string {
	var v any
	if len(raw) == 0 || json.Unmarshal(raw, &v) != nil || v == nil {
		return ""
	}
	if list, ok := v.([]any); ok {
		texts := make([]string, len(list))
		for i, item := range list {
			texts[i] = fmt.Sprint(item)
		}
		return printable(strings.Join(texts, ", "))
	}
	return printable(strings.Trim(string(raw), `"`))
}

// printable drops control characters: what a server sends must not steer the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
