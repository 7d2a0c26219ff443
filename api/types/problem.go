package types

import (
	"fmt"
	"strings"
)

// ProblemError is an error answer, application/problem+json (RFC 9457).
type ProblemError struct {
	Type     string       `json:"type"`
	Title    string       `json:"title"`
	Status   int          `json:"status"` // of HTTP
	Detail   string       `json:"detail,omitempty"`
	Instance string       `json:"instance,omitempty"` // urn:request:ID, which the server's log names too
	Errors   []FieldError `json:"errors,omitempty"`
}

// Error implements error: the title, the detail and every field at fault, on one line.
func (p *ProblemError) Error() string {
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	for i, f := range p.Errors {
		text += strings.Repeat(";", min(i, 1)) + " " + f.String()
	}
	return text
}

// FieldError says what is wrong with one field of a request, and the limit it breaks.
type FieldError struct {
	Field   string `json:"field"`   // its path by the names of the API, such as "account.cash"
	Message string `json:"message"` // reads on from the path: "must be from 1 to 10"
	Limit   any    `json:"limit,omitempty"`
	// Of a script: where the fault is, its code and what to change.
	Line   int    `json:"line,omitempty"` // from 1
	Column int    `json:"column,omitempty"`
	Code   string `json:"code,omitempty"`
	Advice string `json:"advice,omitempty"`
}

// String is the field and what is wrong with it.
func (f FieldError) String() string {
	if f.Line > 0 {
		text := fmt.Sprintf("line %d, column %d: %s %s", f.Line, f.Column, f.Code, f.Message)
		if f.Advice != "" {
			text += "; " + f.Advice
		}
		return text
	}
	return fmt.Sprintf("%s %s", f.Field, f.Message)
}
