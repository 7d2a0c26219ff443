package ir

import "millrace/jobs/pine/syntax"

// mentions reports whether an expression reads a name.
func mentions(x syntax.Expr, name string) bool {
	found := false
	walk(x, func(e syntax.Expr) {
		if id, ok := e.(*syntax.Ident); ok && id.Name == name {
			found = true
		}
	})
	return found
}

// walk visits an expression's parts.
func walk(x syntax.Expr, visit func(syntax.Expr)) {
	if x == nil {
		return
	}
	visit(x)
	switch x := x.(type) {
	case *syntax.Member:
		walk(x.X, visit)
	case *syntax.Call:
		walk(x.Fun, visit)
		for _, a := range x.Args {
			walk(a.Value, visit)
		}
	case *syntax.Index:
		walk(x.X, visit)
		walk(x.I, visit)
	case *syntax.Unary:
		walk(x.X, visit)
	case *syntax.Binary:
		walk(x.X, visit)
		walk(x.Y, visit)
	case *syntax.Ternary:
		walk(x.Cond, visit)
		walk(x.Then, visit)
		walk(x.Else, visit)
	case *syntax.Tuple:
		for _, i := range x.Items {
			walk(i, visit)
		}
	case *syntax.If:
		walk(x.Cond, visit)
		walkBody(x.Then, visit)
		walkBody(x.Else, visit)
	case *syntax.For:
		walk(x.From, visit)
		walk(x.To, visit)
		walk(x.By, visit)
		walkBody(x.Body, visit)
	case *syntax.ForIn:
		walk(x.X, visit)
		walkBody(x.Body, visit)
	case *syntax.While:
		walk(x.Cond, visit)
		walkBody(x.Body, visit)
	case *syntax.Switch:
		walk(x.X, visit)
		for _, c := range x.Cases {
			walk(c.Cond, visit)
			walkBody(c.Body, visit)
		}
	}
}

// walkBody visits the expressions of statements; targets of assignments count as read.
func walkBody(body []syntax.Stmt, visit func(syntax.Expr)) {
	for _, s := range body {
		switch s := s.(type) {
		case *syntax.Decl:
			walk(s.Value, visit)
		case *syntax.TupleDecl:
			walk(s.Value, visit)
		case *syntax.Assign:
			walk(s.Target, visit)
			walk(s.Value, visit)
		case *syntax.ExprStmt:
			walk(s.X, visit)
		}
	}
}

// walkStatements visits statements and those inside their expressions.
func walkStatements(body []syntax.Stmt, visit func(syntax.Stmt)) {
	for _, s := range body {
		visit(s)
	}
	walkBody(body, func(e syntax.Expr) {
		var inner [][]syntax.Stmt
		switch e := e.(type) {
		case *syntax.If:
			inner = append(inner, e.Then, e.Else)
		case *syntax.For:
			inner = append(inner, e.Body)
		case *syntax.ForIn:
			inner = append(inner, e.Body)
		case *syntax.While:
			inner = append(inner, e.Body)
		case *syntax.Switch:
			for _, c := range e.Cases {
				inner = append(inner, c.Body)
			}
		}
		for _, b := range inner {
			for _, s := range b {
				visit(s)
			}
		}
	})
}
