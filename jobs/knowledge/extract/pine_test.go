package extract_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/knowledge/extract"
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

func TestPineReadsVersionDeclarationAndInputs(t *testing.T) {
	t.Parallel()
	e, err := extract.Pine([]byte(script), "x.pine")
	require.NoError(t, err)
	require.Equal(t, `Golden "Cross"`, e.Title)
	require.Equal(t, 5, e.Metadata["version"])
	require.Equal(t, "strategy", e.Metadata["declaration"])
	require.Empty(t, e.Metadata["lint"])
	require.Equal(t, []extract.PineInput{
		{Name: "fastLen", Type: "int", Title: "Fast length", Default: "50", Min: "1", Max: "200", Step: "5", Line: 5},
		{Name: "risk", Type: "float", Title: "Risk, in %", Default: "1.5", Line: 6},
		{Name: "src", Default: "close", Line: 7},
		{Name: "src2", Type: "source", Title: "Source", Default: "ta.sma(close, 2)", Line: 8},
	}, e.Metadata["inputs"])

	var starts []int
	for _, block := range e.Blocks {
		starts = append(starts, block.Position.Line)
	}
	require.Equal(t, []int{1, 5, 10, 12, 17}, starts, "an empty line within a function cuts nothing")
	require.True(t, strings.HasPrefix(e.Blocks[3].Text, "cross(a, b) =>"))
	require.Contains(t, e.Blocks[3].Text, "x and not x[1]")
}

func TestPineLint(t *testing.T) {
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
		e, err := extract.Pine([]byte(source), "x.pine")
		require.NoError(t, err)
		var got []string
		for _, finding := range e.Metadata["lint"].([]extract.PineFinding) {
			got = append(got, fmt.Sprintf("%s:%d", finding.Code, finding.Line))
			require.NotEmpty(t, finding.Message)
		}
		require.Equal(t, want, got, source[:min(len(source), 120)])
	}
}

func TestPineLooksLikePine(t *testing.T) {
	t.Parallel()
	require.True(t, extract.LooksLikePine([]byte(script)))
	require.True(t, extract.LooksLikePine([]byte("indicator(\"x\")\nplot(close)")))
	require.False(t, extract.LooksLikePine([]byte("A strategy (in the sense of Chandler) is a plan.")))
	_, err := extract.Pine([]byte(" \n"), "x.pine")
	rejected(t, err, "empty")
}
