// Package pinedoc says of a Pine script what the knowledge base keeps of it, by the front end that also
// compiles scripts into strategies: there is one parser of the language.
package pinedoc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"millrace/jobs/knowledge"
	"millrace/jobs/knowledge/extract"
	"millrace/jobs/pine"
	"millrace/jobs/pine/syntax"
)

// The versions of Pine Script that there are.
const oldest, newest = 1, 6

// maxLines is the length over which lint suggests a library.
const maxLines = 500

// Bounds on what is kept of one script.
const (
	maxFindings = 200
	maxRefusals = 20
	maxInputs   = 1000
)

// Read reads a script. Lint: E001 no version, E002 a version that does not exist, E003 no declaration,
// W002 lookahead_on, W003 a bare security(), I001 export outside a library, I002 over 500 lines.
func Read(source string) extract.PineFacts {
	r := reader{}
	script, _ := syntax.Parse(source)
	if len(source) <= syntax.MaxSourceBytes { // of a longer one nothing is parsed
		r.version(script)
		r.declaration(script)
		r.walk(script.Body)
		if r.Declaration != "library" {
			for _, at := range script.Exports {
				r.find("I001", at, "export has a meaning in a library only")
			}
		}
	}
	if lines := strings.Count(strings.TrimRight(source, "\n"), "\n") + 1; lines > maxLines {
		r.find("I002", syntax.Pos{}, fmt.Sprintf("the script has %d lines: over %d a library is easier to keep", lines, maxLines))
	}
	slices.SortStableFunc(r.Lint, func(a, b extract.PineFinding) int { return a.Line - b.Line })
	program, diags := pine.Compile(source)
	r.Tunable = program != nil
	for _, d := range diags {
		if program == nil && d.Severity == syntax.Error && len(r.Refusals) < maxRefusals {
			r.Refusals = append(r.Refusals, extract.PineFinding{Code: d.Code, Line: d.Line, Column: d.Column, Message: d.Message, Advice: d.Advice})
		}
	}
	return r.PineFacts
}

type reader struct{ extract.PineFacts }

func (r *reader) find(code string, at syntax.Pos, message string) {
	if len(r.Lint) < maxFindings {
		r.Lint = append(r.Lint, extract.PineFinding{Code: code, Line: int(at.Line), Message: message})
	}
}

func (r *reader) version(s *syntax.Script) {
	if s.Named == "" {
		r.find("E001", syntax.Pos{}, "no //@version line: the script would run as version 1")
		return
	}
	if n, err := strconv.Atoi(s.Named); err == nil && n >= oldest && n <= newest {
		r.Version = n
		return
	}
	r.find("E002", s.VersionAt, "version "+strconv.Quote(knowledge.Line(s.Named, 20))+" does not exist: 1 to 6 do")
}

// declaration finds the call that says what the script is.
func (r *reader) declaration(s *syntax.Script) {
	for _, stmt := range s.Body {
		x, ok := stmt.(*syntax.ExprStmt)
		if !ok {
			continue
		}
		call, ok := x.X.(*syntax.Call)
		if !ok {
			continue
		}
		switch name := nameOf(call.Fun); name {
		case "indicator", "strategy", "library", "study":
			r.Declaration = name
			if title, ok := argument(call, "title", 0).(*syntax.Text); ok {
				r.Title = title.Value
			}
			return
		}
	}
	r.find("E003", syntax.Pos{}, "no indicator(), strategy() or library() declares the script")
}

// input keeps a declared input.
func (r *reader) input(d *syntax.Decl) {
	call, ok := d.Value.(*syntax.Call)
	if !ok || len(r.Inputs) == maxInputs {
		return
	}
	kind, ok := strings.CutPrefix(nameOf(call.Fun), "input")
	if !ok || kind != "" && kind[0] != '.' {
		return
	}
	in := extract.PineInput{Name: d.Name, Type: strings.TrimPrefix(kind, "."), Line: int(d.Pos.Line)}
	in.Default = knowledge.Line(written(argument(call, "defval", 0)), 100)
	if title, ok := argument(call, "title", 1).(*syntax.Text); ok {
		in.Title = knowledge.Line(title.Value, 200)
	}
	in.Min, in.Max, in.Step = written(argument(call, "minval", -1)), written(argument(call, "maxval", -1)), written(argument(call, "step", -1))
	r.Inputs = append(r.Inputs, in)
}

// argument is a call's argument of that name, or at that place; nil when it has none.
func argument(call *syntax.Call, name string, place int) syntax.Expr {
	for i, a := range call.Args {
		if a.Name == name || a.Name == "" && i == place {
			return a.Value
		}
	}
	return nil
}

// nameOf is a name with its prefix, as in input.int; "" of anything else.
func nameOf(x syntax.Expr) string {
	switch x := x.(type) {
	case *syntax.Ident:
		return x.Name
	case *syntax.Member:
		if prefix := nameOf(x.X); prefix != "" {
			return prefix + "." + x.Name
		}
	}
	return ""
}
