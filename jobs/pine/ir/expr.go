package ir

import (
	"fmt"
	"strconv"
	"strings"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// expr lowers an expression. Without want its value is not used.
func (l *lowerer) expr(x syntax.Expr, want bool) value {
	if l.over {
		return l.na()
	}
	switch x := x.(type) {
	case *syntax.Number:
		if x.Int {
			return one(types.IntType, l.constant(types.IntType, x.Value))
		}
		return one(types.FloatType, l.constant(types.FloatType, x.Value))
	case *syntax.Text:
		return one(types.StringType, l.text(x.Value))
	case *syntax.Bool:
		return l.boolean(x.Value)
	case *syntax.Color:
		n, _ := strconv.ParseUint(strings.TrimPrefix(x.Value, "#")[:6], 16, 32)
		return one(types.ColorType, l.constant(types.ColorType, float64(n)))
	case *syntax.Ident:
		return l.ident(x)
	case *syntax.Member:
		return l.member(x)
	case *syntax.Call:
		return l.call(x, want)
	case *syntax.Index:
		return l.index(x)
	case *syntax.Unary:
		return l.unary(x)
	case *syntax.Binary:
		return l.binary(x)
	case *syntax.Ternary:
		return l.ternary(x)
	case *syntax.Tuple:
		return l.tuple(x)
	case *syntax.If:
		return l.ifExpr(x, want)
	case *syntax.For:
		return l.forExpr(x, want)
	case *syntax.ForIn:
		return l.forIn(x, want)
	case *syntax.While:
		return l.while(x, want)
	case *syntax.Switch:
		return l.switchExpr(x, want)
	}
	return l.na()
}

// scalar lowers an expression that must have one value.
func (l *lowerer) scalar(x syntax.Expr, what string) value {
	v := l.expr(x, true)
	if len(v.slots) == 1 && v.typ.Kind != types.Tuple {
		return v
	}
	if !l.diags.HasErrors() {
		l.errorAt(x.At(), "P203", fmt.Sprintf("%s wants one value and gets %s", what, describe(v.typ)), "")
	}
	return l.na()
}

func (l *lowerer) condition(x syntax.Expr) Slot {
	return l.convert(x.At(), l.scalar(x, "a condition"), types.BoolType, "a condition").slot()
}

func (l *lowerer) tuple(x *syntax.Tuple) value {
	if len(x.Items) == 0 {
		l.errorAt(x.Pos, "P203", "the brackets hold no value", "write a value, or array.new for an empty array")
		return l.na()
	}
	v := value{typ: &types.Type{Kind: types.Tuple}}
	for _, item := range x.Items {
		i := l.scalar(item, "a tuple")
		v.slots = append(v.slots, i.slot())
		v.typ.Items = append(v.typ.Items, i.typ)
	}
	return v
}
