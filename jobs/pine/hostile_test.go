package pine

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// most is how many bytes compiling a script may allocate in all. Of these at most 64 MiB are held at once: what
// lists leave behind as they grow is a third of it.
const most = 96 << 20

// hostile are scripts made to cost more than they look, each at or beyond a limit, and the line that is at fault; 0: it
// compiles.
func hostile() []struct {
	name, source string
	line         int
} {
	lines := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format+"\n", i)
		}
		return b.String()
	}
	order := "if close > z\n    strategy.entry(\"L\", strategy.long)\n"
	var doubling strings.Builder
	doubling.WriteString("f0(float x) => x + close\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&doubling, "f%d(float x) => f%d(x) * f%d(x + 1)\n", i, i-1, i-1)
	}
	tuples := "g0(float x) => [x, x + 1]\n"
	for i := 1; i < 30; i++ {
		tuples += fmt.Sprintf("g%d(float x) =>\n    [a, b] = g%d(x)\n    [c, d] = g%d(x + 1)\n    [a + c, b + d]\n", i, i-1, i-1)
	}
	return []struct {
		name, source string
		line         int
	}{
		{"parentheses 5,000 deep", v6 + "z = " + strings.Repeat("(", 5000) + "1" + strings.Repeat(")", 5000) + "\n" + order, 3},
		{"signs 60,000 deep", v6 + "z = " + strings.Repeat("-", 60_000) + "1\n" + order, 3},
		{"not 20,000 deep", v6 + "z = " + strings.Repeat("not ", 20_000) + "true\n", 3},
		{"brackets of history 5,000 deep", v6 + "z = close" + strings.Repeat("[close", 5000) + "\n" + order, 3},
		{"conditions 40,000 deep", v6 + "z = " + strings.Repeat("na?1:", 40_000) + "2\n" + order, 3},
		{"blocks 150 deep", v6 + nested(150), 103},
		{"a sum of 40,000 terms", v6 + "z = " + strings.Repeat("close+", 40_000) + "1\n" + order, 3},
		{"24,900 additions to one variable", v6 + "z = 0.0\n" + strings.Repeat("z+=close\n", 24_900) + order, 0},
		{"11,000 reads of what is written again", v6 + "var z = 0.0\n" + strings.Repeat("z := z[1] + close\n", 11_000) + order, 0},
		{"14,200 pushes to one array", v6 + "var a = array.new_float()\n" + strings.Repeat("a.push(close)\n", 14_200) + "z = a.size()\n" + order, 0},
		{"a switch of 9,000 cases", v6 + "z = switch bar_index\n" + lines(9000, "    %d => close") + order, 0},
		{"130,000 words", v6 + strings.Repeat("z=1,", 65_000) + "\n", 3},
		{"a megabyte of comments", v6 + strings.Repeat("// filler\n", 100_000), 1},
		{"a text of 250,000 characters", v6 + "s = \"" + strings.Repeat("x", 250_000) + "\"\nz = str.length(s)\n" + order, 0},
		{"functions that double 40 times", v6 + doubling.String() + "z = f39(close)\n" + order, 4},
		{"tuples that double 30 times", v6 + tuples + "[z, y] = g29(close)\n" + order, 7},
		{"3,000 loops", v6 + "z = 0.0\n" + lines(3000, "for i = 0 to 3\n    z += i * %d") + order, 0},
		{"500 inputs", v6 + "z = 0.0\n" + lines(500, "z += input.float(1.0, \"N%d\")") + order, 0},
		{"5,000 inputs", v6 + "z = 0.0\n" + lines(5000, "z += input.float(1.0, \"N%d\")") + order, 0},
		{"2,000 columns", v6 + "z = 0.0\n" + lines(2000, "z += ta.ema(close, %d + 1)") + order, 1},
		{"recursion", v6 + "f(float x) => f(x - 1)\nz = f(3)\n" + order, 3},
		{"a matrix of types", v6 + lines(3000, "type T%d\n    float a\n    float b") + "z = 1\n" + order, 0},
		{"options without end", v6 + "z = input.string(\"a\", \"n\", options=[\"a\"" + strings.Repeat(", \"b\"", 40_000) + "]) == \"a\" ? 1 : 0\n" + order, 0},
	}
}

// What compiling may cost is bounded by what it allocates, which does not depend on the machine as a time would.
func TestHostileScriptsCompileWithinTheirMemory(t *testing.T) {
	for _, c := range hostile() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		program, diags := Compile(c.source)
		runtime.ReadMemStats(&after)
		first := 0
		for _, d := range diags {
			if d.Severity == "error" && first == 0 {
				first = d.Line
			}
		}
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%-42s %5.1f MiB, error on line %d, compiles %v", c.name, float64(allocated)/(1<<20), first, program != nil)
		if allocated > most {
			t.Errorf("%s: compiling it allocates %d MiB, more than %d", c.name, allocated>>20, most>>20)
		}
		if first != c.line || (program == nil) != (c.line > 0) {
			t.Errorf("%s: the error is on line %d, want %d: %.200v", c.name, first, c.line, diags)
		}
	}
}
