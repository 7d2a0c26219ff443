package api

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"millrace/jobs/invalid"
)

// The bounds of a JSON body, which hold before it is decoded: decoding takes many times its size.
const (
	maxMembers = 10_000  // of all objects together
	maxValues  = 200_000 // of all objects and lists together
)

// checkJSON bounds a body before anything is made of it, in one pass that allocates nothing: its depth, its
// members and its values. It refuses texts that hold a NUL, which JSON may escape; invalid UTF-8 is refused
// by the decoder. What is not JSON at all is the decoder's to say.
func checkJSON(body []byte) error {
	depth, members, values := 0, 0, 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			end, nul := stringEnd(body, i+1)
			if nul {
				return nulProblem(body)
			}
			i = end
		case '{', '[':
			if depth++; depth > maxDepth {
				return jsonProblem("is nested too deeply", maxDepth)
			}
		case '}', ']':
			depth--
		case ':':
			if members++; members > maxMembers {
				return jsonProblem(fmt.Sprintf("has over %d members", maxMembers), maxMembers)
			}
		case ',':
			if values++; values > maxValues {
				return jsonProblem(fmt.Sprintf("has over %d values", maxValues), maxValues)
			}
		}
	}
	return nil
}

func jsonProblem(message string, limit int) error {
	return problem(http.StatusBadRequest, "The body is not the JSON that this request takes.",
		invalid.FieldError{Field: "body", Message: message, Limit: limit})
}

// stringEnd is where the text that begins at i ends, and whether it holds an escaped NUL.
func stringEnd(body []byte, i int) (end int, nul bool) {
	for ; i < len(body); i++ {
		switch body[i] {
		case '"':
			return i, nul
		case '\\':
			nul = nul || bytes.HasPrefix(body[i+1:], []byte("u0000"))
			i++
		}
	}
	return i, nul
}

// nulProblem finds the field that holds the NUL.
func nulProblem(body []byte) error {
	in := jsontext.NewDecoder(bytes.NewReader(body))
	for {
		token, err := in.ReadToken()
		var syntax *jsontext.SyntacticError
		switch {
		case errors.As(err, &syntax):
			return malformed(err)
		case err != nil:
			return jsonProblem("holds a NUL character", 0)
		case token.Kind() == '"' && strings.IndexByte(token.String(), 0) >= 0:
			field := strings.ReplaceAll(pointed(in.StackPointer()), "\x00", "\uFFFD")
			return problem(http.StatusBadRequest, "The body is not the JSON that this request takes.",
				invalid.FieldError{Field: field, Message: "holds a NUL character"})
		}
	}
}

// clipped is text as answers repeat it: what the caller sent may be megabytes, and not even text.
func clipped(text string, most int) string {
	if len(text) > most {
		text = text[:most] + "…"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}
