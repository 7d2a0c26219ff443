package ops

import (
	"regexp"
	"strings"

	"github.com/getsentry/sentry-go"
)

// secretForms are what secrets look like: our keys, bearer tokens, and values that
// are called a key, token, secret or password.
var secretForms = []*regexp.Regexp{
	regexp.MustCompile(`\bmr_[A-Za-z0-9_-]{8,}`),
	regexp.MustCompile(`(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}`),
	regexp.MustCompile(`\bsk-[A-Za-z0-9_-]{8,}`),
	regexp.MustCompile(`(?i)\b(?:api[_-]?key|token|secret|password|authorization|cookie)["']?\s*[=:]\s*["']?[^\s"'&,;}]{4,}`),
}

// Of a URL, the user and what follows the path may open it, as in a signed link.
var (
	urlUsers   = regexp.MustCompile(`://[^\s/@]+@`)
	urlQueries = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s?#"'<>]*)[?#][^\s"'<>]*`)
)

const scrubbed = "[scrubbed]"

// scrubber takes secrets out of what is reported.
type scrubber struct{ known []string }

// NewScrubber returns a function that takes secrets out of a text: the given ones, and what looks like one.
func NewScrubber(secrets []string) func(string) string { return newScrubber(secrets).text }

func newScrubber(secrets []string) *scrubber {
	s := &scrubber{}
	for _, secret := range secrets {
		if len(secret) >= 8 { // anything shorter would scrub words
			s.known = append(s.known, secret)
		}
	}
	return s
}

func (s *scrubber) text(text string) string {
	for _, secret := range s.known {
		text = strings.ReplaceAll(text, secret, scrubbed)
	}
	if plain(text) {
		return text
	}
	text = urlUsers.ReplaceAllString(text, "://"+scrubbed+"@")
	text = urlQueries.ReplaceAllString(text, "$1?"+scrubbed)
	for _, form := range secretForms {
		text = form.ReplaceAllString(text, scrubbed)
	}
	return text
}

// plain reports whether a text is too simple to hold a secret of the forms that are looked for. Most attributes
// of spans are ids and names, and the forms cost more than all else of their export.
func plain(text string) bool {
	return len(text) <= 64 && !strings.ContainsAny(text, " \t\r\n=:@?#") &&
		!strings.Contains(text, "mr_") && !strings.Contains(text, "sk-")
}

// event scrubs all text of an event. What came with the request (headers, cookies, body, address)
// never leaves at all.
func (s *scrubber) event(e *sentry.Event) *sentry.Event {
	e.Request, e.User, e.Breadcrumbs = nil, sentry.User{}, nil
	e.Message, e.Transaction = s.text(e.Message), s.text(e.Transaction)
	for i := range e.Exception {
		e.Exception[i].Value = s.text(e.Exception[i].Value)
		e.Exception[i].Type = s.text(e.Exception[i].Type)
		for _, trace := range []*sentry.Stacktrace{e.Exception[i].Stacktrace} {
			if trace != nil {
				s.frames(trace.Frames)
			}
		}
	}
	for name, value := range e.Tags {
		e.Tags[name] = s.text(value)
	}
	for _, context := range e.Contexts {
		s.values(context)
	}
	for _, span := range e.Spans {
		span.Description = s.text(span.Description)
		s.values(span.Data)
	}
	return e
}

func (s *scrubber) frames(frames []sentry.Frame) {
	for i := range frames {
		frames[i].Vars = nil
		frames[i].ContextLine = s.text(frames[i].ContextLine)
		for _, lines := range [][]string{frames[i].PreContext, frames[i].PostContext} {
			for j := range lines {
				lines[j] = s.text(lines[j])
			}
		}
	}
}

// values scrubs texts in place, however deep they lie.
func (s *scrubber) values(values map[string]any) {
	for name, value := range values {
		switch v := value.(type) {
		case string:
			values[name] = s.text(v)
		case map[string]any:
			s.values(v)
		}
	}
}
