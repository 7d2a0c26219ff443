package ir

import (
	"math"
	"strings"
	"testing"

	"millrace/jobs/pine/syntax"
)

func lower(t *testing.T, source string) (*Program, syntax.Diagnostics) {
	t.Helper()
	script, diags := syntax.Parse(source)
	return Lower(script, &diags), diags
}

const head = "//@version=6\nstrategy(\"t\")\n"

// order makes what is wrong reach an order.
const order = "\nif close > open\n    strategy.entry(\"L\", strategy.long)\n"

func TestScriptsAreRefusedWithLineCodeAndAdvice(t *testing.T) {
	for _, c := range []struct {
		name, source string
		line         int
		code, text   string
	}{
		{"unknown name", head + "x = foo", 3, "P201", "foo"},
		{"old name in a new version", head + "x = sma(close, 3)", 3, "P201", "sma"},
		{"wrong type", head + "x = close + \"a\"", 3, "P203", "str.tostring"},
		{"number as a condition in version 6", head + "if bar_index\n    x = 1", 3, "P203", "bool"},
		{"unknown parameter", head + "x = ta.sma(close, len=3)", 3, "P204", "len"},
		{"missing parameter", head + "x = ta.sma(close)", 3, "P204", "length"},
		{"recursion", head + "f(x) => f(x - 1)\ny = f(3)", 3, "P303", "calls itself"},
		{"another symbol", head + "x = request.security(\"NYSE:IBM\", \"D\", close)\nif x > 0\n    strategy.close_all()", 3, "P305", "another symbol"},
		{"lower timeframe data", head + "x = request.security_lower_tf(syminfo.tickerid, \"1\", close)", 3, "P305", "lower timeframe"},
		{"a number as a direction", head + "strategy.entry(\"L\", array.from(1))", 3, "P203", "direction"},
		{"an array where a number belongs", head + "x = nz(array.new_float())", 3, "P203", "array<float>"},
		{"a map as text", head + "x = str.tostring(map.new<int, int>())", 3, "P203", "cannot become a text"},
		{"brackets without a value", head + "x = []", 3, "P203", "no value"},
		{"look-ahead", head + "x = request.security(syminfo.tickerid, \"D\", close, lookahead=barmerge.lookahead_on)\nif x > 0\n    strategy.close_all()", 3, "P308", "before they are known"},
		{"the broker's state in another timeframe", head + "x = request.security(syminfo.tickerid, \"D\", strategy.equity)\nif x > 0\n    strategy.close_all()", 3, "P305", "strategy.equity"},
		{"a read value that is set", head + "strategy.initial_capital = 500", 3, "P111", "initial_capital=…"},
		{"too many requests", head + "var x = 0.0, " + strings.Repeat("x := request.security(syminfo.tickerid, \"60\", close), ", 101) + "y = 1", 3, "P406", "more than 100"},
		{"library", head + "import a/b/1 as c", 3, "P306", "libraries"},
		{"negative offset", head + "x = close[-1]", 3, "P304", "future"},
		{"offset beyond the limit", head + "x = close[6000]", 3, "P404", "5000"},
		{"indicator", "//@version=6\nindicator(\"t\")\nplot(close)", 2, "P302", "no orders"},
		{"no declaration", "//@version=6\nx = 1", 1, "P302", "strategy()"},
		{"unknown version", "//@version=9\nstrategy(\"t\")", 1, "P301", "version 9"},
		{"global changed by a function", head + "var a = 0\nf() =>\n    a := 1\nx = f()", 5, "P207", "global"},
		{"bounds that contradict", head + "x = input.int(5, \"x\", minval=9, maxval=3)", 3, "P208", "minval"},
		{"the clock in an order", head + "if timenow > 0\n    strategy.entry(\"L\", strategy.long)", 3, "P305", "timenow"},
		{"no orders", head + "x = close", 1, "P302", "gives no orders"},
		{"break outside of a loop", head + "break", 3, "P206", "loop"},
	} {
		source := c.source
		if c.text != "gives no orders" && c.text != "no orders" && c.text != "strategy()" {
			source += order
		}
		_, diags := lower(t, source)
		found := false
		for _, d := range diags {
			if d.Severity == syntax.Error && d.Line == c.line && d.Code == c.code && (strings.Contains(d.Message, c.text) || strings.Contains(d.Advice, c.text)) {
				found = true
			}
		}
		if !found {
			t.Errorf("%s: %v", c.name, diags)
		}
	}
}

func TestWhatReachesNoOrderIsDropped(t *testing.T) {
	p, diags := lower(t, head+`a = ta.sma(close, 5)
b = ta.ema(close, 7)
plot(a)
var lines = array.new_float()
array.push(lines, a)
if barstate.islast
    label.new(bar_index, high, str.tostring(timenow))
if ta.crossover(close, b)
    strategy.entry("L", strategy.long)
`)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	laws := ""
	visit(p.Code, func(in *Inst) {
		if in.Op == OpKernel {
			laws += in.Name + " "
		}
		if in.Op == OpObject || in.Op == OpRefuse {
			t.Errorf("%s is kept", in.Name)
		}
	})
	if laws != "ema crossover " {
		t.Errorf("kept %q", laws)
	}
}

func TestFunctionsAreWrittenOutAtEachCallWithTheirOwnState(t *testing.T) {
	p, diags := lower(t, head+"f(x) =>\n    var s = 0.0\n    s := s + x\n    s\nif f(close) > f(open)\n    strategy.entry(\"L\", strategy.long)\n")
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	flags := map[int]bool{}
	visit(p.Code, func(in *Inst) {
		if in.Op == OpOnce {
			flags[in.N] = true
		}
	})
	if len(flags) != 2 {
		t.Errorf("%d initialisations for two calls", len(flags))
	}
}

func TestManyCallsOfManyCallsAreRefusedInTime(t *testing.T) {
	var b strings.Builder
	b.WriteString(head + "f0(x) => x + close\n")
	for i := range 20 {
		b.WriteString("f" + string(rune('a'+i)) + "(x) =>\n")
		inner := "f0"
		if i > 0 {
			inner = "f" + string(rune('a'+i-1))
		}
		b.WriteString("    " + inner + "(x) + " + inner + "(x + 1) + " + inner + "(x + 2)\n")
	}
	b.WriteString("y = ft(1)\nif y > 0\n    strategy.entry(\"L\", strategy.long)\n")
	_, diags := lower(t, b.String())
	if !diags.HasErrors() || diags[0].Code != "P403" {
		t.Errorf("%v", diags)
	}
}

func TestInputsKeepNamesBoundsAndOptions(t *testing.T) {
	p, diags := lower(t, head+`enum Mode
    fast = "Fast one"
    slow
len = input.int(14, "Length", minval=2, maxval=50, step=2)
len2 = input(3)
k = input.float(1.5, title="Length")
on = input.bool(true)
src = input.source(hlc3, "Source")
how = input.string("b", "How", options=["a", "b", "c"])
mode = input.enum(Mode.slow, "Mode")
tf = input.timeframe("60", "Frame")
unused = input.int(9, "Unused")
if ta.sma(src, len + len2) > k and on and how == "b" and mode == Mode.slow and request.security(syminfo.tickerid, tf, close) > 1
    strategy.entry("L", strategy.long)
`)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	by := map[string]Input{}
	for _, in := range p.Inputs {
		by[in.Name] = in
	}
	if in := by["Length"]; in.Kind != InputInt || in.Default != 14 || in.Min != 2 || in.Max != 50 || in.Step != 2 || in.Variable != "len" {
		t.Errorf("%+v", in)
	}
	if in := by["len2"]; in.Kind != InputInt || in.Default != 3 || !math.IsNaN(in.Min) {
		t.Errorf("%+v", in)
	}
	if in := by["Length_2"]; in.Kind != InputFloat || in.Default != 1.5 {
		t.Errorf("%+v", in)
	}
	if in := by["How"]; in.Kind != InputEnum || in.Default != 1 || strings.Join(in.Labels, "") != "abc" {
		t.Errorf("%+v", in)
	}
	if in := by["Mode"]; in.Kind != InputEnum || in.Default != 1 || in.Labels[0] != "Fast one" || in.Labels[1] != "slow" {
		t.Errorf("%+v", in)
	}
	if in := by["Source"]; in.Kind != InputSource || in.Labels[int(in.Default)] != "hlc3" {
		t.Errorf("%+v", in)
	}
	for _, in := range p.Inputs {
		if in.Used != (in.Name != "Unused") {
			t.Errorf("%s: reaches an order: %v", in.Name, in.Used)
		}
	}
}

func TestConstantsAreFoldedByTheVersionsRules(t *testing.T) {
	for _, c := range []struct {
		source string
		want   float64
	}{
		{"//@version=6\nx = 5 / 2", 2.5},
		{"//@version=5\nx = 5 / 2", 2},
		{"//@version=6\nx = -7 % 3", -1},
		{"//@version=6\nx = 2 + 3 * 4", 14},
		{"//@version=6\nx = true ? 1 : 2", 1},
		{"//@version=6\nx = math.max(1, 5, 3)", 5},
		{"//@version=6\nx = math.round(2.5)", 3},
		{"//@version=6\nx = math.round(1.2345, 2)", 1.23},
		{"//@version=6\nx = timestamp(\"2024-01-02\")", 1704153600000},
		{"//@version=6\nx = nz(na, 4)", 4},
		{"//@version=6\nx = int(3.9)", 3},
		{"//@version=6\nx = 0.1 + 0.2 == 0.3 ? 1 : 0", 1},
	} {
		p, diags := lower(t, c.source+"\nstrategy(\"t\")\nstrategy.entry(\"L\", strategy.long, qty=x)\n")
		if diags.HasErrors() {
			t.Errorf("%q: %v", c.source, diags)
			continue
		}
		visit(p.Code, func(in *Inst) {
			if in.Op == OpOrder {
				if info := p.Slots[in.Args[2]]; info.Kind != SlotConst || info.Value != c.want {
					t.Errorf("%q: quantity %+v, want %v", c.source, info, c.want)
				}
			}
		})
	}
}
