package ir

import (
	"fmt"
	"math"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
	"millrace/jobs/portable"
)

var mathOps = map[string]Op{"abs": OpAbs, "sqrt": OpSqrt, "floor": OpFloor, "ceil": OpCeil}

func (l *lowerer) callMath(x *syntax.Call, name string, a *arguments) value {
	switch name {
	case "sum":
		return l.kernel(x.Pos, "sum", []*types.Type{types.FloatType}, a.slot(0, nil), a.slot(1, nil))
	case "max", "min", "avg":
		return l.variadic(x, name, a)
	}
	t := types.Scalar(a.sig.Results[0])
	if a.sig.Results[0] == "num" {
		n, _ := l.number(*a.vals[0])
		t = n.typ
	}
	if name == "round" {
		t = types.IntType
		if a.vals[1] != nil {
			t = types.FloatType
		}
	}
	if op, ok := mathOps[name]; ok {
		return one(t, l.op(x.Pos, op, t, a.slot(0, nil)))
	}
	slots := make([]Slot, len(a.sig.Params))
	consts := make([]float64, len(slots))
	fixed := name != "round_to_mintick"
	for i := range slots {
		slots[i] = a.slot(i, nil)
		v, ok := l.constNumber(slots[i])
		consts[i], fixed = v, fixed && ok
	}
	if f := Math(name); fixed && f != nil {
		return one(t, l.constant(t, f(consts)))
	}
	return l.function(x.Pos, "math."+name, t, slots...)
}

// Math is the pure function math.name over its arguments, or nil. round_to_mintick needs the market.
func Math(name string) func([]float64) float64 {
	one := func(f func(float64) float64) func([]float64) float64 {
		return func(a []float64) float64 { return f(a[0]) }
	}
	switch name {
	case "pow":
		return func(a []float64) float64 { return portable.Pow(a[0], a[1]) }
	case "exp":
		return one(portable.Exp)
	case "log":
		return one(portable.Log)
	case "log10":
		return one(portable.Log10)
	case "sin":
		return one(portable.Sin)
	case "cos":
		return one(portable.Cos)
	case "tan":
		return one(portable.Tan)
	case "asin":
		return one(portable.Asin)
	case "acos":
		return one(portable.Acos)
	case "atan":
		return one(portable.Atan)
	case "todegrees":
		return func(a []float64) float64 { return a[0] * 180 / math.Pi }
	case "toradians":
		return func(a []float64) float64 { return a[0] * math.Pi / 180 }
	case "sign":
		return func(a []float64) float64 {
			switch {
			case a[0] > 0:
				return 1
			case a[0] < 0:
				return -1
			}
			return a[0]
		}
	case "round":
		return func(a []float64) float64 {
			if a[1] != a[1] {
				return math.Floor(a[0] + 0.5)
			}
			scale := portable.Pow(10, a[1])
			return math.Floor(float64(a[0]*scale)+0.5) / scale
		}
	}
	return nil
}

func (l *lowerer) variadic(x *syntax.Call, name string, a *arguments) value {
	if len(a.extra) == 0 {
		l.errorAt(x.Pos, "P204", "math."+name+" needs arguments", "")
		return l.na()
	}
	t := types.IntType
	var slots []Slot
	for _, v := range a.extra {
		n, ok := l.number(v)
		if !ok {
			l.errorAt(x.Pos, "P203", fmt.Sprintf("math.%s wants numbers and gets a %s", name, v.typ), "")
			return l.na()
		}
		if n.typ.Kind == types.Float {
			t = types.FloatType
		}
		slots = append(slots, n.slot())
	}
	op := map[string]Op{"max": OpMax, "min": OpMin, "avg": OpAdd}[name]
	if name == "avg" {
		t = types.FloatType
	}
	r := slots[0]
	for _, s := range slots[1:] {
		r = l.op(x.Pos, op, t, r, s)
	}
	if name == "avg" {
		r = l.op(x.Pos, OpDiv, t, r, l.constant(types.IntType, float64(len(slots))))
	}
	return one(t, r)
}
