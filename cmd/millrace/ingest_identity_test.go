package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// A file is the same document however it is named, and files of the same name in two folders are two.
func TestAFolderAndAFileInItAreTheSameDocument(t *testing.T) {
	client := servers(t, "")
	dir := t.TempDir()
	for name, content := range map[string]string{"a/readme.md": "Turtles buy breakouts.", "b/readme.md": "Pairs come back."} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	outcomes := func(args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		require.Zero(t, run(t.Context(), append(append([]string{"ingest", "--json"}, client...), args...), &stdout, &stderr), stderr.String())
		var all []string
		for line := range strings.Lines(stdout.String()) {
			var row types.Ingest
			require.NoError(t, json.Unmarshal([]byte(line), &row))
			all = append(all, *row.Outcome)
		}
		return strings.Join(all, " ")
	}
	require.Equal(t, "created", outcomes(filepath.Join(dir, "a", "readme.md")))
	require.Equal(t, "created", outcomes(filepath.Join(dir, "b", "readme.md")), "a document was overwritten by another of the same file name")
	require.Equal(t, "unchanged unchanged", outcomes(dir))
	t.Chdir(filepath.Join(dir, "a"))
	require.Equal(t, "unchanged", outcomes("readme.md"))
	require.NoError(t, os.Symlink(dir, filepath.Join(dir, "b", "link")))
	require.Equal(t, "unchanged", outcomes("../b/link/b/readme.md"))
	require.NoError(t, os.WriteFile("readme.md", []byte("Turtles sell lows."), 0o600))
	require.Equal(t, "replaced unchanged", outcomes(".."))

	require.Equal(t, "created created", outcomes("--root", "..", ".."))
	require.Equal(t, "unchanged", outcomes("--root", "..", "readme.md"))
	var out bytes.Buffer
	require.Equal(t, 2, run(t.Context(), append(append([]string{"ingest", "--root", "../b"}, client...), "readme.md"), &out, &out))
	require.Contains(t, out.String(), "is not below")
}
