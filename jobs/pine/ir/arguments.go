package ir

import (
	"fmt"
	"math"
	"strings"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// arguments are those of a built-in call by parameter; nil where not given.
type arguments struct {
	l     *lowerer
	call  *syntax.Call
	sig   *types.Signature
	vals  []*value
	extra []value // of the repeated parameter
}

// bindArguments lowers a built-in call's arguments in the order in which they are written.
func (l *lowerer) bindArguments(x *syntax.Call, sig *types.Signature, recv *value) (*arguments, bool) {
	written := strings.TrimSuffix(sig.Name, "@4") // the form of before version 5
	a := &arguments{l: l, call: x, sig: sig, vals: make([]*value, len(sig.Params))}
	at := 0
	if recv != nil {
		a.vals[0], at = recv, 1
	}
	positional := len(x.Args)
	for _, arg := range x.Args {
		if arg.Name != "" {
			positional--
		}
	}
	if recv != nil {
		positional++
	}
	// The short forms of highest, pivothigh and the like leave out the source.
	if len(sig.Params) > 0 && sig.Params[0].Optional && !sig.Params[len(sig.Params)-1].Optional && positional < len(sig.Params) && recv == nil && !a.named("source") {
		at = 1
	}
	for _, arg := range x.Args {
		n := -1
		if arg.Name == "" {
			n = at
			if at < len(sig.Params) && !sig.Params[at].Repeated {
				at++
			}
		} else {
			for i, p := range sig.Params {
				if p.Name == arg.Name || oldName(arg.Name) == p.Name {
					n = i
				}
			}
			if n < 0 && len(sig.Params) > 0 && sig.Params[len(sig.Params)-1].Repeated {
				n = len(sig.Params) - 1
			}
		}
		if n < 0 || n >= len(sig.Params) {
			if arg.Name != "" {
				l.errorAt(arg.Pos, "P204", fmt.Sprintf("%s has no parameter %q", written, arg.Name), "")
			} else {
				l.errorAt(arg.Pos, "P204", fmt.Sprintf("%s takes at most %d arguments", written, len(sig.Params)), "")
			}
			return nil, false
		}
		v := l.scalar(arg.Value, sig.Name)
		if sig.Params[n].Name == "comment" && v.typ.Kind == types.Bool && arg.Name == "" {
			// Early scripts of version 5 give when in this place.
			for i, p := range sig.Params {
				if p.Name == "when" {
					n = i
				}
			}
		}
		if sig.Params[n].Repeated {
			a.extra = append(a.extra, v)
			continue
		}
		a.vals[n] = &v
	}
	for i, p := range sig.Params {
		if a.vals[i] == nil && !p.Optional && !p.Repeated {
			l.errorAt(x.Pos, "P204", fmt.Sprintf("%s is called without its parameter %q", written, p.Name), "")
			return nil, false
		}
	}
	return a, true
}

func (a *arguments) named(name string) bool {
	for _, arg := range a.call.Args {
		if arg.Name == name || oldName(arg.Name) == name {
			return true
		}
	}
	return false
}

// oldName maps parameter names of older versions.
func oldName(name string) string {
	switch name {
	case "x", "x1":
		return "source"
	case "y":
		return "length"
	case "long":
		return "direction"
	case "resolution":
		return "timeframe"
	}
	return name
}

// slot is the argument converted to its parameter's type, or na.
func (a *arguments) slot(i int, first *types.Type) Slot {
	l, p := a.l, a.sig.Params[i]
	t := paramType(p.Type, first)
	v := a.vals[i]
	if v == nil {
		if t == nil {
			t = types.FloatType
		}
		return l.constant(t, math.NaN())
	}
	return l.argument(a.call.Pos, *v, p, t)
}

func (l *lowerer) argument(pos syntax.Pos, v value, p types.Param, t *types.Type) Slot {
	if t == nil {
		if p.Type == "num" {
			n, ok := l.number(v)
			if !ok {
				l.errorAt(pos, "P203", fmt.Sprintf("%s wants a number and gets a %s", p.Name, v.typ), "")
			}
			return n.slot()
		}
		return v.slot()
	}
	if t.Kind == types.String && v.typ.Kind == types.Enum {
		return v.slot()
	}
	c := l.convert(pos, v, t, p.Name)
	if t.Kind == types.Int && v.typ.Kind != types.NA {
		if info := l.info(c.slot()); info.Kind == SlotConst && info.Value != math.Trunc(info.Value) || info.Kind == SlotVar && (v.typ.Kind == types.Float || l.version < 6) {
			return l.op(pos, OpTrunc, types.IntType, c.slot())
		}
	}
	return c.slot()
}

// paramType is the type a parameter of a table wants, or nil for any.
func paramType(name string, first *types.Type) *types.Type {
	switch name {
	case "elem":
		if first != nil {
			return first.Elem
		}
	case "key":
		if first != nil {
			return first.Key
		}
	case "any", "num", "arr", "mat", "map":
		return nil
	}
	return types.Scalar(name)
}
