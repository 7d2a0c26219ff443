package syntax

import "testing"

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"//@version=6\nstrategy(\"a\")\nif close > open\n    strategy.entry(\"L\", strategy.long)\n",
		"x = switch\n    a => 1\n    => 2\n", "f(x) =>\n    [a, b] = g(x)\n    a + b\n", "for [i, v] in arr\n    s += v\n",
		"type T\n    int a = 1\n    array<float> b\n", "x = a ? b : c ? d : e", "\tx = \"\"\"a\nb\"\"\"", "a = (1,\n  2", "x = #ff00", "if a\n  b\nelse",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, source string) {
		script, diags := Parse(source)
		if script == nil {
			t.Fatal("no script")
		}
		for _, d := range diags {
			if d.Line < 1 || d.Column < 1 || d.Code == "" || d.Message == "" {
				t.Fatalf("diagnostic without place or text: %+v", d)
			}
		}
	})
}
