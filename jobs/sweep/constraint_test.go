package sweep

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs/backtest"
)

func TestConstraintHolds(t *testing.T) {
	t.Parallel()
	names := []string{"fast", "slow", "width"}
	params := backtest.Params{10, 30, 2.5}
	for source, want := range map[string]bool{
		"fast < slow":                         true,
		"slow < fast":                         false,
		"fast >= 10":                          true,
		"fast == 10 and slow != 30":           false,
		"fast == 10 && !(slow == 31)":         true,
		"not (fast < slow) or width > 2":      true,
		"slow - fast * 2 >= 10":               true,
		"slow / fast == 3":                    true,
		"slow % 7 == 2":                       true,
		"width ** 2 == 6.25":                  true,
		"width ^ 2 > 6.3":                     false,
		"-fast < +slow":                       true,
		"5 < fast < slow":                     true,
		"5 < fast < 8":                        false,
		"fast / 0 > slow":                     true,  // infinity is more than any number
		"(fast - 10) / (slow - 30) != 1":      false, // 0/0 compares with nothing
		"fast < slow || (fast > 1 && 1 == 2)": true,
	} {
		truth, err := compileConstraint(source, names)
		require.NoError(t, err, source)
		require.Equal(t, want, truth(params), source)
	}
}

func TestConstraintRefuses(t *testing.T) {
	t.Parallel()
	for source, reason := range map[string]string{
		"":                                    "cannot be read",
		"fast <":                              "cannot be read at column",
		"fast < slwo":                         `"slwo" is not a parameter`,
		"fast":                                "number where a comparison",
		"1 < 2":                               "names no parameter",
		"fast + (fast < slow) > 1":            "comparison where a number",
		"abs(fast) < 3":                       "calls a function",
		"len([fast]) == 1":                    "calls a function",
		"all([1], # > fast)":                  "calls a function",
		"fast in [1, 2]":                      `operator "in"`,
		`fast == "10"`:                        "not a number",
		"fast == nil":                         "not a number",
		"true":                                "not a number",
		"fast.size > 1":                       "syntax that constraints do not have",
		"fast > 1 ? fast < 2 : fast < 3":      "syntax that constraints do not have",
		"let x = 1; fast < x":                 "syntax that constraints do not have",
		"fast > 1; slow > 1":                  "syntax that constraints do not have",
		"fast in 1..3":                        `operator "in"`,
		"fast ?? 1 > 2":                       "",
		"fast | max(1) > 2":                   "",
		strings.Repeat("fast+", 50) + "1":     "characters long",
		strings.Repeat("-", 100) + "fast < 1": "more than 60 terms",
		"not fast < 1 && (fast = 2)":          "cannot be read",
		"$env.fast < 1":                       "",
	} {
		_, err := compileConstraint(source, []string{"fast", "slow"})
		require.ErrorContains(t, err, reason, source)
	}
}

func FuzzConstraint(f *testing.F) {
	for _, seed := range []string{
		"fast < slow", "not (fast % 3 == 0) and slow ** 2 > fast", "1 < fast < slow", "((((fast))))<1",
		"let x = 1; x < fast", "fast?.a", "filter([1], # > fast)", "fast | max(2) < 1", "'\x00' < fast", "if fast {1} else {2}",
	} {
		f.Add(seed)
	}
	names := []string{"fast", "slow"}
	f.Fuzz(func(t *testing.T, source string) {
		truth, err := compileConstraint(source, names)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		require.True(t, strings.Contains(source, "fast") || strings.Contains(source, "slow"))
		for _, p := range []backtest.Params{{1, 2}, {0, 0}, {math.MaxFloat64, -1}, {math.Inf(1), math.NaN()}} {
			require.Equal(t, truth(p), truth(p))
		}
	})
}
