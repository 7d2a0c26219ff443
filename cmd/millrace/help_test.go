package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"millrace/ops/program"
)

// model is the program's commands as they are parsed.
func model(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := kong.New(&commands{}, kong.Name("millrace"), kong.PostBuild(described))
	require.NoError(t, err)
	return parser
}

// words splits a command line as a shell does, as far as examples need it.
func words(line string) (all []string) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			if n := len(all); n > 0 && strings.HasSuffix(all[n-1], "\x00") {
				all[n-1] = strings.TrimSuffix(all[n-1], "\x00") + part
			} else {
				all = append(all, part)
			}
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}

func TestEveryVerbHasAnExampleThatParses(t *testing.T) {
	leaves := map[string]bool{}
	for _, leaf := range model(t).Model.Leaves(true) {
		leaves[verbOf(leaf)] = true
		require.NotEmpty(t, examples()[verbOf(leaf)], "%s has no example", verbOf(leaf))
		require.Contains(t, leaf.Detail, "Examples:")
	}
	// Files that examples name have to be there to be parsed.
	t.Chdir(t.TempDir())
	for _, file := range []string{"prices.csv", "new.csv", "means.pine", "trades.csv", "questions.jsonl", "tune.millrace"} {
		require.NoError(t, os.WriteFile(file, nil, 0o600))
	}
	for verb, lines := range examples() {
		require.True(t, leaves[verb], "%s is not a verb", verb)
		for _, line := range lines {
			found, err := model(t).Parse(words(line)[1:])
			require.NoError(t, err, line)
			require.Equal(t, verb, verbOf(found.Selected()), line)
		}
	}
}

// A flag that has no variable is not named by that of another verb's.
func TestAFlagIsNamedByItsOwnVariable(t *testing.T) {
	t.Parallel()
	said := func(args ...string) string {
		parser := model(t)
		_, err := parser.Parse(args)
		require.Error(t, err)
		return withVariable(parser.Model.Node, err).Error()
	}
	require.NotContains(t, said("tune", "--data"), "MILLRACE_DATA")
	require.Contains(t, said("dev", "--data"), "--data (MILLRACE_DATA): ")
	require.Contains(t, said("worker", "--drain", "x"), "--drain (MILLRACE_DRAIN): ")
	require.Contains(t, said("doctor", "--profile", "x"), "--profile (CONFIG_PROFILE) ")
}

func TestHelpIsAVerbToo(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"--help"}, asked([]string{"help"}))
	require.Equal(t, []string{"admin", "key", "--help"}, asked([]string{"help", "admin", "key"}))
	require.Equal(t, []string{"ask", "help"}, asked([]string{"ask", "help"}))
	require.Empty(t, asked(nil))
}

func TestAVerbsOwnFlagsComeFirst(t *testing.T) {
	leaves := model(t).Model.Leaves(true)
	for _, leaf := range leaves {
		for _, flag := range leaf.Flags {
			require.Equal(t, map[string]bool{"url": true, "api-key": true, "workspace": true, "env-file": true, "admin-token": true}[flag.Name], flag.Group != nil,
				"--%s of %s", flag.Name, verbOf(leaf))
		}
	}
	for _, flag := range model(t).Model.Flags {
		require.True(t, flag.Group != nil || flag.Name == "help", flag.Name)
	}
}

func TestBashCompletesVerbsAndFlags(t *testing.T) {
	bash := program.Find(t, "bash", "bash")
	for _, shell := range []string{"bash", "zsh", "fish"} {
		var out, errs bytes.Buffer
		require.Zero(t, run(t.Context(), []string{"completion", shell}, &out, &errs), errs.String())
		require.Contains(t, out.String(), "admin key create")
		if shell != "bash" {
			continue
		}
		for line, want := range map[string]string{
			"millrace tun": "tune tunes", "millrace admin au": "audit", "millrace admin key --role member cre": "create", "millrace tune --max": "--max-drawdown",
		} {
			script := out.String() + "\nCOMP_WORDS=(" + line + ")\nCOMP_CWORD=$((${#COMP_WORDS[@]} - 1))\n_millrace\necho \"${COMPREPLY[*]}\""
			got, err := exec.Command(bash, "-uc", script).CombinedOutput()
			require.NoError(t, err, string(got))
			require.Equal(t, want, strings.TrimSpace(string(got)), line)
		}
	}
}

func TestRowsArePrintedAsAskedFor(t *testing.T) {
	v := newVerbs(t)
	v.ok("admin", "workspace", "create", "research")
	key := strings.TrimSpace(v.ok("admin", "key", "create", "research", "ci"))
	as := []string{"--api-key", key, "--url", v.url}
	require.Contains(t, v.ok(append([]string{"strategies"}, as...)...), "sma_cross")
	require.Regexp(t, `^name,parameters,what it does\n`, v.ok(append([]string{"strategies", "-o", "csv"}, as...)...))
	require.Regexp(t, `^\[\{"name":`, v.ok(append([]string{"strategies", "-o", "json"}, as...)...))
	require.Equal(t, "id,status,strategy,dataset,trials,best,created\n", v.ok(append([]string{"tunes", "list", "-o", "csv"}, as...)...))
	require.Regexp(t, `^id +name`, v.ok(append([]string{"plans", "list"}, as...)...))
	status, _, errs := v.run(append([]string{"tunes", "show", "01900000-0000-7000-8000-000000000001"}, as...)...)
	require.Equal(t, 1, status, errs)
}
