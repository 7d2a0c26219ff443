package ir

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// index lowers the history operator.
func (l *lowerer) index(x *syntax.Index) value {
	v := l.scalar(x.X, "a history")
	k := l.scalar(x.I, "an offset")
	if !k.typ.IsNumber() && k.typ.Kind != types.NA {
		l.errorAt(x.I.At(), "P203", fmt.Sprintf("an offset is an int, not a %s", k.typ), "")
		return v
	}
	if c, ok := l.constNumber(k.slot()); ok {
		switch {
		case c == 0:
			return v
		case c < 0:
			l.errorAt(x.I.At(), "P304", "a negative offset reads the future", "use an offset of zero or more")
			return v
		case c > MaxOffset:
			l.errorAt(x.I.At(), "P404", fmt.Sprintf("an offset is at most %d bars", MaxOffset), "")
			return v
		}
	}
	if name := l.dotted(x.X); name != "" {
		if s, ok := l.chartSeries(x.X.At(), types.Modern(name, l.version, false)); ok {
			return l.history(x.Pos, &syntax.Ident{Node: x.Node}, s, k.slot())
		}
	}
	return l.history(x.Pos, x.X, v, k.slot())
}

// chartSeries gives a built-in variable a value on every bar, before the script's first statement, so
// that its history counts bars also where a branch reads it.
func (l *lowerer) chartSeries(p syntax.Pos, name string) (value, bool) {
	t := types.Variable(name)
	if t == nil || slices.Contains(SeriesNames[:], name) || strings.HasPrefix(name, "ta.") || strings.HasPrefix(name, "session.") {
		return value{}, false
	}
	if _, refused := types.Refused(name); refused || l.find(name) != nil {
		return value{}, false
	}
	key := "history of " + name
	if v, ok := l.builtins[key]; ok {
		return v, true
	}
	outer := l.block
	l.block = &l.prologue
	v := l.variable(p, name, t)
	ok := l.info(v.slot()).Kind == SlotVar
	if ok {
		slot := l.temp(t)
		l.set(p, slot, v.slot())
		v = one(t, slot)
		l.builtins[key] = v
	}
	l.block = outer
	return v, ok
}

func (l *lowerer) history(p syntax.Pos, x syntax.Expr, v value, k Slot) value {
	info := l.info(v.slot())
	switch info.Kind {
	case SlotBar:
		dst := l.temp(v.typ)
		l.emit(&Inst{Op: OpBarHist, Dst: []Slot{dst}, Args: []Slot{k}, N: info.Index, Pos: p})
		return one(v.typ, dst)
	case SlotConst, SlotInput:
		return l.constHistory(p, v, k)
	}
	slot := v.slot()
	if _, named := x.(*syntax.Ident); !named {
		slot = l.temp(v.typ)
		l.set(p, slot, v.slot())
	}
	dst := l.temp(v.typ)
	l.emit(&Inst{Op: OpHist, Dst: []Slot{dst}, Args: []Slot{slot, k}, Pos: p})
	if v.typ.Kind == types.Bool && l.version >= 6 {
		return one(v.typ, l.op(p, OpNz, v.typ, dst, l.boolean(false).slot()))
	}
	return one(v.typ, dst)
}

// constHistory is a constant's history: na before the first bar.
func (l *lowerer) constHistory(p syntax.Pos, v value, k Slot) value {
	enough := l.op(p, OpGe, types.BoolType, l.bars[SeriesIndex], k)
	before := l.constant(v.typ, math.NaN())
	if v.typ.Kind == types.Bool && l.version >= 6 {
		before = l.boolean(false).slot()
	}
	return one(v.typ, l.op(p, OpSelect, v.typ, enough, v.slot(), before))
}
