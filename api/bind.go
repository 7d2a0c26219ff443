package api

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"millrace/api/types"
	"millrace/jobs/invalid"
	"millrace/store"
)

// bind reads the JSON body of a request that creates nothing.
func bind(c echo.Context, into any) error {
	body, err := io.ReadAll(c.Request().Body)
	if err != nil {
		return bodyError(err)
	}
	if err := checkJSON(body); err != nil {
		return err
	}
	if body, err = withoutWorkspace(c, body); err != nil {
		return err
	}
	return decode(body, into)
}

// decode reads a body strictly: unknown and duplicate members, invalid UTF-8 and NULs are errors.
func decode(body []byte, into any) error {
	if err := checkJSON(body); err != nil {
		return err
	}
	if err := json.Unmarshal(body, into, json.RejectUnknownMembers(true)); err != nil {
		return malformed(err)
	}
	return nil
}

func malformed(err error) error {
	field := "body"
	var semantic *json.SemanticError
	var syntactic *jsontext.SyntacticError
	message := err.Error()
	switch {
	case errors.As(err, &semantic):
		field = pointed(semantic.JSONPointer)
		switch {
		case errors.Is(err, json.ErrUnknownName):
			message = "is not a member of this request"
		case errors.Is(err, strconv.ErrSyntax):
			message = "must be a whole number without exponent or point"
		case errors.Is(err, strconv.ErrRange):
			message = "is beyond the numbers that can be held"
		case semantic.Err != nil:
			message = semantic.Err.Error()
		default:
			message = fmt.Sprintf("cannot be a JSON %v", semantic.JSONKind)
		}
	case errors.As(err, &syntactic):
		field = pointed(syntactic.JSONPointer)
		message = fmt.Sprintf("%v at byte %d", syntactic.Err, syntactic.ByteOffset)
	}
	return problem(http.StatusBadRequest, "The body is not the JSON that this request takes.",
		invalid.FieldError{Field: field, Message: message})
}

// pointed is a JSON pointer as problems name fields.
func pointed(at jsontext.Pointer) string {
	if at == "" {
		return "body"
	}
	var names []string
	for name := range at.Tokens() {
		if name == "" {
			name = `""` // a member may be called so
		}
		names = append(names, name)
	}
	return strings.Join(names, ".")
}

// bodyError keeps the error of a body over its limits, and calls any other a broken request.
func bodyError(err error) error {
	var tooLarge *http.MaxBytesError
	var known *problemError
	if errors.As(err, &tooLarge) || errors.As(err, &known) {
		return err
	}
	return problem(http.StatusBadRequest, "The body could not be read.",
		invalid.FieldError{Field: "body", Message: "ends too early, or is not of the form that its Content-Type says"})
}

func unreadForm() error {
	return problem(http.StatusBadRequest, "The form could not be read.",
		invalid.FieldError{Field: "body", Message: "is not of the form that its Content-Type says"})
}

// writeJSON renders a value; members keep the order of their struct.
func writeJSON(c echo.Context, status int, contentType string, value any) error {
	body, err := json.Marshal(value, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return c.Blob(status, contentType, body)
}

func ok(c echo.Context, value any) error {
	return writeJSON(c, http.StatusOK, "application/json", value)
}

// pathID reads the id in the path. Text that is not an id cannot name anything of this workspace: it is not found.
func pathID(c echo.Context) (uuid.UUID, error) {
	id, err := uuid.Parse(c.Param("id"))
	if err != nil {
		return id, fmt.Errorf("id: %w", store.ErrNotFound)
	}
	return id, nil
}

// queryInt reads a bounded integer of the query.
func queryInt(c echo.Context, name string, def, low, high int) (int, error) {
	text := c.QueryParam(name)
	if text == "" {
		return def, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, problem(http.StatusBadRequest, "The query is not valid.",
			invalid.FieldError{Field: name, Message: fmt.Sprintf("must be a whole number from %d to %d", low, high), Limit: []int{low, high}})
	}
	return n, nil
}

func badCursor() error {
	return problem(http.StatusBadRequest, "The query is not valid.",
		invalid.FieldError{Field: "cursor", Message: "is not a cursor of this list"})
}

// packCursor and unpackCursor make a list's place opaque.
func packCursor(parts ...string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(parts, "\n")))
}

func unpackCursor(text string, n int) ([]string, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	parts := strings.Split(string(raw), "\n")
	if err != nil || len(parts) != n {
		return nil, badCursor()
	}
	return parts, nil
}

// cursorInt reads a number of a cursor: one from low up that a column of integers can hold.
func cursorInt(part string, low int) (int, error) {
	n, err := strconv.ParseInt(part, 10, 32)
	if err != nil || int(n) < low {
		return 0, badCursor()
	}
	return int(n), nil
}

// queryPage reads the cursor of a list that is ordered newest first.
func queryPage(c echo.Context) (store.Page, error) {
	var page store.Page
	text := c.QueryParam("cursor")
	if text == "" {
		return page, nil
	}
	parts, err := unpackCursor(text, 2)
	if err != nil {
		return page, err
	}
	at, timeErr := time.Parse(time.RFC3339Nano, parts[0])
	id, idErr := uuid.Parse(parts[1])
	if timeErr != nil || idErr != nil {
		return page, badCursor()
	}
	return store.Page{Before: at, BeforeID: id}, nil
}

func pageCursor(at time.Time, id uuid.UUID) string {
	return packCursor(at.UTC().Format(time.RFC3339Nano), id.String())
}

// paged cuts the item read beyond the limit off, and makes a cursor of the last that is left.
func paged[T any](items []T, limit int, cursor func(T) string) types.List[T] {
	page := types.List[T]{Items: append([]T{}, items...)}
	if len(items) > limit {
		page.Items = page.Items[:limit]
		next := cursor(page.Items[limit-1])
		page.NextCursor = &next
	}
	return page
}
