package types

import (
	"os"
	"strings"
	"testing"
)

const (
	manual = "../../../ops/docs/pine.md"
	begins = "<!-- written by go test ./jobs/pine/types with MILLRACE_WRITE_DOCS=1 -->\n"
	ends   = "<!-- end of what is written -->\n"
)

// The manual names what the tables name. With MILLRACE_WRITE_DOCS=1 the test writes it.
func TestTheManualListsTheTables(t *testing.T) {
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), begins)
	written, after, ended := strings.Cut(rest, ends)
	if !found || !ended {
		t.Fatalf("%s has no place for the tables", manual)
	}
	if os.Getenv("MILLRACE_WRITE_DOCS") == "1" {
		if err := os.WriteFile(manual, []byte(before+begins+Document()+ends+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if written != Document() {
		t.Errorf("%s is not what the tables say: run MILLRACE_WRITE_DOCS=1 go test ./jobs/pine/types", manual)
	}
}

func TestEveryRefusalSaysWhatToDo(t *testing.T) {
	for _, r := range refusals {
		if r.Message == "" || r.Advice == "" {
			t.Errorf("%s: %+v", r.name, r.Refusal)
		}
	}
}
