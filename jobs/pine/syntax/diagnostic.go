package syntax

import "fmt"

// Pos is a place in the source: both numbers count from 1, columns count characters.
type Pos struct{ Line, Column int32 }

// Before reports whether p stands before q.
func (p Pos) Before(q Pos) bool { return p.Line < q.Line || p.Line == q.Line && p.Column < q.Column }

// Severity says what a diagnostic does to the script.
type Severity string

// Error refuses the script. Warning and Note leave it as it is.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// Diagnostic is one finding about a script. Codes: P1xx syntax, P2xx names and types, P3xx refused
// features, P4xx limits, P5xx run time, P9xx notes.
type Diagnostic struct {
	Line     int      `json:"line"`   // from 1; 0 for the script as a whole
	Column   int      `json:"column"` // from 1, in characters
	Code     string   `json:"code"`
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
	Advice   string   `json:"advice,omitempty"` // what to change
}

// Error implements error.
func (d Diagnostic) Error() string {
	text := fmt.Sprintf("line %d, column %d: %s %s", d.Line, d.Column, d.Code, d.Message)
	if d.Advice != "" {
		text += "; " + d.Advice
	}
	return text
}

// Diagnostics are findings in the order in which they were made.
type Diagnostics []Diagnostic

// HasErrors reports whether one of them refuses the script.
func (ds Diagnostics) HasErrors() bool {
	for i := range ds {
		if ds[i].Severity == Error {
			return true
		}
	}
	return false
}

// maxDiagnostics ends a list that only repeats what the first lines say.
const maxDiagnostics = 50

// Add appends a diagnostic at p, unless the same one is there or the list is full.
func (ds *Diagnostics) Add(p Pos, severity Severity, code, message, advice string) {
	d := Diagnostic{Line: int(p.Line), Column: int(p.Column), Code: code, Severity: severity, Message: message, Advice: advice}
	if len(*ds) >= maxDiagnostics && (severity != Error || ds.HasErrors()) {
		return
	}
	for _, have := range *ds {
		if have == d {
			return
		}
	}
	*ds = append(*ds, d)
}

// quote shortens a piece of source to what a message may hold.
func quote(text string) string {
	const most = 60
	runes := []rune(text)
	if len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
