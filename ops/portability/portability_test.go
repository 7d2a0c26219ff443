package portability_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/ops/program"
)

const root = "../.."

// computing are the packages whose figures are stored and compared. Those of jobs/knowledge/judge are printed
// only, and the vectors of jobs/knowledge/bert are as near to each other as those of any provider of vectors.
func computing(t *testing.T) []string {
	t.Helper()
	var packages []string
	for _, room := range []string{"portable", "backtest", "pine", "sweep", "knowledge"} {
		err := filepath.WalkDir(filepath.Join(root, "jobs", room), func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.IsDir() || d.Name() == "testdata" {
				return err
			}
			files, err := filepath.Glob(filepath.Join(path, "*.go"))
			if path == filepath.Join(root, "jobs", "knowledge", "judge") || path == filepath.Join(root, "jobs", "knowledge", "bert") {
				return err
			}
			if len(files) > 0 && slices.ContainsFunc(files, func(f string) bool { return !strings.HasSuffix(f, "_test.go") }) {
				packages = append(packages, "./"+filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator))))
			}
			return err
		})
		require.NoError(t, err)
	}
	require.Greater(t, len(packages), 8)
	return packages
}

// golang runs the go command in the root of the repository, for arm64.
func golang(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=arm64", "GOOS=linux")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// A processor that multiplies and adds in one instruction rounds once where others round twice, and the
// compiler uses such instructions on arm64. An explicit conversion, float64(x*y) + z, keeps it from that.
func TestNoProductIsAddedWithoutRounding(t *testing.T) {
	t.Parallel()
	fused := regexp.MustCompile(`(?m)^\s*(\S+\.go:\d+)\s.*\b(?:FN?MADD|FN?MSUB)[SD]\b`)
	for _, pkg := range computing(t) {
		object := filepath.Join(t.TempDir(), "package.a")
		golang(t, "build", "-o", object, pkg)
		if info, err := os.Stat(object); err != nil || info.Size() == 0 {
			t.Fatalf("%s was not built: %v", pkg, err)
		}
		var places []string
		for _, match := range fused.FindAllStringSubmatch(golang(t, "tool", "objdump", object), -1) {
			places = append(places, match[1])
		}
		slices.Sort(places)
		require.Empty(t, slices.Compact(places), "%s adds products without rounding them first: write float64(x*y) + z", pkg)
	}
}

// The library's functions differ in their last bits from one architecture to another.
func TestStoredFiguresUsePortableFunctions(t *testing.T) {
	t.Parallel()
	exact := []string{
		"Abs", "Ceil", "Copysign", "E", "Float32bits", "Float32frombits", "Float64bits", "Float64frombits", "Floor", "Frexp", "Inf", "IsInf", "IsNaN",
		"Ldexp", "Ln2", "Ln10", "Max", "MaxFloat64", "MaxInt", "MaxInt8", "MaxInt16", "MaxInt32", "MaxInt64", "MaxUint32", "MaxUint64", "Min", "MinInt64", "Mod", "Modf",
		"NaN", "Nextafter", "Phi", "Pi", "Pow10", "Round", "RoundToEven", "Signbit", "SmallestNonzeroFloat64", "Sqrt", "Sqrt2", "Trunc",
	}
	for _, pkg := range computing(t) {
		files, err := filepath.Glob(filepath.Join(root, pkg, "*.go"))
		require.NoError(t, err)
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			require.NoError(t, err)
			if !slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"math"` }) {
				continue
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == "math" && !slices.Contains(exact, sel.Sel.Name) {
						t.Errorf("%s: math.%s differs between machines: use package jobs/portable", path, sel.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

// TestResultsAreTheSameUnderArm64 cross-compiles the tests that hold results to hashes and runs them under
// qemu.
func TestResultsAreTheSameUnderArm64(t *testing.T) {
	t.Parallel()
	qemu := program.Find(t, "qemu-user", "qemu-aarch64", "qemu-aarch64-static")
	for _, pkg := range []string{"./jobs/portable", "./jobs/backtest", "./jobs/sweep", "./jobs/pine"} {
		binary := filepath.Join(t.TempDir(), "tests")
		golang(t, "test", "-c", "-o", binary, pkg)
		cmd := exec.CommandContext(t.Context(), qemu, binary, "-test.v", "-test.run", "OnEveryMachine|OnlyWithTheEngineNumber|OnlyWithTheNumberOfSemantics")
		cmd.Dir = filepath.Join(root, pkg)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s under arm64: %s", pkg, out)
		require.Contains(t, string(out), "--- PASS: Test", pkg)
	}
}
