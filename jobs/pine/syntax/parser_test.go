package syntax

import (
	"strings"
	"testing"
)

// outline spells statements and the shape of expressions, to compare trees as text.
func outline(body []Stmt) string {
	var parts []string
	for _, s := range body {
		parts = append(parts, outlineStmt(s))
	}
	return strings.Join(parts, "; ")
}

func outlineStmt(s Stmt) string {
	switch s := s.(type) {
	case *Decl:
		name := s.Name
		if s.Type != nil {
			name = outlineType(s.Type) + " " + name
		}
		return strings.TrimSpace(s.Mode+" "+name) + " = " + outlineExpr(s.Value)
	case *TupleDecl:
		return "[" + strings.Join(s.Names, ",") + "] = " + outlineExpr(s.Value)
	case *Assign:
		return outlineExpr(s.Target) + " " + s.Op + " " + outlineExpr(s.Value)
	case *ExprStmt:
		return outlineExpr(s.X)
	case *FuncDecl:
		var names []string
		for _, p := range s.Params {
			names = append(names, p.Name)
		}
		return "func " + s.Name + "(" + strings.Join(names, ",") + ") {" + outline(s.Body) + "}"
	case *Break:
		return "break"
	case *TypeDecl:
		return "type " + s.Name
	}
	return "?"
}

func outlineType(t *TypeRef) string {
	name := t.Name
	for _, a := range t.Args {
		name += "<" + outlineType(a) + ">"
	}
	if t.Array {
		name += "[]"
	}
	return name
}

func outlineExpr(x Expr) string {
	switch x := x.(type) {
	case *Number:
		return strings.TrimSuffix(strings.TrimRight(strings.TrimRight(formatNumber(x.Value), "0"), "."), "")
	case *Text:
		return "'" + x.Value + "'"
	case *Bool:
		return map[bool]string{true: "true", false: "false"}[x.Value]
	case *Color:
		return x.Value
	case *Ident:
		return x.Name
	case *Member:
		return outlineExpr(x.X) + "." + x.Name
	case *Index:
		return outlineExpr(x.X) + "[" + outlineExpr(x.I) + "]"
	case *Unary:
		return "(" + x.Op + " " + outlineExpr(x.X) + ")"
	case *Binary:
		return "(" + outlineExpr(x.X) + " " + x.Op + " " + outlineExpr(x.Y) + ")"
	case *Ternary:
		return "(" + outlineExpr(x.Cond) + " ? " + outlineExpr(x.Then) + " : " + outlineExpr(x.Else) + ")"
	case *Call:
		var args []string
		for _, a := range x.Args {
			if a.Name != "" {
				args = append(args, a.Name+"="+outlineExpr(a.Value))
			} else {
				args = append(args, outlineExpr(a.Value))
			}
		}
		name := outlineExpr(x.Fun)
		for _, t := range x.TypeArgs {
			name += "<" + outlineType(t) + ">"
		}
		return name + "(" + strings.Join(args, ", ") + ")"
	case *Tuple:
		var items []string
		for _, i := range x.Items {
			items = append(items, outlineExpr(i))
		}
		return "[" + strings.Join(items, ",") + "]"
	case *If:
		out := "if " + outlineExpr(x.Cond) + " {" + outline(x.Then) + "}"
		if x.Else != nil {
			out += " else {" + outline(x.Else) + "}"
		}
		return out
	case *For:
		return "for " + x.Name + " {" + outline(x.Body) + "}"
	case *ForIn:
		return "for " + x.Key + "," + x.Name + " in " + outlineExpr(x.X) + " {" + outline(x.Body) + "}"
	case *While:
		return "while " + outlineExpr(x.Cond) + " {" + outline(x.Body) + "}"
	case *Switch:
		out := "switch {"
		for _, c := range x.Cases {
			cond := "else"
			if c.Cond != nil {
				cond = outlineExpr(c.Cond)
			}
			out += cond + ": " + outline(c.Body) + " | "
		}
		return out + "}"
	}
	return "?"
}

func formatNumber(v float64) string {
	if v == float64(int(v)) {
		return strings.TrimSpace(strings.Join([]string{itoa(int(v)), ""}, "."))
	}
	return "fraction"
}

func itoa(n int) string {
	if n >= 10 {
		return itoa(n/10) + string(rune('0'+n%10))
	}
	return string(rune('0' + n))
}

func TestTreesOfLayoutAndPrecedence(t *testing.T) {
	for _, c := range []struct{ name, source, want string }{
		{"product binds before sum, not before and", "x = a + b * c > 1 and not d or e", "x = ((((a + (b * c)) > 1) and (not d)) or e)"},
		{"not takes the nearest operand", "x = not a == b", "x = ((not a) == b)"},
		{"minus of a history", "x = -a[1]", "x = (- a[1])"},
		{"ternaries chain to the right", "x = a ? 1 : b ? 2 : 3", "x = (a ? 1 : (b ? 2 : 3))"},
		{"a line of odd indentation continues", "x = a +\n     b", "x = (a + b)"},
		{"a line of odd indentation continues a finished one", "x = a\n  + b", "x = (a + b)"},
		{"brackets continue whatever the indentation", "f(a,\n    b,\nc)", "f(a, b, c)"},
		{"else if nests", "if a\n    b\nelse if c\n    d\nelse\n    e", "if a {b} else {if c {d} else {e}}"},
		{"a block is a value", "x = if a\n    1\nelse\n    2\ny = 3", "x = if a {1} else {2}; y = 3"},
		{"a tab is a level", "if a\n\tb\n\tc", "if a {b; c}"},
		{"two statements on a line", "a = 1, b = 2", "a = 1; b = 2"},
		{"function on one line", "f(x, y) => x + y", "func f(x,y) {(x + y)}"},
		{"function with a block", "f(int x, float y = 2) =>\n    z = x\n    z * y", "func f(x,y) {z = x; (z * y)}"},
		{"tuple", "[a, b] = f()", "[a,b] = f()"},
		{"typed declarations", "var float[] x = na\nmap<string, float> m = na\nseries int k = 1", "var float[] x = na; map<string><float> m = na; int k = 1"},
		{"generic call beside a comparison", "a = array.new<float>(3)\nb = array.size < 3", "a = array.new<float>(3); b = (array.size < 3)"},
		{"loops", "for i = 0 to 3\n    if i > 1\n        break\nfor [k, v] in m\n    k\nwhile a\n    b", "for i {if (i > 1) {break}}; for k,v in m {k}; while a {b}"},
		{"switch with and without a subject", "x = switch s\n    \"a\" => 1\n    => 2\nswitch\n    c => f()", "x = switch {'a': 1 | else: 2 | }; switch {c: f() | }"},
		{"named arguments", "f(1, by=2)", "f(1, by=2)"},
		{"comments and quotes", "x = \"a // b\" // c\n// d\ny = 'it\\'s'", "x = 'a // b'; y = 'it's'"},
		{"assignment to a field", "p.x := 1\np.x += 2", "p.x := 1; p.x += 2"},
		{"a type's name as a variable", "type = 1\nx = type", "type = 1; x = type"},
	} {
		script, diags := Parse(c.source)
		if len(diags) > 0 {
			t.Errorf("%s: %v", c.name, diags)
		} else if got := outline(script.Body); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestSyntaxErrorsNameTheirPlace(t *testing.T) {
	for _, c := range []struct {
		source       string
		line, column int
		code         string
	}{
		{"x = (1 + 2", 1, 5, "P102"},
		{"x = 1)", 1, 6, "P102"},
		{"x = \"open", 1, 5, "P105"},
		{"x = 1 $ 2", 1, 7, "P104"},
		{"ä = 1\nb = ä +", 3, 1, "P110"},
		{"if a\nb", 2, 1, "P103"},
		{"    x = 1\n", 0, 0, ""},
		{"a = 1\n        b = 2", 2, 9, "P103"},
		{"1 := 2", 1, 1, "P111"},
		{"a.b = 2", 1, 5, "P111"},
		{"//@version=x", 1, 1, "P101"},
		{"f(a b)", 1, 5, "P110"},
	} {
		_, diags := Parse(c.source)
		if c.code == "" {
			if len(diags) > 0 {
				t.Errorf("%q: %v", c.source, diags)
			}
			continue
		}
		if len(diags) == 0 {
			t.Errorf("%q has no error", c.source)
		} else if d := diags[0]; d.Line != c.line || d.Column != c.column || d.Code != c.code {
			t.Errorf("%q: %v, want line %d, column %d, %s", c.source, d, c.line, c.column, c.code)
		}
	}
}

func TestStatementsAfterAnErrorAreRead(t *testing.T) {
	script, diags := Parse("a = 1\nb = = 2\nif c\n    d = )\n    e = 3\nf = 4")
	if len(diags) < 2 {
		t.Errorf("%d errors", len(diags))
	}
	if got, want := outline(script.Body), "a = 1; if c {e = 3}; f = 4"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestVersionIsReadFromItsComment(t *testing.T) {
	for source, want := range map[string]int{"//@version=5\nx = 1": 5, "x = 1": 1, "// © me\n// @version = 4": 4} {
		if script, _ := Parse(source); script.Version != want {
			t.Errorf("%q: version %d", source, script.Version)
		}
	}
}

func TestLimitsRefuseWhatIsTooLarge(t *testing.T) {
	for name, source := range map[string]string{
		"P401": strings.Repeat("x", MaxSourceBytes+1),
		"P402": "x = " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000),
	} {
		if _, diags := Parse(source); !diags.HasErrors() || diags[0].Code != name {
			t.Errorf("%s: %.200v", name, diags)
		}
	}
	if _, diags := Parse("x = 1" + strings.Repeat(" + 1", 2000)); !diags.HasErrors() {
		t.Error("a chain of 2000 sums is taken")
	}
	if _, diags := Parse(strings.Repeat("a,", MaxTokens)); !diags.HasErrors() || diags[0].Code != "P401" {
		t.Errorf("too many words: %.200v", diags)
	}
}
