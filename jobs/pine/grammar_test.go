package pine

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// scriptWriter writes random scripts by a small grammar: series and conditions with and without
// state, variables that change in branches, functions, loops, arrays, and orders under any of them.
type scriptWriter struct {
	r      *rand.Rand
	out    strings.Builder
	floats []string
	bools  []string
	vars   []string
	n      int
	v6     bool
	apart  bool // the broker's state is read in the conditions of orders only
	held   bool // variables follow the position, and little else reads the broker
}

func (w *scriptWriter) line(depth int, format string, args ...any) {
	w.out.WriteString(strings.Repeat("    ", depth))
	fmt.Fprintf(&w.out, format, args...)
	w.out.WriteByte('\n')
}

func (w *scriptWriter) pick(list []string) string { return list[w.r.IntN(len(list))] }

func (w *scriptWriter) name(prefix string) string {
	w.n++
	return fmt.Sprintf("%s%d", prefix, w.n)
}

func (w *scriptWriter) length() string {
	return w.pick([]string{"2", "3", "5", "8", "fast", "slow"})
}

func (w *scriptWriter) float(depth int) string {
	if depth <= 0 {
		return w.pick(append([]string{"close", "open", "high", "low", "hl2", "1.5", "100.0"}, w.floats...))
	}
	a, b := func() string { return w.float(depth - 1) }, func() string { return w.float(depth - 1) }
	switch w.r.IntN(16) {
	case 0:
		return fmt.Sprintf("(%s + %s)", a(), b())
	case 1:
		return fmt.Sprintf("(%s - %s)", a(), b())
	case 2:
		return fmt.Sprintf("(%s * 0.5)", a())
	case 3:
		return fmt.Sprintf("ta.sma(%s, %s)", a(), w.length())
	case 4:
		return fmt.Sprintf("ta.ema(%s, %s)", a(), w.length())
	case 5:
		return fmt.Sprintf("ta.highest(%s, %s)", a(), w.length())
	case 6:
		return fmt.Sprintf("nz(%s, %s)", a(), b())
	case 7:
		return fmt.Sprintf("(%s ? %s : %s)", w.bool(depth-1), a(), b())
	case 8:
		return fmt.Sprintf("math.max(%s, %s)", a(), b())
	case 9, 10:
		if !w.apart {
			return w.pick([]string{"strategy.position_size", "nz(strategy.position_avg_price, close)"})
		}
	case 11:
		return fmt.Sprintf("smooth(%s)", a())
	case 12:
		return fmt.Sprintf("ta.valuewhen(%s, %s, 1)", w.bool(depth-1), a())
	case 13:
		if len(w.floats) > 0 {
			return fmt.Sprintf("%s[%d]", w.pick(w.floats), w.r.IntN(4))
		}
	case 14:
		return fmt.Sprintf("(%s)[%d]", a(), 1+w.r.IntN(3))
	}
	return fmt.Sprintf("close[%d]", w.r.IntN(5))
}

func (w *scriptWriter) bool(depth int) string {
	if depth <= 0 {
		return w.pick(append([]string{"close > open", "high > high[1]", "bar_index % 7 == 3"}, w.bools...))
	}
	switch w.r.IntN(9) {
	case 0:
		return fmt.Sprintf("ta.%s(%s, %s)", w.pick([]string{"crossover", "crossunder", "cross"}), w.float(depth-1), w.float(depth-1))
	case 1:
		return fmt.Sprintf("(%s and %s)", w.bool(depth-1), w.bool(depth-1))
	case 2:
		return fmt.Sprintf("(%s or %s)", w.bool(depth-1), w.bool(depth-1))
	case 3:
		return fmt.Sprintf("not (%s)", w.bool(depth-1))
	case 4, 5:
		if !w.apart {
			return w.pick([]string{"strategy.position_size == 0", "strategy.position_size > 0"})
		}
	case 6:
		return fmt.Sprintf("barssince3(%s)", w.bool(depth-1))
	}
	return fmt.Sprintf("%s %s %s", w.float(depth-1), w.pick([]string{">", "<", ">=", "<=", "!="}), w.float(depth-1))
}

func (w *scriptWriter) order(depth int) {
	switch w.r.IntN(8) {
	case 0, 1:
		w.line(depth, "strategy.entry(\"L\", strategy.long)")
	case 2:
		w.line(depth, "strategy.entry(\"S\", strategy.short)")
	case 3:
		w.line(depth, "strategy.close(\"L\")")
	case 4:
		w.line(depth, "strategy.close_all()")
	case 5:
		w.line(depth, "strategy.exit(\"X\", \"L\", stop=%s, limit=close + %d)", w.pick(append([]string{"close - 2"}, w.vars...)), 1+w.r.IntN(4))
	case 6:
		w.line(depth, "strategy.entry(\"B\", strategy.long, stop=%s)", w.pick(append([]string{"high + 1"}, w.vars...)))
	case 7:
		w.line(depth, "strategy.cancel(\"B\")")
	}
}

// follows writes variables that follow the position, in the ways of scripts that trail or count.
func (w *scriptWriter) follows() {
	v := w.pick(w.vars)
	w.line(0, "if strategy.position_size %s 0", w.pick([]string{"==", "==", "<=", ">=", ">"}))
	w.line(1, "%s := %s", v, w.pick([]string{"na", "0.0", "fast", "nz(" + v + ") * 0.5", "nz(" + v + ") + 1", "strategy.netprofit", w.pick(w.vars)}))
	if w.r.IntN(3) == 0 {
		w.line(1, "var float once%d = %s", w.n, w.pick([]string{"1.0", "close"}))
		w.line(1, "%s := once%d", w.pick(w.vars), w.n)
		w.n++
	}
	if w.r.IntN(4) == 0 {
		w.line(0, "if %s", w.pick([]string{v + " > 2", "na(" + v + ")", "strategy.equity > strategy.initial_capital"}))
		w.line(1, "%s := %s", w.pick(w.vars), w.pick([]string{"1.0", "nz(" + v + ") + 1", "close"}))
	}
	if w.r.IntN(4) == 0 {
		w.line(0, "var bool early%d = %s or strategy.position_size > 0", w.n, w.bool(1))
		w.line(0, "if early%d and nz(%s) < 3", w.n, v)
		w.n++
		w.line(1, "%s := %s", w.pick(w.vars), w.pick([]string{"close", "1.0"}))
		w.order(1)
	}
	w.line(0, "if strategy.position_size %s 0", w.pick([]string{">", "!=", "<"}))
	w.line(1, "%s := %s", v, w.pick([]string{"math.max(nz(" + v + ", high), high)", "nz(" + v + ") + 1", "close - 1", "nz(" + v + ") * 0.5 - low"}))
	w.line(1, "if %s", w.pick([]string{"close < " + v + " - 1", "nz(" + v + ") > 3", w.bool(1)}))
	w.order(2)
	if w.r.IntN(2) == 0 {
		w.order(1)
	}
	w.line(0, "if %s%s", w.bool(2), w.pick([]string{"", " and strategy.position_size == 0", " and nz(" + v + ") < 100", " and nz(" + v + ") > 4", " or nz(" + v + ") == 7"}))
	if w.r.IntN(2) == 0 {
		w.line(1, "%s := %s", w.pick(w.vars), w.pick([]string{"close", "1.0"}))
	}
	w.order(1)
	if w.r.IntN(4) == 0 {
		w.line(0, "else")
		w.line(1, "%s := %s", w.pick(w.vars), w.pick([]string{"close", "1.0", w.pick(w.vars)}))
	}
}

func (w *scriptWriter) statement(depth int) {
	if w.held && depth == 0 && w.r.IntN(4) == 0 {
		w.follows()
		return
	}
	saveF, saveB := len(w.floats), len(w.bools)
	switch w.r.IntN(12) {
	case 0, 1:
		name := w.name("f")
		w.line(depth, "%s = %s", name, w.float(3))
		w.floats = append(w.floats, name)
		return
	case 2, 3:
		name := w.name("b")
		w.line(depth, "%s = %s", name, w.bool(3))
		w.bools = append(w.bools, name)
		return
	case 4:
		if len(w.vars) > 0 && !w.held {
			w.line(depth, "%s := %s", w.pick(w.vars), w.float(2))
		}
	case 5:
		name := w.name("i")
		w.line(depth, "for %s = 0 to %d", name, w.r.IntN(4))
		if len(w.vars) > 0 && !w.held {
			v := w.pick(w.vars)
			w.line(depth+1, "%s := nz(%s) * 0.5 + close[%s]", v, v, name)
		}
		w.line(depth+1, "if %s > 2", name)
		w.line(depth+2, "break")
	case 6:
		w.line(depth, "array.push(list, %s)", w.float(1))
		w.line(depth, "if array.size(list) > 5")
		w.line(depth+1, "array.shift(list)")
		name := w.name("a")
		w.line(depth, "%s = array.avg(list)", name)
		w.floats = append(w.floats, name)
		return
	default:
		if w.apart && w.r.IntN(2) == 0 {
			w.line(depth, "if %s", w.bool(2))
			w.line(depth+1, "%s := %s", w.pick(w.vars), w.float(2))
			break
		}
		if !w.apart && w.r.IntN(3) == 0 {
			name := w.name("g")
			w.line(depth, "%s = close", name)
			w.line(depth, "if strategy.position_size %s 0", w.pick([]string{">", "==", "<"}))
			w.line(depth+1, "%s := open - 1", name)
			w.floats = append(w.floats, name)
			return
		}
		guard := w.pick([]string{"", "", " and strategy.position_size == 0", " and strategy.position_size > 0", " and strategy.position_size != 0", " and strategy.opentrades == 0"})
		w.line(depth, "if %s%s", w.bool(2), guard)
		if w.apart && depth == 0 {
			w.order(depth + 1)
			break
		}
		for range 1 + w.r.IntN(2) {
			if depth < 2 {
				w.statement(depth + 1)
			}
		}
		w.order(depth + 1)
		if w.r.IntN(3) == 0 {
			w.line(depth, "else")
			w.order(depth + 1)
		}
	}
	w.floats, w.bools = w.floats[:saveF], w.bools[:saveB]
}

func randomScript(seed uint64) string {
	w := &scriptWriter{r: rand.New(rand.NewPCG(seed, 1)), v6: seed%3 != 0, apart: seed%2 == 0 || seed%5 < 2, held: seed%5 < 2}
	version := 5
	if w.v6 {
		version = 6
	}
	w.line(0, "//@version=%d", version)
	w.line(0, "strategy(\"random\", pyramiding=%d, process_orders_on_close=%v, default_qty_type=%s)", w.r.IntN(3), w.r.IntN(4) == 0, w.pick([]string{"strategy.fixed", "strategy.percent_of_equity"}))
	w.line(0, "fast = input.int(3, \"Fast\", minval=1)")
	w.line(0, "slow = input.int(7, \"Slow\", minval=1)")
	w.line(0, "smooth(x) =>")
	w.line(1, "var float s = na")
	w.line(1, "s := na(s) ? x : s * 0.7 + nz(x[1], x) * 0.3")
	w.line(1, "s")
	w.line(0, "barssince3(c) => nz(ta.barssince(c), 10) < 3")
	w.line(0, "var list = array.new_float(0)")
	for range 1 + w.r.IntN(3) {
		name := w.name("v")
		w.line(0, "var float %s = %s", name, w.pick([]string{"na", "0.0", "close"}))
		w.vars = append(w.vars, name)
		if !w.held { // their histories would have to be kept on every bar
			w.floats = append(w.floats, name)
		}
	}
	for range 4 + w.r.IntN(8) {
		w.statement(0)
	}
	w.line(0, "if %s", w.bool(2))
	w.line(1, "strategy.entry(\"L\", strategy.long)")
	return w.out.String()
}
