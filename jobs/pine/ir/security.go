package ir

import (
	"fmt"

	"millrace/jobs/pine/syntax"
	"millrace/jobs/pine/types"
)

// maxSubs bounds how many programs run over other timeframes: each holds what its expression reaches.
const maxSubs = 100

var securityOrder = []string{"symbol", "timeframe", "expression", "gaps", "lookahead", "ignore_invalid_symbol", "currency", "calc_bars_count"}

// security lowers request.security of the chart's own symbol: everything its expression reaches is
// copied into a program that runs over the bars of the other timeframe.
func (l *lowerer) security(x *syntax.Call) value {
	args := map[string]syntax.Arg{}
	for i, a := range x.Args {
		name := a.Name
		if name == "resolution" {
			name = "timeframe"
		}
		if name == "" && i < len(securityOrder) {
			name = securityOrder[i]
		}
		args[name] = a
	}
	for _, need := range securityOrder[:3] {
		if _, ok := args[need]; !ok {
			l.errorAt(x.Pos, "P204", "request.security is called without its parameter \""+need+"\"", "")
			return l.na()
		}
	}
	if len(l.p.Subs) >= maxSubs {
		l.errorAt(x.Pos, "P406", fmt.Sprintf("request.security is called more than %d times", maxSubs), "request several values in one call, as a tuple")
		return l.na()
	}
	sub := &Sub{Pos: x.Pos}
	symbol := l.scalar(args["symbol"].Value, "a symbol")
	kind := l.own[symbol.slot()]
	if text, ok := l.constText(symbol.slot()); ok && text == "" {
		kind = ownStandard
	}
	sub.HeikinAshi = kind == ownHeikinAshi
	tf := l.convert(x.Pos, l.scalar(args["timeframe"].Value, "a timeframe"), types.StringType, "a timeframe")
	sub.Gaps = l.flag(args, "gaps", "gaps_on", false)
	sub.LookAhead = l.flag(args, "lookahead", "lookahead_on", l.version <= 2) && !l.ownTimeframe(args["timeframe"].Value, tf.slot())
	// What has been computed so far, and then the expression.
	var prefix Block
	for _, b := range append(append([]*Block{}, l.stack...), l.block) {
		if b != &l.prologue {
			prefix = append(prefix, *b...)
		}
	}
	var v value
	depth := l.depth
	l.depth = 0
	code := l.inBlock(func() { v = l.expr(args["expression"].Value, true) })
	l.depth = depth
	if len(v.slots) == 0 {
		if !l.diags.HasErrors() {
			l.errorAt(args["expression"].Pos, "P203", "request.security wants a value", "")
		}
		return l.na()
	}
	sub.Code = append(append(clone(l.prologue), clone(prefix)...), code...)
	sub.Results = v.slots
	l.reduce(&sub.Body, sub.Results)
	if message, advice, code := l.unavailable(sub, kind); message != "" {
		return l.refuseAll(x.Pos, v, code, message, advice)
	}
	in := &Inst{Op: OpSecurity, Args: []Slot{tf.slot()}, N: len(l.p.Subs), Pos: x.Pos}
	l.p.Subs = append(l.p.Subs, sub)
	out := l.likeOf(v)
	in.Dst = out.slots
	l.emit(in)
	return out
}

// likeOf is a value of new slots with the types of v; numbers where v is na.
func (l *lowerer) likeOf(v value) value {
	out := value{typ: v.typ}
	for _, s := range v.slots {
		t := l.info(s).Type
		if t.Kind == types.NA {
			t = types.FloatType
		}
		out.slots = append(out.slots, l.temp(t))
	}
	if len(v.slots) == 1 {
		out.typ = l.info(out.slots[0]).Type
		if v.typ.Kind != types.NA {
			out.typ = v.typ
		}
	}
	return out
}

// refuseAll gives values that are an error where they reach an order.
func (l *lowerer) refuseAll(p syntax.Pos, like value, code int, message, advice string) value {
	out := l.likeOf(like)
	for _, s := range out.slots {
		l.emit(&Inst{Op: OpRefuse, Dst: []Slot{s}, N: code, Name: message, Advice: advice, Pos: p})
	}
	return out
}

// ownTimeframe reports whether a timeframe is the chart's.
func (l *lowerer) ownTimeframe(x syntax.Expr, s Slot) bool {
	if text, ok := l.constText(s); ok && text == "" {
		return true
	}
	return types.Modern(l.dotted(x), l.version, false) == "timeframe.period"
}

// unavailable says why a request cannot be answered; an empty message: it can.
func (l *lowerer) unavailable(sub *Sub, kind ownSymbol) (message, advice string, code int) {
	if kind == notOwn {
		return "request.security of another symbol is not available", "use syminfo.tickerid, the chart's own symbol", 305
	}
	for _, s := range sub.Results {
		if l.info(s).Type.IsReference() {
			return "request.security of a collection or an object is not available", "request its numbers", 305
		}
	}
	visit(sub.Code, func(in *Inst) {
		switch {
		case message != "":
		case in.Op == OpRead:
			message, advice, code = in.Name+" cannot be read inside request.security", "request prices, and combine them with it outside", 305
		case in.Op == OpRefuse:
			message, advice, code = in.Name, in.Advice, in.N
		}
	})
	if message == "" && sub.LookAhead && l.looksAhead(sub) {
		return "request.security with lookahead on reads prices before they are known", "drop lookahead, or request the value one bar back, as in close[1]", 308
	}
	return message, advice, code
}

// flag reads a fixed argument that is a constant of barmerge or a bool.
func (l *lowerer) flag(args map[string]syntax.Arg, name, on string, def bool) bool {
	a, ok := args[name]
	if !ok {
		return def
	}
	s := l.scalar(a.Value, name).slot()
	if text, ok := l.constText(s); ok {
		return text == on
	}
	if v, ok := l.constNumber(s); ok {
		return True(v)
	}
	l.errorAt(a.Pos, "P208", name+" of request.security is fixed", "write the value itself")
	return def
}

// visit calls f for every instruction.
func visit(b Block, f func(*Inst)) {
	for _, in := range b {
		f(in)
		for _, inner := range in.Blocks {
			visit(inner, f)
		}
	}
}

func clone(b Block) Block {
	out := make(Block, len(b))
	for i, in := range b {
		c := *in
		c.Blocks = make([]Block, len(in.Blocks))
		for j, inner := range in.Blocks {
			c.Blocks[j] = clone(inner)
		}
		out[i] = &c
	}
	return out
}
