package ir

import (
	"fmt"
	"math"
	"strings"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// newCollection lowers array.new<T>, array.new_float, array.from, matrix.new<T>, map.new<K, V>.
func (l *lowerer) newCollection(x *syntax.Call, name string) value {
	sigs := map[string][]string{"array": {"size", "initial_value"}, "matrix": {"rows", "columns", "initial_value"}, "map": {}}
	base, rest, _ := strings.Cut(name, ".")
	if name == "array.from" {
		return l.arrayFrom(x)
	}
	var t *types.Type
	if kind, ok := strings.CutPrefix(rest, "new_"); ok {
		elem := types.Scalar(kind)
		if elem == nil {
			elem = types.HandleOf(kind)
		}
		t = types.ArrayOf(elem)
	} else {
		ref := &syntax.TypeRef{Node: x.Node, Name: base, Args: x.TypeArgs}
		if len(x.TypeArgs) == 0 {
			if base == "map" {
				l.errorAt(x.Pos, "P205", "a map needs the types of its keys and values", "write map.new<string, float>()")
				return l.na()
			}
			ref.Args = []*syntax.TypeRef{{Node: x.Node, Name: "float"}}
		}
		t = l.resolve(ref)
	}
	slots := make([]Slot, 0, 3)
	for i, p := range sigs[base] {
		var v value
		found := false
		for j, a := range x.Args {
			if a.Name == p || a.Name == "" && j == i {
				v, found = l.scalar(a.Value, name), true
			}
		}
		switch {
		case p == "initial_value" && found:
			v = l.convert(x.Pos, v, t.Elem, p)
		case p == "initial_value" && t.Elem.Kind == types.Bool && l.version >= 6:
			v = l.boolean(false)
		case p == "initial_value":
			v = one(t.Elem, l.constant(t.Elem, math.NaN()))
		case !found:
			v = one(types.IntType, l.constant(types.IntType, 0))
		}
		slots = append(slots, v.slot())
	}
	dst := l.temp(t)
	l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: slots, Name: base + ".new", Class: t.String(), Pos: x.Pos})
	return one(t, dst)
}

func (l *lowerer) arrayFrom(x *syntax.Call) value {
	var slots []Slot
	elem := types.NAType
	for _, a := range x.Args {
		v := l.scalar(a.Value, "array.from")
		elem = l.join(a.Pos, elem, v.typ)
		slots = append(slots, v.slot())
	}
	if elem.Kind == types.NA {
		elem = types.FloatType
	}
	t := types.ArrayOf(elem)
	dst := l.temp(t)
	l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: slots, Name: "array.from", Class: t.String(), Pos: x.Pos})
	return one(t, dst)
}

// callObject lowers the functions of collections.
func (l *lowerer) callObject(x *syntax.Call, name string, a *arguments) value {
	first := a.vals[0].typ
	want := map[string]types.Kind{"arr": types.Array, "mat": types.Matrix, "map": types.Map}[a.sig.Params[0].Type]
	if first.Kind != want {
		if first.Kind != types.NA || l.diags.HasErrors() {
			l.errorAt(x.Pos, "P203", fmt.Sprintf("%s wants another collection than a %s", name, first), "")
		}
		return l.na()
	}
	slots := make([]Slot, len(a.sig.Params))
	for i := range slots {
		slots[i] = a.slot(i, first)
	}
	var t *types.Type
	class := first.String()
	switch r := a.sig.Results[0]; r {
	case "self":
		t = first
	case "elem":
		t = first.Elem
	case "elems":
		t = types.ArrayOf(first.Elem)
	case "keys":
		t = types.ArrayOf(first.Key)
	case "floats":
		t = types.ArrayOf(types.FloatType)
	case "ints":
		t = types.ArrayOf(types.IntType)
	case "mult":
		t = first
		if a.vals[1].typ.Kind == types.Array {
			t = a.vals[1].typ
			name = "matrix.mult_array"
		} else if a.vals[1].typ.Kind != types.Matrix {
			name = "matrix.mult_number"
		}
	default:
		t = types.Scalar(r)
	}
	if (name == "matrix.sum" || name == "matrix.diff") && a.vals[1].typ.Kind != types.Matrix {
		name += "_number"
	}
	if t.Kind == types.Void {
		l.emit(&Inst{Op: OpObject, Args: slots, Name: name, Class: class, Pos: x.Pos})
		return l.void()
	}
	dst := l.temp(t)
	l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: slots, Name: name, Class: class, Pos: x.Pos})
	return one(t, dst)
}
