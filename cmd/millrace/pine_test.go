package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

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
