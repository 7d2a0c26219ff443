package pinedoc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge/extract"
	"millrace/jobs/worker/ingestion/pinedoc"
)

const script = `//@version=5
// strategy("not this one")
strategy("Golden \"Cross\"", overlay = true, initial_capital = 10000)

fastLen = input.int(50, "Fast length", minval = 1, maxval = 200, step = 5)
var float risk = input.float(defval = 1.5, title = "Risk, in %", tooltip = "a, b)")
src     = input(close)
src2    = input.source(title = 'Source', defval = ta.sma(close, 2))

fast = ta.sma(src, fastLen)

cross(a, b) =>
    x = a > b

    x and not x[1] // security(

if cross(fast, src)
    strategy.entry("long", strategy.long)
`

func TestAScriptsFactsAreThoseOfTheFrontEnd(t *testing.T) {
	t.Parallel()
	facts := pinedoc.Read(script)
	require.Equal(t, `Golden "Cross"`, facts.Title)
	require.Equal(t, 5, facts.Version)
	require.Equal(t, "strategy", facts.Declaration)
	require.Empty(t, facts.Lint)
	require.True(t, facts.Tunable, facts.Refusals)
	require.Equal(t, []extract.PineInput{
		{Name: "fastLen", Type: "int", Title: "Fast length", Default: "50", Min: "1", Max: "200", Step: "5", Line: 5},
		{Name: "risk", Type: "float", Title: "Risk, in %", Default: "1.5", Line: 6},
		{Name: "src", Default: "close", Line: 7},
		{Name: "src2", Type: "source", Title: "Source", Default: "ta.sma(close, 2)", Line: 8},
	}, facts.Inputs)
}

func TestWhatCannotBeTunedSaysWhyAndWhere(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"//@version=6\nindicator(\"x\")\nplot(close)\n":           "P302:2",
		"//@version=6\nstrategy(\"x\")\ny = unheard_of + 1\n":     "P201:3",
		"//@version=6\nstrategy(\"x\"\n":                          "P1",
		"not a script at all":                                     "P",
		strings.Repeat("// a long comment\n", 20_000) + "x = 1\n": "P401:1",
	} {
		facts := pinedoc.Read(source)
		require.False(t, facts.Tunable)
		require.NotEmpty(t, facts.Refusals, source[:min(len(source), 80)])
		first := facts.Refusals[0]
		require.True(t, strings.HasPrefix(fmt.Sprintf("%s:%d", first.Code, first.Line), want), "%s: %v", want, first)
	}
}

func TestLintNamesTheLine(t *testing.T) {
	t.Parallel()
	long := "//@version=5\nindicator(\"x\")\n" + strings.Repeat("plot(close)\n", 499)
	for source, want := range map[string][]string{
		"indicator(\"x\")\n":                                    {"E001:0"},
		"//@version=9\nindicator(\"x\")\n":                      {"E002:1"},
		"//@version=five\nindicator(\"x\")\n":                   {"E002:1"},
		"//@version=5\nplot(close)\n":                           {"E003:0"},
		"plot(close)":                                           {"E001:0", "E003:0"},
		"//@version=6\nlibrary(\"x\")\nexport f(x) =>\n    x\n": nil,
		"// @version = 4\nstudy(\"x\")\nexport f(x) => x\na = security(syminfo.tickerid, \"D\", close)\n":                       {"I001:3", "W003:4"},
		"//@version=5\nindicator(\"x\")\na = request.security(\"X\", \"D\", close, barmerge.gaps_off, barmerge.lookahead_on)\n": {"W002:3"},
		"//@version=5\nindicator(\"x\")\n// security( barmerge.lookahead_on\nb = \"security(\" + mysecurity(close)\n":           nil,
		"//@version=5\nindicator(\"x\")\nx = f(security(a, b, c)) + security (a, b, c)\n":                                       {"W003:3", "W003:3"},
		long:                {"I002:0"},
		long[:len(long)-12]: nil,
	} {
		var got []string
		for _, finding := range pinedoc.Read(source).Lint {
			got = append(got, fmt.Sprintf("%s:%d", finding.Code, finding.Line))
			require.NotEmpty(t, finding.Message)
		}
		require.Equal(t, want, got, source[:min(len(source), 120)])
	}
}
