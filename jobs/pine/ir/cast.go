package ir

import (
	"fmt"
	"math"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

func (l *lowerer) cast(x *syntax.Call, name string, v value) value {
	t := types.Scalar(name)
	switch {
	case v.typ.Kind == types.NA:
		if t.Kind == types.Bool && l.version >= 6 {
			return l.boolean(false)
		}
		return one(t, l.constant(t, math.NaN()))
	case types.Same(t, v.typ):
		return v
	case name == "int":
		if n, ok := l.number(v); ok {
			return one(t, l.op(x.Pos, OpTrunc, t, n.slot()))
		}
	case name == "float":
		if n, ok := l.number(v); ok {
			return one(t, n.slot())
		}
	case name == "bool" && v.typ.IsNumber():
		return one(t, l.op(x.Pos, OpToBool, t, l.op(x.Pos, OpNz, v.typ, v.slot(), l.constant(types.IntType, 0))))
	case name == "color" && v.typ.IsNumber(), name == "string" && v.typ.Kind == types.Handle:
		return one(t, v.slot())
	}
	l.errorAt(x.Pos, "P203", fmt.Sprintf("a %s cannot become a %s", v.typ, name), "")
	return one(t, l.constant(t, math.NaN()))
}

func (l *lowerer) nz(x *syntax.Call, a *arguments) value {
	v := l.plainValue(x, *a.vals[0], "nz")
	if v.typ.Kind == types.Bool && l.version >= 6 {
		l.errorAt(x.Pos, "P203", "a bool is never na from version 6 on", "drop nz()")
	}
	if v.typ.Kind == types.NA {
		v.typ = types.FloatType
	}
	repl := l.constant(v.typ, 0)
	if v.typ.Kind == types.String {
		repl = l.text("")
	}
	t := v.typ
	if r := a.vals[1]; r != nil {
		repl = r.slot()
		if j := types.Join(t, r.typ, l.version); j != nil {
			t = j
		} else {
			l.errorAt(x.Pos, "P203", fmt.Sprintf("nz cannot replace a %s by a %s", t, r.typ), "")
		}
	}
	return one(t, l.op(x.Pos, OpNz, t, v.slot(), repl))
}

// plainValue refuses a collection or an object where a value belongs.
func (l *lowerer) plainValue(x *syntax.Call, v value, name string) value {
	if v.typ.IsReference() {
		l.errorAt(x.Pos, "P203", fmt.Sprintf("%s does not take a %s", name, v.typ), "")
		return l.na()
	}
	return v
}

// collectionText is an array or a matrix as text.
func (l *lowerer) collectionText(x *syntax.Call, v value, layout Slot) value {
	name := map[types.Kind]string{types.Array: "array.tostring", types.Matrix: "matrix.tostring"}[v.typ.Kind]
	if name == "" || v.typ.Elem.IsReference() {
		l.errorAt(x.Pos, "P203", fmt.Sprintf("a %s cannot become a text", v.typ), "write its parts out")
		return one(types.StringType, l.text(""))
	}
	dst := l.temp(types.StringType)
	l.emit(&Inst{Op: OpObject, Dst: []Slot{dst}, Args: []Slot{v.slot(), layout}, Name: name, Class: v.typ.String(), Pos: x.Pos})
	return one(types.StringType, dst)
}

// iff is version 4's function: both sides are computed.
func (l *lowerer) iff(x *syntax.Call) value {
	if len(x.Args) != 3 || l.version > 4 {
		l.errorAt(x.Pos, "P201", "iff takes a condition and two values, before version 5", "write cond ? a : b")
		return l.na()
	}
	cond := l.condition(x.Args[0].Value)
	a := l.scalar(x.Args[1].Value, "iff")
	b := l.scalar(x.Args[2].Value, "iff")
	t := l.join(x.Pos, a.typ, b.typ)
	return one(t, l.op(x.Pos, OpSelect, t, cond, a.slot(), b.slot()))
}

func (l *lowerer) offset(x *syntax.Call) value {
	if len(x.Args) != 2 {
		l.errorAt(x.Pos, "P204", "offset takes a series and a number of bars", "")
		return l.na()
	}
	return l.index(&syntax.Index{Node: x.Node, X: x.Args[0].Value, I: x.Args[1].Value})
}

// timestamp lowers timestamp(text), timestamp(year, month, day, hour, minute, second) and the form with
// a time zone first.
func (l *lowerer) timestamp(x *syntax.Call) value {
	na := l.constant(types.IntType, math.NaN())
	slots := []Slot{l.constant(types.StringType, math.NaN()), na, na, na, na, na, na}
	names := []string{"timezone", "year", "month", "day", "hour", "minute", "second"}
	at := 1
	for i, arg := range x.Args {
		v := l.scalar(arg.Value, "timestamp")
		if arg.Name == "" && i == 0 && v.typ.Kind == types.String && len(x.Args) == 1 || arg.Name == "dateString" {
			if text, ok := l.constText(v.slot()); ok {
				ms, err := ParseDate(text)
				if err != nil {
					l.errorAt(arg.Pos, "P208", err.Error(), "write it as 2024-01-31 or 31 Jan 2024 00:00 +0000")
				}
				return one(types.IntType, l.constant(types.IntType, float64(ms)))
			}
			return l.function(x.Pos, "timestamp.text", types.IntType, v.slot())
		}
		n := at
		if arg.Name == "" && i == 0 && v.typ.Kind == types.String {
			n = 0
		} else if arg.Name == "" {
			at++
		}
		if arg.Name != "" {
			n = -1
			for j, name := range names {
				if name == arg.Name {
					n = j
				}
			}
		}
		if n < 0 || n >= len(slots) {
			l.errorAt(arg.Pos, "P204", "timestamp takes a time zone, year, month, day, hour, minute and second", "")
			return l.na()
		}
		slots[n] = v.slot()
	}
	return l.function(x.Pos, "timestamp", types.IntType, slots...)
}
