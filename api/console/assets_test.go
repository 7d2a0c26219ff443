package console

import (
	"path"
	"testing"

	"github.com/stretchr/testify/require"
)

// Scripts are at most 150 kB compressed in all, and are sent so.
func TestScriptsAndStylesStaySmall(t *testing.T) {
	t.Parallel()
	all, err := readAssets()
	require.NoError(t, err)
	scripts, styles := 0, 0
	for name, a := range all {
		switch path.Ext(name) {
		case ".js":
			require.Less(t, len(a.gzip), len(a.body), name)
			scripts += len(a.gzip)
		case ".css":
			styles += len(a.gzip)
		}
	}
	require.Positive(t, scripts)
	require.LessOrEqual(t, scripts, 150_000)
	t.Logf("scripts %d bytes, styles %d, compressed", scripts, styles)
}
