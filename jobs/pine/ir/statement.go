package ir

import (
	"fmt"
	"math"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// statements lowers a block; its value is that of its last statement when wanted.
func (l *lowerer) statements(body []syntax.Stmt, want bool) value {
	last := l.void()
	for i, s := range body {
		if l.over {
			break
		}
		last = l.statement(s, want && i == len(body)-1)
	}
	return last
}

func (l *lowerer) statement(s syntax.Stmt, want bool) value {
	switch s := s.(type) {
	case *syntax.Decl:
		return l.decl(s)
	case *syntax.TupleDecl:
		return l.tupleDecl(s)
	case *syntax.Assign:
		return l.assign(s)
	case *syntax.ExprStmt:
		return l.expr(s.X, want)
	case *syntax.FuncDecl:
		l.funcDecl(s)
	case *syntax.Import:
		l.errorAt(s.Pos, "P306", "libraries are not available", "copy the functions you use into the script")
	case *syntax.Break, *syntax.Continue:
		if l.loops == 0 {
			l.errorAt(s.At(), "P206", "break and continue belong into a loop", "remove it")
			break
		}
		op := OpBreak
		if _, ok := s.(*syntax.Continue); ok {
			op = OpContinue
		}
		l.emit(&Inst{Op: op, Pos: s.At()})
	case *syntax.TypeDecl, *syntax.EnumDecl:
		if len(l.scopes) > 1 {
			l.errorAt(s.At(), "P206", "types and enums are declared at the script's outermost level", "move it there")
		}
	}
	return l.void()
}

func (l *lowerer) funcDecl(s *syntax.FuncDecl) {
	if len(l.scopes) > 1 {
		l.errorAt(s.Pos, "P206", "functions are declared at the script's outermost level", "move it there")
		return
	}
	if have := l.scopes[0][s.Name]; have != nil && have.kind == symFunc {
		have.funcs = append(have.funcs, s)
		return
	}
	if have := l.scopes[0][s.Name]; have != nil && have.kind != symFunc {
		// A function may share its name with a variable only before version 5; the call decides.
		l.declare(s.Name+"()", &symbol{kind: symFunc, funcs: []*syntax.FuncDecl{s}})
		return
	}
	l.declare(s.Name, &symbol{kind: symFunc, funcs: []*syntax.FuncDecl{s}})
}

// convert gives v as type t, with an error when it cannot be.
func (l *lowerer) convert(p syntax.Pos, v value, t *types.Type, what string) value {
	if v.typ.Kind == types.Void || v.typ.Kind == types.Tuple {
		l.errorAt(p, "P203", fmt.Sprintf("%s wants a %s and gets %s", what, t, describe(v.typ)), "")
		return one(t, l.constant(t, math.NaN()))
	}
	if !types.Accepts(t, v.typ, l.version) {
		advice := ""
		if t.Kind == types.Bool && v.typ.IsNumber() {
			advice = "from version 6 on compare it, as in x != 0"
		}
		l.errorAt(p, "P203", fmt.Sprintf("%s wants a %s and gets a %s", what, t, v.typ), advice)
		return one(t, l.constant(t, math.NaN()))
	}
	switch {
	case v.typ.Kind == types.NA:
		if t.Kind == types.Bool && l.version >= 6 {
			l.errorAt(p, "P203", what+" wants a bool, which is never na from version 6 on", "use false")
		}
		return one(t, l.constant(t, math.NaN()))
	case t.Kind == types.Bool && v.typ.IsNumber():
		return one(t, l.op(p, OpToBool, t, v.slot()))
	case t.Kind == types.Float && v.typ.Kind == types.Int && l.info(v.slot()).Kind == SlotConst:
		return one(t, l.constant(t, l.info(v.slot()).Value))
	}
	return one(t, v.slot())
}

func describe(t *types.Type) string {
	switch t.Kind {
	case types.Void:
		return "nothing"
	case types.Tuple:
		return "several values"
	}
	return "a " + t.String()
}
