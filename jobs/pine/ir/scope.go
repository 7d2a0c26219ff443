package ir

import (
	"fmt"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// inBlock lowers into a new block.
func (l *lowerer) inBlock(f func()) Block {
	var b Block
	outer := l.block
	l.stack = append(l.stack, outer)
	l.block = &b
	f()
	l.block = outer
	l.stack = l.stack[:len(l.stack)-1]
	return b
}

func (l *lowerer) push() { l.scopes = append(l.scopes, scope{}) }

func (l *lowerer) pop() { l.scopes = l.scopes[:len(l.scopes)-1] }

func (l *lowerer) find(name string) *symbol {
	for i := len(l.scopes) - 1; i >= 0; i-- {
		if s := l.scopes[i][name]; s != nil {
			return s
		}
	}
	return nil
}

func (l *lowerer) declare(name string, s *symbol) { l.scopes[len(l.scopes)-1][name] = s }

// hoistDeclarations makes types and enums known before the first statement, and warns of nothing:
// scripts may use them only after their declaration, but which comes first changes no meaning.
func (l *lowerer) hoistDeclarations(body []syntax.Stmt) {
	for _, s := range body {
		switch s := s.(type) {
		case *syntax.TypeDecl:
			l.declare(s.Name, &symbol{kind: symType, typ: &objectType{decl: s, typ: &types.Type{Kind: types.Object, Name: s.Name}}})
		case *syntax.EnumDecl:
			titles := make([]string, len(s.Fields))
			for i, f := range s.Fields {
				titles[i] = f.Name
				if t, ok := f.Default.(*syntax.Text); ok {
					titles[i] = t.Value
				}
			}
			l.p.EnumTitles[s.Name] = titles
			l.declare(s.Name, &symbol{kind: symEnum, enum: s})
		}
	}
	for _, s := range body {
		if s, ok := s.(*syntax.TypeDecl); ok {
			t := l.find(s.Name).typ
			for _, f := range s.Fields {
				t.fields = append(t.fields, l.resolve(f.Type))
			}
		}
	}
}

// resolve finds a written type.
func (l *lowerer) resolve(ref *syntax.TypeRef) *types.Type {
	if ref == nil {
		return nil
	}
	var t *types.Type
	switch {
	case ref.Name == "array" && len(ref.Args) == 1:
		t = types.ArrayOf(l.resolve(ref.Args[0]))
	case ref.Name == "matrix" && len(ref.Args) == 1:
		t = types.MatrixOf(l.resolve(ref.Args[0]))
	case ref.Name == "map" && len(ref.Args) == 2:
		t = &types.Type{Kind: types.Map, Key: l.resolve(ref.Args[0]), Elem: l.resolve(ref.Args[1])}
	default:
		t = types.Scalar(ref.Name)
		if t == nil && types.IsDrawing(ref.Name) {
			t = types.HandleOf(ref.Name)
		}
		if s := l.find(ref.Name); t == nil && s != nil {
			switch s.kind {
			case symType:
				t = s.typ.typ
			case symEnum:
				t = &types.Type{Kind: types.Enum, Name: ref.Name}
			}
		}
	}
	if t == nil {
		l.errorAt(ref.Pos, "P205", fmt.Sprintf("the type %q is not known", ref.Name), "declare it before its use")
		t = types.FloatType
	}
	if ref.Array {
		t = types.ArrayOf(t)
	}
	return t
}
