package routine_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// own is the folder that starts goroutines, from the module's root.
const own = "ops/routine"

func TestGoroutinesAreStartedByRoutineOnly(t *testing.T) {
	root := filepath.Join("..", "..")
	files := 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case entry.IsDir() && (relative == own || relative != "." && strings.HasPrefix(entry.Name(), ".")):
			return filepath.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		files++
		for _, start := range starts(t, path, nil) {
			t.Errorf("%s: %s: start it with millrace/ops/routine, so that a panic in it does not end the process", relative, start)
		}
		return nil
	})
	require.NoError(t, err)
	assert.Greater(t, files, 200, "the whole tree is walked")
}

func TestEveryWayToStartAGoroutineIsFound(t *testing.T) {
	for _, statement := range []string{
		"go work()",
		"var g sync.WaitGroup; g.Go(work)",
		"context.AfterFunc(ctx, func() { work() })",
		"time.AfterFunc(1, func() { work() })",
	} {
		assert.Len(t, starts(t, "x.go", "package x\nfunc f() {"+statement+"}"), 1, statement)
	}
	for _, statement := range []string{"routine.Go(work, ended)", "time.AfterFunc(1, cancel)"} {
		assert.Empty(t, starts(t, "x.go", "package x\nfunc f() {"+statement+"}"), statement)
	}
}

// starts lists where a file starts goroutines itself: by a go statement, by the Go method of a group, or
// with a function literal that a timer or a context calls. A cancel function handed to AfterFunc has
// nothing in it that could panic.
func starts(t *testing.T, path string, source any) []string {
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, source, parser.SkipObjectResolution)
	require.NoError(t, err)
	var found []string
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.GoStmt:
			found = append(found, set.Position(n.Pos()).String()+" go statement")
		case *ast.CallExpr:
			called, ok := n.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			receiver, _ := called.X.(*ast.Ident)
			switch {
			case called.Sel.Name == "Go" && (receiver == nil || receiver.Name != "routine"):
				found = append(found, set.Position(n.Pos()).String()+" call of Go")
			case called.Sel.Name == "AfterFunc" && len(n.Args) == 2:
				if _, literal := n.Args[1].(*ast.FuncLit); literal {
					found = append(found, set.Position(n.Pos()).String()+" function literal for AfterFunc")
				}
			}
		}
		return true
	})
	return found
}
