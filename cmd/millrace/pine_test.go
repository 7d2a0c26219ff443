package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
)

func TestPineCheckNamesTheLineOrTheInputs(t *testing.T) {
	t.Parallel()
	check := func(source string) (int, string) {
		file := filepath.Join(t.TempDir(), "s.pine")
		require.NoError(t, os.WriteFile(file, []byte(source), 0o600))
		var out bytes.Buffer
		status := run(t.Context(), []string{"pine", "check", file}, &out, &out)
		return status, out.String()
	}
	status, out := check("//@version=6\nstrategy(\"Ten\")\nn = input.int(10, \"Bars\", minval=2)\nif bar_index % n == 0\n    strategy.entry(\"L\", strategy.long)\n")
	require.Zero(t, status, out)
	require.Contains(t, out, "Ten: class")
	require.Contains(t, out, "Bars")
	status, out = check("//@version=6\nstrategy(\"Ten\")\nx = unheard_of + 1\n")
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "s.pine:3:")
}

// pineFiles writes a script and bars on which it trades, and returns their folder.
func pineFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("ten.pine", `//@version=6
strategy("Every few bars", default_qty_value=2)
n = input.int(4, "Bars", minval=2, maxval=50)
how = input.string("Long", "Side", options=["Long", "Short"])
if bar_index % n == 0
    strategy.entry("in", how == "Long" ? strategy.long : strategy.short, comment="go")
if bar_index % n == 1
    strategy.close("in")
`)
	write("bad.pine", "//@version=6\nstrategy(\"Bad\")\nx = unheard_of + 1\n")
	var bars bytes.Buffer
	status := run(t.Context(), []string{"data", "generate", "--bars", "60", "--interval", "1h", "--start", "2025-03-01", "-o", filepath.Join(dir, "bars.csv")}, &bars, &bars)
	require.Zero(t, status, bars.String())
	return dir
}

func pineVerb(t *testing.T, dir string, args ...string) (int, string) {
	t.Helper()
	t.Chdir(dir)
	var out bytes.Buffer
	status := run(t.Context(), append([]string{"pine"}, args...), &out, &out)
	return status, out.String()
}

func TestPineRunAndCompareNeedNoServer(t *testing.T) {
	dir := pineFiles(t)
	status, out := pineVerb(t, dir, "run", "ten.pine", "--bars", "bars.csv", "--trades", "trades.csv")
	require.Zero(t, status, out)
	require.Contains(t, out, "Every few bars: 15 trades")
	list, err := os.ReadFile(filepath.Join(dir, "trades.csv"))
	require.NoError(t, err)
	lines := strings.Split(string(list), "\n")
	require.Contains(t, lines[0], "Trade #,Type,Date and time,Signal,Price,Position size (qty)")
	require.Regexp(t, `^1,Exit long,2025-03-01 02:00,in,[0-9.]+,2,`, lines[1])
	require.Regexp(t, `^1,Entry long,2025-03-01 01:00,go,[0-9.]+,2,`, lines[2])

	status, out = pineVerb(t, dir, "compare", "ten.pine", "trades.csv", "--bars", "bars.csv")
	require.Zero(t, status, out)
	require.Contains(t, out, "15 of 15 trades are alike")
	status, out = pineVerb(t, dir, "compare", "ten.pine", "trades.csv", "--bars", "bars.csv", "--zone", "America/New_York")
	require.Zero(t, status, out)
	require.Contains(t, out, "time zone: the list's times are those of UTC+5h0m")
	status, out = pineVerb(t, dir, "compare", "ten.pine", "trades.csv", "--bars", "bars.csv", "--input", "Bars=5")
	require.Equal(t, 1, status, out)
	require.Contains(t, out, "first difference: missing\ntheirs: trade 2, long 2: 2025-03-01 05:00")
	require.Contains(t, out, "likely reason: other inputs")

	status, out = pineVerb(t, dir, "run", "ten.pine", "--bars", "bars.csv", "--input", "Side=Short", "--input", "n=10", "--trades", "-")
	require.Zero(t, status, out)
	require.Contains(t, out, "Entry short")
}

func TestPineRunSaysWhatIsWrongWithItsArguments(t *testing.T) {
	dir := pineFiles(t)
	for _, c := range []struct {
		want   string
		status int
		args   []string
	}{
		{"bad.pine:3:5: error", 1, []string{"run", "bad.pine", "--bars", "bars.csv"}},
		{"bad.pine:3:5: error", 1, []string{"tune", "bad.pine", "--dataset", "none"}},
		{"the script has no such input; it has: Bars, Side", 2, []string{"run", "ten.pine", "--bars", "bars.csv", "--input", "Length=3"}},
		{"--input Bars: 99 is outside 2 to 50", 2, []string{"run", "ten.pine", "--bars", "bars.csv", "--input", "Bars=99"}},
		{`--input Side: "Up" is none of: Long, Short`, 2, []string{"run", "ten.pine", "--bars", "bars.csv", "--input", "Side=Up"}},
		{"want NAME=VALUE", 2, []string{"run", "ten.pine", "--bars", "bars.csv", "--input", "Bars"}},
		{"0 bars are between", 2, []string{"run", "ten.pine", "--bars", "bars.csv", "--from", "2030-01-01"}},
		{"--exchange", 2, []string{"run", "ten.pine", "--bars", "bars.csv", "--exchange", "Moon"}},
		{"--dataset=NAME or --bars=FILE", 2, []string{"run", "ten.pine"}},
		{"no such file", 2, []string{"run", "ten.pine", "--bars", "none.csv"}},
		{"bars.csv: line 1: there is no column", 1, []string{"compare", "ten.pine", "bars.csv", "--bars", "bars.csv"}},
	} {
		status, out := pineVerb(t, dir, c.args...)
		require.Equal(t, c.status, status, "%v: %s", c.args, out)
		require.Contains(t, out, c.want, "%v", c.args)
	}
}

// The examples of the help are commands that the program takes.
func TestTheExamplesOfThePineVerbsParse(t *testing.T) {
	t.Parallel()
	word := regexp.MustCompile(`"[^"]*"|\S+`)
	for _, help := range []string{pineRunCmd{}.Help(), pineTuneCmd{}.Help(), pineCompareCmd{}.Help()} {
		examples := 0
		for line := range strings.SplitSeq(help, "\n") {
			command, ok := strings.CutPrefix(line, "  millrace ")
			if !ok {
				continue
			}
			examples++
			args := word.FindAllString(command, -1)
			for i := range args {
				args[i] = strings.Trim(args[i], `"`)
			}
			parser, err := kong.New(&commands{})
			require.NoError(t, err)
			_, err = parser.Parse(args)
			require.NoError(t, err, line)
		}
		require.NotZero(t, examples)
	}
}
