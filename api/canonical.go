package api

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"millrace/jobs/invalid"
)

const (
	maxDepth    = 64  // of nesting; the deepest request has 6
	maxNumber   = 256 // characters of a number
	maxExponent = 6   // digits of a number's exponent
	maxParts    = 100 // of a form
)

// fingerprint is the SHA-256 of a JSON body's canonical form.
func fingerprint(body []byte) ([32]byte, error) {
	if err := checkJSON(body); err != nil {
		return [32]byte{}, err
	}
	form, err := canonical(body)
	if err != nil {
		return [32]byte{}, err
	}
	return sha256.Sum256(form), nil
}

// canonical is a body's canonical form: that of RFC 8785 but for its numbers, which are kept exactly.
// RFC 8785 rounds them to double precision, in which two seeds of 64 bits can be the same.
func canonical(body []byte) ([]byte, error) {
	if form, ok := plainForm(body); ok {
		return form, nil
	}
	return anyForm(body)
}

// anyForm is the canonical form of any body, or what is wrong with it.
func anyForm(body []byte) ([]byte, error) {
	in := jsontext.NewDecoder(bytes.NewReader(body)) // refuses duplicate names and invalid UTF-8
	var plain bytes.Buffer
	out := jsontext.NewEncoder(&plain)
	for complete := false; ; {
		token, err := in.ReadToken()
		switch {
		case errors.Is(err, io.EOF) && complete:
			return sorted(plain.Bytes())
		case err != nil:
			return nil, malformed(err)
		case complete:
			return nil, malformedAt(in, "holds more than one value", nil)
		case in.StackDepth() > maxDepth:
			return nil, malformedAt(in, "is nested too deeply", maxDepth)
		case token.Kind() == '0':
			exact, ok := exactNumber(token.String())
			if !ok {
				return nil, malformedAt(in, "is a number of too many digits", maxNumber)
			}
			err = out.WriteValue(jsontext.Value(exact))
		default:
			err = out.WriteToken(token)
		}
		if err != nil {
			return nil, malformed(err)
		}
		complete = in.StackDepth() == 0
	}
}

// sorted puts the members of every object in order. It copies the value once for each level of
// nesting, of which there are few.
func sorted(plain []byte) ([]byte, error) {
	value := jsontext.Value(plain)
	if err := value.Format(jsontext.ReorderRawObjects(true)); err != nil {
		return nil, malformed(err)
	}
	return value, nil
}

func malformedAt(in *jsontext.Decoder, message string, limit any) error {
	return problem(http.StatusBadRequest, "The body is not the JSON that this request takes.",
		invalid.FieldError{Field: pointed(in.StackPointer()), Message: message, Limit: limit})
}

// exactNumber writes equal numbers alike, as a whole number times a power of ten, without rounding.
func exactNumber(text string) (string, bool) {
	if len(text) > maxNumber {
		return "", false
	}
	text, negative := strings.CutPrefix(text, "-")
	mantissa, power, _ := strings.Cut(strings.ToLower(text), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return "0", true
	}
	exponent := 0
	if power != "" {
		var err error
		if exponent, err = strconv.Atoi(power); err != nil || len(strings.TrimLeft(power, "+-0")) > maxExponent {
			return "", false
		}
	}
	trimmed := strings.TrimRight(digits, "0")
	exponent += len(digits) - len(trimmed) - len(fraction)
	if negative {
		trimmed = "-" + trimmed
	}
	if exponent == 0 {
		return trimmed, true
	}
	return trimmed + "e" + strconv.Itoa(exponent), true
}

// formFingerprint is the SHA-256 of a form's parts in order of name: the boundary, which every client
// draws again, does not matter.
func formFingerprint(body []byte, boundary string) ([32]byte, error) {
	bad := func(message string) ([32]byte, error) {
		return [32]byte{}, problem(http.StatusBadRequest, "The form could not be read.",
			invalid.FieldError{Field: "body", Message: message, Limit: maxParts})
	}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	var lines []string
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bad("is not multipart/form-data")
		}
		if len(lines) == maxParts {
			return bad("has too many parts")
		}
		content := sha256.New()
		if _, err := io.Copy(content, part); err != nil {
			return bad("is not multipart/form-data")
		}
		lines = append(lines, fmt.Sprintf("%q %q %x", part.FormName(), part.FileName(), content.Sum(nil)))
	}
	if len(lines) == 0 {
		return bad("has no parts")
	}
	slices.Sort(lines)
	return sha256.Sum256([]byte(strings.Join(lines, "\n"))), nil
}
