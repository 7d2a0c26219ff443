// Package python_test runs the tests of the Python client.
package python_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/ops/program"
)

// interpreter is that of the environment that .ci/python has prepared. Without it the test fails where
// MILLRACE_REQUIRE is set, as in .ci/run, and is skipped elsewhere.
func interpreter(t *testing.T) string {
	t.Helper()
	program.Find(t, "python3-venv", "python3")
	python, err := filepath.Abs(filepath.Join(".venv", "bin", "python"))
	require.NoError(t, err)
	out, err := exec.Command(python, "-c", "import httpx, pandas, polars, pyarrow, pytest, pytest_asyncio, nbclient, jsonschema, standardwebhooks, millrace").CombinedOutput()
	if err == nil {
		return python
	}
	const advice = "the environment of the Python tests is not there: run .ci/python, which installs it from PyPI"
	if os.Getenv("MILLRACE_REQUIRE") != "" {
		t.Fatalf("%s\n%s%v", advice, out, err)
	}
	t.Skip(advice)
	return ""
}

// The Python client does what its tests say, against the server of this tree: through its kill and
// restart, from the notebook, and as a wheel.
func TestThePythonClient(t *testing.T) {
	python := interpreter(t)
	binary := filepath.Join(t.TempDir(), "millrace")
	out, err := exec.Command("go", "build", "-o", binary, "millrace/cmd/millrace").CombinedOutput()
	require.NoError(t, err, "%s", out)
	tests := exec.Command(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", filepath.Join(t.TempDir(), "pytest"))
	tests.Env = append(os.Environ(), "MILLRACE_BIN="+binary, "PYTHONDONTWRITEBYTECODE=1")
	out, err = tests.CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Logf("%s", out)
}
