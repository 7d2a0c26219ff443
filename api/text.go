package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/labstack/echo/v4"

	"millrace/jobs/invalid"
)

// The bounds of a JSON body, which hold before it is decoded: decoding takes many times its size.
const (
	maxMembers = 10_000  // of all objects together
	maxValues  = 200_000 // of all objects and lists together
)

// badText says what text is not fit to be stored: Postgres stores no NUL and no invalid UTF-8. "" for
// text that is.
func badText(text string) string {
	switch {
	case strings.IndexByte(text, 0) >= 0:
		return "holds a NUL character"
	case !utf8.ValidString(text):
		return "is not valid UTF-8"
	}
	return ""
}

// textual refuses a request whose path or query holds what is not text, whatever its route is. The texts
// of bodies are checked where they are read: JSON in checkJSON, forms in textualForm and the readers of
// multipart forms.
func textual(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if bad := badText(c.Request().URL.Path); bad != "" {
			return problem(http.StatusBadRequest, "The path is not valid.", invalid.FieldError{Field: "path", Message: bad})
		}
		values, err := url.ParseQuery(c.Request().URL.RawQuery)
		if err != nil {
			return problem(http.StatusBadRequest, "The query is not valid.", invalid.FieldError{Field: "query", Message: "has an escape that cannot be read, or a semicolon"})
		}
		if err := textualValues(values, "The query is not valid."); err != nil {
			return err
		}
		return next(c)
	}
}

func textualValues(values url.Values, detail string) error {
	for name, given := range values {
		if bad := badText(name); bad != "" {
			return problem(http.StatusBadRequest, detail, invalid.FieldError{Field: strings.ToValidUTF8(name, "\uFFFD"), Message: "has a name that " + bad})
		}
		for _, value := range given {
			if bad := badText(value); bad != "" {
				return problem(http.StatusBadRequest, detail, invalid.FieldError{Field: name, Message: bad})
			}
		}
	}
	return nil
}

// textualForm checks the values of a URL-encoded form. The handler may read the body again.
func textualForm(c echo.Context) error {
	kind, _, _ := mime.ParseMediaType(c.Request().Header.Get(echo.HeaderContentType))
	if kind != echo.MIMEApplicationForm {
		return nil
	}
	body, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return bodyError(err)
	}
	c.Request().Body = io.NopCloser(bytes.NewReader(body))
	// curl -d says that its body is a form. A body of JSON is its decoder's to check.
	if text := bytes.TrimLeft(body, " \t\r\n"); len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		return nil
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return unreadForm()
	}
	return textualValues(values, "The form is not valid.")
}

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
