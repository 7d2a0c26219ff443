package conventions_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every direct dependency of go.mod has one line in CONTRIBUTING.md that gives its reason, and no other
// module has one.
func TestEachDirectDependencyHasItsReason(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	direct := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^(?:require )?\t?(\S+\.\S+/\S+|\S+\.\S+) v\S+$`).FindAllStringSubmatch(string(mod), -1) {
		direct[match[1]] = true
	}
	require.Greater(t, len(direct), 20, "go.mod was not understood")

	guide, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(guide), "## Dependencies\n")
	require.True(t, found, "CONTRIBUTING.md has a section Dependencies")
	section, _, _ = strings.Cut(section, "\n## ")
	reasons := map[string]bool{}
	for _, match := range regexp.MustCompile("(?m)^- `([^`]+)`: \\S.*$").FindAllStringSubmatch(section, -1) {
		require.False(t, reasons[match[1]], "%s is listed twice", match[1])
		reasons[match[1]] = true
	}
	for module := range direct {
		require.True(t, reasons[module], "%s is a direct dependency: say in CONTRIBUTING.md why, on one line", module)
	}
	for module := range reasons {
		require.True(t, direct[module], "%s is not a direct dependency: take its line out of CONTRIBUTING.md", module)
	}
}
