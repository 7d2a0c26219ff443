package extract_test

import (
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

// front is a front end that says the same of every script.
func front(facts extract.PineFacts) extract.PineReader {
	return func(string) extract.PineFacts { return facts }
}

func TestPineKeepsWhatTheFrontEndSaysAndCutsTheText(t *testing.T) {
	t.Parallel()
	input := extract.PineInput{Name: "fastLen", Type: "int", Line: 5}
	e, err := extract.Pine([]byte(script), "x.pine", front(extract.PineFacts{
		Version: 5, Declaration: "strategy", Title: `Golden "Cross"`, Inputs: []extract.PineInput{input}, Tunable: true,
	}))
	require.NoError(t, err)
	require.Equal(t, `Golden "Cross"`, e.Title)
	require.Equal(t, 5, e.Metadata["version"])
	require.Equal(t, "strategy", e.Metadata["declaration"])
	require.Equal(t, []extract.PineInput{input}, e.Metadata["inputs"])
	require.Equal(t, true, e.Metadata[extract.PineTunable])
	require.Equal(t, script, e.Metadata[extract.PineScript], "what can be tuned is kept whole")
	refused := extract.PineFinding{Code: "P302", Line: 2, Message: "gives no orders"}
	other, err := extract.Pine([]byte(script), "x.pine", front(extract.PineFacts{Refusals: []extract.PineFinding{refused}}))
	require.NoError(t, err)
	require.NotContains(t, other.Metadata, extract.PineScript)
	require.Equal(t, []extract.PineFinding{refused}, other.Metadata[extract.PineRefusals])

	var starts []int
	for _, block := range e.Blocks {
		starts = append(starts, block.Position.Line)
	}
	require.Equal(t, []int{1, 5, 10, 12, 17}, starts, "an empty line within a function cuts nothing")
	require.True(t, strings.HasPrefix(e.Blocks[3].Text, "cross(a, b) =>"))
	require.Contains(t, e.Blocks[3].Text, "x and not x[1]")
}

func TestPineLooksLikePine(t *testing.T) {
	t.Parallel()
	require.True(t, extract.LooksLikePine([]byte(script)))
	require.True(t, extract.LooksLikePine([]byte("indicator(\"x\")\nplot(close)")))
	require.False(t, extract.LooksLikePine([]byte("A strategy (in the sense of Chandler) is a plan.")))
	_, err := extract.Pine([]byte(" \n"), "x.pine", front(extract.PineFacts{}))
	rejected(t, err, "empty")
}
