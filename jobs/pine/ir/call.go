package ir

import (
	"fmt"
	"math"
	"strings"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// call lowers a call of any kind.
func (l *lowerer) call(x *syntax.Call, want bool) value {
	if id, ok := x.Fun.(*syntax.Ident); ok {
		for _, name := range []string{id.Name, id.Name + "()"} {
			if s := l.find(name); s != nil && s.kind == symFunc {
				return l.callUser(x, s.funcs, nil)
			}
		}
	}
	name := l.dotted(x.Fun)
	if id, ok := x.Fun.(*syntax.Ident); ok {
		name = id.Name // a variable of that name hides no function
	}
	if m, ok := x.Fun.(*syntax.Member); ok && l.isMethod(m.Name) && types.Function(name) == nil && !types.Ignored(name) {
		return l.callMethod(x, m, want)
	}
	if name != "" {
		base, rest, _ := strings.Cut(name, ".")
		if s := l.find(base); s != nil && s.kind == symType && rest != "" {
			return l.construct(x, s.typ, rest)
		}
		return l.callBuiltin(x, name, nil, want)
	}
	m, ok := x.Fun.(*syntax.Member)
	if !ok {
		l.errorAt(x.Pos, "P201", "only a function can be called", "")
		return l.na()
	}
	return l.callMethod(x, m, want)
}

// isMethod reports whether the script declares a method of that name.
func (l *lowerer) isMethod(name string) bool {
	s := l.scopes[0][name]
	if s == nil || s.kind != symFunc {
		return false
	}
	for _, f := range s.funcs {
		if f.Method {
			return true
		}
	}
	return false
}

// callMethod lowers x.name(…).
func (l *lowerer) callMethod(x *syntax.Call, m *syntax.Member, want bool) value {
	recv := l.scalar(m.X, "a method")
	if s := l.scopes[0][m.Name]; s != nil && s.kind == symFunc {
		var methods []*syntax.FuncDecl
		for _, f := range s.funcs {
			if f.Method {
				methods = append(methods, f)
			}
		}
		if f := l.overload(methods, append([]value{recv}, make([]value, 0)...), x.Args); f != nil {
			return l.callUser(x, []*syntax.FuncDecl{f}, &recv)
		}
	}
	prefix := ""
	switch recv.typ.Kind {
	case types.Array:
		prefix = "array."
	case types.Matrix:
		prefix = "matrix."
	case types.Map:
		prefix = "map."
	case types.Handle, types.NA:
		if strings.HasPrefix(m.Name, "get_") {
			return l.refused(x.Pos, "drawings hold no values here", "keep the value in a variable of your own", types.FloatType)
		}
		return l.drawing(m.Name)
	case types.Object:
		if m.Name == "copy" {
			dst := l.temp(recv.typ)
			l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: []Slot{recv.slot()}, Name: "object.copy", Class: recv.typ.String(), Pos: x.Pos})
			return one(recv.typ, dst)
		}
	}
	if prefix == "" || types.Function(prefix+m.Name) == nil {
		if name := l.shadowed(m); name != "" && l.hasFunction(name) {
			return l.callBuiltin(x, name, nil, want)
		}
		l.errorAt(x.Pos, "P201", fmt.Sprintf("a %s has no method %q", recv.typ, m.Name), "")
		return l.na()
	}
	return l.callBuiltin(x, prefix+m.Name, &recv, want)
}

// drawing is the result of a call that only draws.
func (l *lowerer) drawing(name string) value {
	t := types.HandleOf(name)
	return one(t, l.constant(t, 1))
}

// construct lowers Type.new and Type.copy.
func (l *lowerer) construct(x *syntax.Call, t *objectType, name string) value {
	switch name {
	case "new":
	case "copy":
		if len(x.Args) == 1 {
			v := l.convert(x.Pos, l.scalar(x.Args[0].Value, "copy"), t.typ, "copy")
			dst := l.temp(t.typ)
			l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: []Slot{v.slot()}, Name: "object.copy", Class: t.typ.String(), Pos: x.Pos})
			return one(t.typ, dst)
		}
		fallthrough
	default:
		l.errorAt(x.Pos, "P201", fmt.Sprintf("%s has no function %q", t.typ, name), "use new")
		return l.na()
	}
	args := make([]Slot, len(t.decl.Fields))
	given := make([]bool, len(args))
	for i, a := range x.Args {
		n := i
		if a.Name != "" {
			n = -1
			for j, f := range t.decl.Fields {
				if f.Name == a.Name {
					n = j
				}
			}
		}
		if n < 0 || n >= len(args) || given[n] {
			l.errorAt(a.Pos, "P204", fmt.Sprintf("%s has no such field", t.typ), "")
			return l.na()
		}
		given[n] = true
		args[n] = l.convert(a.Pos, l.scalar(a.Value, "a field"), t.fields[n], t.decl.Fields[n].Name).slot()
	}
	for n, f := range t.decl.Fields {
		switch {
		case given[n]:
		case f.Default != nil:
			args[n] = l.convert(f.Pos, l.scalar(f.Default, "a field"), t.fields[n], f.Name).slot()
		case t.fields[n].Kind == types.Bool && l.version >= 6:
			args[n] = l.boolean(false).slot()
		default:
			args[n] = l.constant(t.fields[n], math.NaN())
		}
	}
	dst := l.temp(t.typ)
	l.emit(&Inst{Op: OpNew, Dst: []Slot{dst}, Args: args, Class: t.typ.String(), Pos: x.Pos})
	return one(t.typ, dst)
}

// overload picks the function whose parameters take the arguments.
func (l *lowerer) overload(funcs []*syntax.FuncDecl, first []value, args []syntax.Arg) *syntax.FuncDecl {
	n := len(first) + len(args)
	var fits []*syntax.FuncDecl
	for _, f := range funcs {
		required := 0
		for _, p := range f.Params {
			if p.Default == nil {
				required++
			}
		}
		if n > len(f.Params) || n < required {
			continue
		}
		if len(first) > 0 && f.Params[0].Type != nil {
			t := l.resolve(f.Params[0].Type)
			if !types.Same(t, first[0].typ) && !types.Accepts(t, first[0].typ, l.version) {
				continue
			}
		}
		fits = append(fits, f)
	}
	if len(fits) == 0 {
		return nil
	}
	return fits[0]
}

// pickTyped chooses among functions of one name by the types of the arguments.
func (l *lowerer) pickTyped(funcs []*syntax.FuncDecl, args []value) *syntax.FuncDecl {
	var best *syntax.FuncDecl
	bestScore := -1
	for _, f := range funcs {
		if len(args) > len(f.Params) {
			continue
		}
		score, ok := 0, true
		for i, p := range f.Params {
			switch {
			case i >= len(args):
				ok = ok && p.Default != nil
			case p.Type == nil:
			default:
				t := l.resolve(p.Type)
				switch {
				case types.Same(t, args[i].typ):
					score += 2
				case types.Accepts(t, args[i].typ, l.version):
					score++
				default:
					ok = false
				}
			}
		}
		if ok && score > bestScore {
			best, bestScore = f, score
		}
	}
	return best
}

// callUser inlines a user function.
func (l *lowerer) callUser(x *syntax.Call, funcs []*syntax.FuncDecl, recv *value) value {
	f := funcs[0]
	var lowered []value
	if recv != nil {
		lowered = append(lowered, *recv)
	}
	named := false
	for _, a := range x.Args {
		named = named || a.Name != ""
		lowered = append(lowered, l.scalar(a.Value, "an argument"))
	}
	if len(funcs) > 1 && !named {
		if g := l.pickTyped(funcs, lowered); g != nil {
			f = g
		}
	} else if len(funcs) > 1 {
		if g := l.overload(funcs, nil, x.Args); g != nil {
			f = g
		}
	}
	if len(l.inlining) > 64 {
		l.errorAt(x.Pos, "P402", "functions call one another more than 64 deep", "")
		return l.na()
	}
	for _, g := range l.inlining {
		if g == f {
			l.errorAt(x.Pos, "P303", fmt.Sprintf("the function %q calls itself", f.Name), "use a loop")
			return l.na()
		}
	}
	args := make([]*value, len(f.Params))
	offset := 0
	if recv != nil {
		args[0], offset = recv, 1
	}
	for i, a := range x.Args {
		n := i + offset
		if a.Name != "" {
			n = -1
			for j, p := range f.Params {
				if p.Name == a.Name {
					n = j
				}
			}
		}
		if n < 0 || n >= len(f.Params) || args[n] != nil {
			l.errorAt(a.Pos, "P204", fmt.Sprintf("the function %q has no such parameter", f.Name), fmt.Sprintf("it takes %d", len(f.Params)))
			return l.na()
		}
		args[n] = &lowered[i+offset]
	}
	// Functions see globals and their own names only.
	outer, depthLoops, name := l.scopes, l.loops, l.declName
	l.scopes = []scope{outer[0], {}}
	l.loops = 0
	l.inlining = append(l.inlining, f)
	ok := true
	for i, p := range f.Params {
		if args[i] == nil {
			if p.Default == nil {
				l.errorAt(x.Pos, "P204", fmt.Sprintf("the function %q is called without its parameter %q", f.Name, p.Name), "")
				ok = false
				break
			}
			v := l.scalar(p.Default, "a default")
			args[i] = &v
		}
		v := *args[i]
		if t := l.resolve(p.Type); t != nil {
			v = l.convert(x.Pos, v, t, p.Name)
		}
		if v.typ.Kind == types.NA {
			v.typ = types.FloatType
		}
		l.bindParam(x.Pos, f, p.Name, v)
	}
	out := l.na()
	if ok {
		out = l.statements(f.Body, true)
	}
	l.inlining = l.inlining[:len(l.inlining)-1]
	l.scopes, l.loops, l.declName = outer, depthLoops, name
	return out
}

// bindParam gives a parameter its argument, by a copy where the body changes it or where the history
// of the parameter is that of the calls.
func (l *lowerer) bindParam(p syntax.Pos, f *syntax.FuncDecl, name string, v value) {
	changed, indexed := false, false
	walkStatements(f.Body, func(s syntax.Stmt) {
		if a, ok := s.(*syntax.Assign); ok {
			if id, ok := a.Target.(*syntax.Ident); ok && id.Name == name {
				changed = true
			}
		}
	})
	walkBody(f.Body, func(e syntax.Expr) {
		if i, ok := e.(*syntax.Index); ok {
			if id, ok := i.X.(*syntax.Ident); ok && id.Name == name {
				indexed = true
			}
		}
	})
	kind := l.info(v.slot()).Kind
	if changed || indexed && l.depth > 0 && kind != SlotBar {
		slot := l.newSlot(SlotInfo{Type: v.typ, Name: name})
		l.set(p, slot, v.slot())
		if o := l.own[v.slot()]; o != notOwn {
			l.own[slot] = o
		}
		v = one(v.typ, slot)
	}
	l.declare(name, &symbol{kind: symVar, val: v})
}
