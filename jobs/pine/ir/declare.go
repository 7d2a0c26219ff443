package ir

import (
	"fmt"
	"math"
	"slices"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// selfReferent reports whether an expression reads name, which it is about to declare.
func (l *lowerer) selfReferent(name string, x syntax.Expr) bool {
	return l.version <= 3 && l.find(name) == nil && mentions(x, name)
}

func (l *lowerer) decl(s *syntax.Decl) value {
	t := l.resolve(s.Type)
	outer := l.declName
	l.declName = s.Name
	defer func() { l.declName = outer }()
	if s.Mode != "" {
		return l.persistent(s, t)
	}
	if l.selfReferent(s.Name, s.Value) {
		return l.selfDeclared(s)
	}
	v := l.expr(s.Value, true)
	if len(v.slots) > 1 {
		l.errorAt(s.Pos, "P203", fmt.Sprintf("%s gets %d values", s.Name, len(v.slots)), "declare as many names in brackets")
		v = l.na()
	}
	if t != nil {
		v = l.convert(s.Value.At(), v, t, s.Name)
	}
	if v.typ.Kind == types.Void {
		if !l.diags.HasErrors() {
			l.errorAt(s.Value.At(), "P203", fmt.Sprintf("%s gets no value", s.Name), "")
		}
		v = l.na()
	}
	if v.typ.Kind == types.NA {
		// Old scripts leave the type open; the first assignment decides.
		v.typ = l.guess(s.Name)
	}
	return l.bind(s, v)
}

// guess is the type of a variable declared as na.
func (l *lowerer) guess(string) *types.Type { return types.FloatType }

// collectAssigned finds the names that are changed after their declaration.
func collectAssigned(body []syntax.Stmt, names map[string]bool) {
	walkStatements(body, func(s syntax.Stmt) {
		switch s := s.(type) {
		case *syntax.Assign:
			if id, ok := s.Target.(*syntax.Ident); ok {
				names[id.Name] = true
			}
		case *syntax.FuncDecl:
			collectAssigned(s.Body, names)
		}
	})
}

// bind declares a variable with its first value; one that never changes is another name of what never
// changes itself.
func (l *lowerer) bind(s *syntax.Decl, v value) value {
	if kind := l.info(v.slot()).Kind; kind != SlotVar && !l.changing[s.Name] && types.Same(l.info(v.slot()).Type, v.typ) {
		l.declare(s.Name, &symbol{kind: symVar, val: v})
		return v
	}
	slot := l.newSlot(SlotInfo{Type: v.typ, Name: s.Name})
	l.set(s.Pos, slot, v.slot())
	if o := l.own[v.slot()]; o != notOwn {
		l.own[slot] = o
	}
	out := one(v.typ, slot)
	l.declare(s.Name, &symbol{kind: symVar, val: out})
	return out
}

// selfDeclared lowers x = f(x[1]) of versions 1 to 3.
func (l *lowerer) selfDeclared(s *syntax.Decl) value {
	slot := l.newSlot(SlotInfo{Type: types.FloatType, Name: s.Name})
	l.set(s.Pos, slot, l.constant(types.FloatType, math.NaN()))
	out := one(types.FloatType, slot)
	sym := &symbol{kind: symVar, val: out}
	l.declare(s.Name, sym)
	v := l.expr(s.Value, true)
	if len(v.slots) == 1 {
		if v.typ.Kind == types.Bool || v.typ.Kind == types.Int {
			l.info(slot).Type = v.typ
			sym.val.typ, out.typ = v.typ, v.typ
		}
		l.set(s.Pos, slot, v.slot())
	}
	return out
}

// persistent lowers var and varip.
func (l *lowerer) persistent(s *syntax.Decl, t *types.Type) value {
	if s.Mode == "varip" {
		l.note(s.Pos, "P902", "varip is var: bars are seen once, on their close")
	}
	slot := l.newSlot(SlotInfo{Type: types.FloatType, Name: s.Name})
	flag := l.p.Flags
	l.p.Flags++
	var v value
	l.depth++
	body := l.inBlock(func() {
		v = l.expr(s.Value, true)
		if len(v.slots) != 1 {
			if !l.diags.HasErrors() {
				l.errorAt(s.Value.At(), "P203", fmt.Sprintf("%s wants one value", s.Name), "")
			}
			v = l.na()
		}
		if t != nil {
			v = l.convert(s.Value.At(), v, t, s.Name)
		}
		if v.typ.Kind == types.NA {
			v.typ = l.guess(s.Name)
		}
		l.set(s.Pos, slot, v.slot())
	})
	l.depth--
	if info := l.info(v.slot()); s.Mode == "var" && len(l.scopes) == 1 && !l.changing[s.Name] && info.Kind == SlotConst && !v.typ.IsReference() && info.Value == info.Value {
		// What never changes is a constant, and may stand where one is wanted.
		v.typ = info.Type
		l.declare(s.Name, &symbol{kind: symVar, val: v})
		return v
	}
	l.info(slot).Type = v.typ
	l.emit(&Inst{Op: OpOnce, N: flag, Blocks: []Block{body}, Pos: s.Pos})
	l.set(s.Pos, slot, slot) // the scope ran: a history has a new entry
	out := one(v.typ, slot)
	l.declare(s.Name, &symbol{kind: symVar, val: out})
	return out
}

func (l *lowerer) tupleDecl(s *syntax.TupleDecl) value {
	v := l.expr(s.Value, true)
	if len(v.slots) != len(s.Names) {
		if !l.diags.HasErrors() {
			l.errorAt(s.Pos, "P203", fmt.Sprintf("%d names get %d values", len(s.Names), len(v.slots)), "declare as many names as the call gives values")
		}
		for _, name := range s.Names {
			l.declare(name, &symbol{kind: symVar, val: one(types.FloatType, l.constant(types.FloatType, math.NaN()))})
		}
		return l.void()
	}
	out := value{typ: v.typ}
	for i, name := range s.Names {
		t := v.typ
		if t.Kind == types.Tuple {
			t = t.Items[i]
		}
		if t.Kind == types.NA {
			t = types.FloatType
		}
		slot := l.newSlot(SlotInfo{Type: t, Name: name})
		l.set(s.Pos, slot, v.slots[i])
		l.declare(name, &symbol{kind: symVar, val: one(t, slot)})
		out.slots = append(out.slots, slot)
	}
	return out
}

func (l *lowerer) assign(s *syntax.Assign) value {
	if m, ok := s.Target.(*syntax.Member); ok {
		return l.assignField(s, m)
	}
	name := s.Target.(*syntax.Ident).Name
	sym := l.find(name)
	if sym == nil || sym.kind != symVar {
		if sym == nil && l.version < 4 && s.Op == ":=" {
			return l.decl(&syntax.Decl{Node: s.Node, Name: name, Value: s.Value})
		}
		l.errorAt(s.Pos, "P201", fmt.Sprintf("%q is not declared", name), "declare it with “=” first")
		return l.void()
	}
	if len(l.inlining) > 0 && l.scopes[0][name] == sym {
		l.errorAt(s.Pos, "P207", fmt.Sprintf("a function cannot change the global variable %q", name), "return the new value and assign it where the function is called")
		return l.void()
	}
	old := sym.val
	v := l.assigned(s, old)
	if len(v.slots) != 1 {
		if !l.diags.HasErrors() {
			l.errorAt(s.Value.At(), "P203", fmt.Sprintf("%s wants one value", name), "")
		}
		return l.void()
	}
	if v.typ.Kind != types.NA && !types.Accepts(old.typ, v.typ, l.version) && l.open(old) {
		// Declared as na without a type: the first value decides.
		sym.val.typ, old.typ = v.typ, v.typ
		l.info(old.slot()).Type = v.typ
	}
	if v.typ.Kind == types.NA && old.typ.Kind == types.Bool && l.version >= 6 {
		l.errorAt(s.Value.At(), "P203", name+" is a bool, which is never na from version 6 on", "use false")
	}
	v = l.convert(s.Value.At(), v, old.typ, name)
	if l.info(old.slot()).Kind != SlotVar {
		l.errorAt(s.Pos, "P207", fmt.Sprintf("%q cannot be changed", name), "declare a variable for it")
		return old
	}
	l.set(s.Pos, old.slot(), v.slot())
	delete(l.own, old.slot())
	return old
}

// open reports whether a variable was declared as na without a type.
func (l *lowerer) open(v value) bool { return v.typ.Kind == types.Float }

func (l *lowerer) assigned(s *syntax.Assign, old value) value {
	v := l.expr(s.Value, true)
	if s.Op == ":=" || len(v.slots) != 1 {
		return v
	}
	return l.arithmetic(s.Pos, s.Op[:1], old, v)
}

func (l *lowerer) assignField(s *syntax.Assign, m *syntax.Member) value {
	x := l.expr(m.X, true)
	if x.typ.Kind != types.Object {
		l.errorAt(s.Pos, "P201", fmt.Sprintf("%q cannot be assigned to", m.Name), "")
		return l.void()
	}
	n, t := l.field(x.typ, m)
	if n < 0 {
		return l.void()
	}
	var v value
	if s.Op == ":=" {
		v = l.expr(s.Value, true)
	} else {
		old := l.temp(t)
		l.emit(&Inst{Op: OpField, Dst: []Slot{old}, Args: []Slot{x.slot()}, N: n, Class: x.typ.String(), Pos: s.Pos})
		v = l.assigned(s, one(t, old))
	}
	if len(v.slots) != 1 {
		l.errorAt(s.Value.At(), "P203", fmt.Sprintf("%s wants one value", m.Name), "")
		return l.void()
	}
	v = l.convert(s.Value.At(), v, t, m.Name)
	l.emit(&Inst{Op: OpSetField, Args: []Slot{x.slot(), v.slot()}, N: n, Class: x.typ.String(), Pos: s.Pos})
	return v
}

// field finds a field's number and type.
func (l *lowerer) field(t *types.Type, m *syntax.Member) (int, *types.Type) {
	sym := l.scopes[0][t.Name]
	if sym != nil && sym.kind == symType {
		i := slices.IndexFunc(sym.typ.decl.Fields, func(f syntax.Param) bool { return f.Name == m.Name })
		if i >= 0 {
			return i, sym.typ.fields[i]
		}
	}
	l.errorAt(m.Pos, "P202", fmt.Sprintf("%s has no field %q", t.Name, m.Name), "")
	return -1, nil
}
