package pine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"millrace/jobs/backtest"
	"millrace/jobs/pine/types"
)

// callWriter writes scripts that call functions of the tables with arguments of the right types and any
// values. Its choices come from bytes, so that a fuzzer can change one of them.
type callWriter struct {
	data []byte
	out  strings.Builder
	n    int
	vars map[string][]string // by type
}

func (w *callWriter) choose(n int) int {
	if len(w.data) == 0 {
		return 0
	}
	c := int(w.data[0])
	w.data = w.data[1:]
	return c % n
}

func (w *callWriter) oneOf(list ...string) string { return list[w.choose(len(list))] }

// argument spells a value of a type of the tables.
func (w *callWriter) argument(kind string) string {
	if have := w.vars[kind]; len(have) > 0 && w.choose(2) == 0 {
		return have[w.choose(len(have))]
	}
	switch kind {
	case "int", "elem_int":
		return w.oneOf("1", "2", "3", "0", "-1", "14", "bar_index", "int(na)", "time", "hour", "100000", "-2147483648", "9007199254740993")
	case "bool":
		return w.oneOf("close > open", "true", "false", "bar_index % 3 == 0", "barstate.isfirst")
	case "string":
		return w.oneOf(`"a"`, `""`, `"D"`, `"60"`, `"0930-1600"`, `"{0}"`, `"#.##"`, `"UTC"`, `"America/New_York"`, `"[a-z]+("`, `"yyyy-MM-dd'T'HH:mm"`, `syminfo.ticker`,
			`str.tostring(close)`, `"é€"`, `order.ascending`, `"percent"`, `string(na)`, `"S"`, `"1W"`, `"0000-0000:23"`)
	case "color":
		return "color.red"
	case "arr", "any_arr":
		return w.oneOf("fs", "ns", "ss", "bs")
	case "mat":
		return w.oneOf("m1", "m2", "m3")
	case "map":
		return "mp"
	case "elem", "key":
		return w.oneOf("1.5", "close", "float(na)", `"a"`)
	case "any":
		return w.oneOf("close", "fs", "m1", "bar_index", `"a"`, "close > open", "float(na)")
	}
	return w.oneOf("close", "open", "high", "volume", "hl2", "1.5", "0.0", "-3.25", "float(na)", "1e300", "close[1]", "close / 0.0", "1e-12")
}

func (w *callWriter) call(s *types.Signature) {
	var args []string
	named := false
	for _, p := range s.Params {
		if p.Optional && (named || w.choose(2) == 0) {
			named = true
			continue
		}
		count := 1
		if p.Repeated {
			count = 1 + w.choose(3)
		}
		for range count {
			a := w.argument(p.Type)
			if named && !p.Repeated {
				a = p.Name + "=" + a
			}
			args = append(args, a)
		}
	}
	text := fmt.Sprintf("%s(%s)", s.Name, strings.Join(args, ", "))
	if strings.HasPrefix(s.Name, "strategy.") && s.Results[0] == "void" {
		fmt.Fprintf(&w.out, "if bar_index %% %d == 1\n    %s\n", 2+w.choose(9), text)
		return
	}
	w.n++
	name := fmt.Sprintf("x%d", w.n)
	switch {
	case s.Results[0] == "void":
		fmt.Fprintln(&w.out, text)
	case len(s.Results) > 1:
		names := make([]string, len(s.Results))
		for i := range names {
			names[i] = fmt.Sprintf("%s_%d", name, i)
		}
		fmt.Fprintf(&w.out, "[%s] = %s\nacc += nz(%s)\n", strings.Join(names, ", "), text, names[w.choose(len(names))])
	case s.Results[0] == "float" || s.Results[0] == "int":
		fmt.Fprintf(&w.out, "%s = %s\nacc += nz(%s)\n", name, text, name)
		w.vars[s.Results[0]] = append(w.vars[s.Results[0]], name)
	case s.Results[0] == "bool":
		fmt.Fprintf(&w.out, "%s = %s\nacc += %s ? 1 : 2\n", name, text, name)
		w.vars["bool"] = append(w.vars["bool"], name)
	case s.Results[0] == "string":
		fmt.Fprintf(&w.out, "%s = %s\nacc += nz(str.length(%s))\n", name, text, name)
		w.vars["string"] = append(w.vars["string"], name)
	default:
		fmt.Fprintf(&w.out, "%s = %s\nacc += str.length(str.tostring(%s))\n", name, text, name)
	}
}

// script is as many calls as there are bytes for, at most eight.
func (w *callWriter) script(names []string) string {
	w.vars = map[string][]string{}
	w.out.WriteString(`//@version=6
strategy("calls", pyramiding=3)
k = input.int(3, "K")
fs = array.from(1.5, close, open, float(na))
ns = array.from(3, 1, bar_index)
ss = array.from("b", "a")
bs = array.from(true, close > open)
m1 = matrix.new<float>(2, 2, close)
m2 = matrix.new<float>(3, 2, 1.0)
m3 = matrix.new<int>(0, 0)
mp = map.new<string, float>()
mp.put("a", close)
var acc = 0.0
`)
	for range 8 {
		if len(w.data) < 2 {
			break
		}
		n := w.choose(256) + 256*w.choose(2)
		w.call(types.Function(names[n%len(names)]))
	}
	w.out.WriteString("if acc > acc[1]\n    strategy.entry(\"L\", strategy.long)\nelse\n    strategy.close(\"L\")\n")
	return w.out.String()
}

// callable are the names that a script of version 6 can call.
func callable() []string {
	var names []string
	for _, name := range types.Functions() {
		if !strings.HasSuffix(name, "@4") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// FuzzCalls runs scripts of any calls: whatever the arguments are, a script runs or fails with a line,
// and all ways of execution agree.
func FuzzCalls(f *testing.F) {
	names := callable()
	for i := range names {
		f.Add([]byte{byte(i), byte(i >> 8), 1, 2, 3, 4, 5, 6, 7, 8, 9})
		f.Add([]byte{byte(i), byte(i >> 8), 2, 9, 5, 12, 7, 3, 8, 6, 4, byte(i + 7), 0, 3, 3, 3, 3, 3})
	}
	bars := walkBars(11, 90)
	w := backtest.Window{From: 0, To: bars.Len()}
	f.Fuzz(func(t *testing.T, data []byte) {
		source := (&callWriter{data: data}).script(names)
		p, diags := Compile(source)
		if p == nil {
			for _, d := range diags {
				if d.Code == "P499" {
					t.Fatalf("the compiler fails: %s\n%s", d.Message, source)
				}
			}
			return
		}
		columns := p.NewColumns(bars, Market{})
		asked := 0
		stop := func(r *Run) { r.OnStop(func() bool { asked++; return asked > 50 }) }
		plain, _, plainErr := runAs(t, columns, nil, w, func(r *Run) { r.plain = true; stop(r) })
		asked = 0
		jumping, _, jumpingErr := runAs(t, columns, nil, w, stop)
		if plainErr == nil && jumpingErr == nil && !slices.Equal(plain, jumping) {
			t.Fatalf("jumping run differs: %s\n%s", firstDifference(plain, jumping), source)
		}
	})
}
