package pinedoc

import (
	"strconv"
	"strings"

	"millrace/jobs/pine/syntax"
)

// walk looks at every statement and expression for inputs and for what lint warns of.
func (r *reader) walk(body []syntax.Stmt) {
	for _, s := range body {
		switch s := s.(type) {
		case *syntax.Decl:
			r.input(s)
			r.look(s.Value)
		case *syntax.TupleDecl:
			r.look(s.Value)
		case *syntax.Assign:
			r.look(s.Value)
		case *syntax.ExprStmt:
			r.look(s.X)
		case *syntax.FuncDecl:
			r.walk(s.Body)
		}
	}
}

func (r *reader) look(x syntax.Expr) {
	switch x := x.(type) {
	case *syntax.Member:
		if nameOf(x) == "barmerge.lookahead_on" {
			r.find("W002", x.Pos, "lookahead_on lets the script see the future: results will not repeat live")
		}
		r.look(x.X)
	case *syntax.Call:
		if nameOf(x.Fun) == "security" {
			r.find("W003", x.Pos, "security() is from before version 5: use request.security()")
		}
		r.look(x.Fun)
		for _, a := range x.Args {
			r.look(a.Value)
		}
	case *syntax.Index:
		r.each(x.X, x.I)
	case *syntax.Unary:
		r.look(x.X)
	case *syntax.Binary:
		r.each(x.X, x.Y)
	case *syntax.Ternary:
		r.each(x.Cond, x.Then, x.Else)
	case *syntax.Tuple:
		r.each(x.Items...)
	case *syntax.If:
		r.look(x.Cond)
		r.walk(x.Then)
		r.walk(x.Else)
	case *syntax.For:
		r.each(x.From, x.To, x.By)
		r.walk(x.Body)
	case *syntax.ForIn:
		r.look(x.X)
		r.walk(x.Body)
	case *syntax.While:
		r.look(x.Cond)
		r.walk(x.Body)
	case *syntax.Switch:
		r.look(x.X)
		for _, c := range x.Cases {
			r.look(c.Cond)
			r.walk(c.Body)
		}
	}
}

func (r *reader) each(all ...syntax.Expr) {
	for _, x := range all {
		r.look(x)
	}
}

// written is an expression as a script would write it; "" of what is not written on one line.
func written(x syntax.Expr) string {
	switch x := x.(type) {
	case *syntax.Number:
		return strconv.FormatFloat(x.Value, 'g', -1, 64)
	case *syntax.Text:
		return strconv.Quote(x.Value)
	case *syntax.Bool:
		return strconv.FormatBool(x.Value)
	case *syntax.Color:
		return x.Value
	case *syntax.Ident, *syntax.Member:
		return nameOf(x)
	case *syntax.Unary:
		if x.Op == "not" {
			return "not " + written(x.X)
		}
		return x.Op + written(x.X)
	case *syntax.Binary:
		return written(x.X) + " " + x.Op + " " + written(x.Y)
	case *syntax.Index:
		return written(x.X) + "[" + written(x.I) + "]"
	case *syntax.Tuple:
		return "[" + list(x.Items) + "]"
	case *syntax.Call:
		var args []string
		for _, a := range x.Args {
			text := written(a.Value)
			if a.Name != "" {
				text = a.Name + " = " + text
			}
			args = append(args, text)
		}
		return nameOf(x.Fun) + "(" + strings.Join(args, ", ") + ")"
	}
	return ""
}

func list(items []syntax.Expr) string {
	texts := make([]string, len(items))
	for i, x := range items {
		texts[i] = written(x)
	}
	return strings.Join(texts, ", ")
}
