package conventions_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree is what the repository has: its files and folders, and what each Go file declares or quotes.
type tree struct {
	paths    map[string]bool            // from the root, and every part of one that begins at a folder
	packages map[string]bool            // folders with Go files that are no tests
	declared map[string]map[string]bool // by Go file: functions, methods, types, constants, fields
	names    map[string]bool            // all that any file declares, and every quoted word
}

func readTree(t *testing.T) *tree {
	t.Helper()
	r := &tree{map[string]bool{}, map[string]bool{}, map[string]map[string]bool{}, map[string]bool{}}
	fset := token.NewFileSet()
	require.NoError(t, filepath.WalkDir(root, func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && at != root && (strings.HasPrefix(name, ".") && name != ".ci" || name == "testdata" || name == "bin") {
			return fs.SkipDir
		}
		rel, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		for part := rel; ; {
			r.paths[part] = true
			_, rest, more := strings.Cut(part, "/")
			if !more {
				break
			}
			part = rest
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		r.packages[path.Dir(rel)] = true
		file, err := parser.ParseFile(fset, at, nil, parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("parse %s: %w", rel, err)
		}
		r.declared[rel] = map[string]bool{}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				r.declared[rel][n.Name.Name] = true
			case *ast.TypeSpec:
				r.declared[rel][n.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range n.Names {
					r.declared[rel][name.Name] = true
				}
			case *ast.Field:
				for _, name := range n.Names {
					r.declared[rel][name.Name] = true
				}
			case *ast.BasicLit:
				r.names[strings.Trim(n.Value, "\"`")] = true
			}
			return true
		})
		for name := range r.declared[rel] {
			r.names[name] = true
		}
		return nil
	}))
	require.Greater(t, len(r.packages), 30)
	return r
}

// expand lists the paths of "a/{b,c}", without a slash at their ends.
func expand(name string) []string {
	before, rest, found := strings.Cut(name, "{")
	inner, after, closed := strings.Cut(rest, "}")
	if !found || !closed {
		return []string{strings.TrimSuffix(name, "/")}
	}
	var all []string
	for _, one := range strings.Split(inner, ",") {
		all = append(all, strings.TrimSuffix(before+one+after, "/"))
	}
	return all
}

var (
	quotedName = regexp.MustCompile("`([^`\n]+)`")
	fileThing  = regexp.MustCompile("`([\\w./-]+\\.go)`[,:]? `(\\w+)`")
	isPath     = regexp.MustCompile(`^[\w.{},-]+(/[\w.{},-]*)+$|^[\w-]+\.(go|sql|md|yml|json)$`)
	isName     = regexp.MustCompile(`^[A-Za-z]\w*(\.[A-Za-z]\w*)*$`)
	isVariable = regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)
)

// faults are the names in backquotes of a text that the repository does not have.
func (r *tree) faults(text string) (faults []string) {
	for _, found := range quotedName.FindAllStringSubmatch(text, -1) {
		name := found[1]
		switch {
		case strings.HasPrefix(name, ".millrace/"): // what `millrace dev` writes
		case isPath.MatchString(name):
			for _, one := range expand(name) {
				if !r.paths[one] {
					faults = append(faults, one+" is not in the repository")
				}
			}
		case isName.MatchString(name) && !isVariable.MatchString(name):
			last := name[strings.LastIndex(name, ".")+1:]
			if !r.names[name] && !r.names[last] && !r.paths[name] {
				faults = append(faults, name+" is declared nowhere")
			}
		}
	}
	for _, found := range fileThing.FindAllStringSubmatch(text, -1) {
		if declared, known := r.declared[found[1]]; known && !declared[found[2]] {
			faults = append(faults, found[1]+" does not declare "+found[2])
		}
	}
	return faults
}

// What the overviews name in backquotes is there: a file, or something that the Go code declares or quotes, and
// where a name follows a file, in that file.
func TestNamesInTheOverviewsExist(t *testing.T) {
	t.Parallel()
	r := readTree(t)
	for _, document := range []string{"README.md", "CONTRIBUTING.md", "ops/docs/architecture.md"} {
		body, err := os.ReadFile(filepath.Join(root, document))
		require.NoError(t, err)
		text, _, _ := strings.Cut(string(body), "\n## Dependencies") // modules, which another test reads
		text = regexp.MustCompile("(?s)```.*?```").ReplaceAllString(text, "")
		require.Greater(t, len(quotedName.FindAllString(text, -1)), 5, document)
		require.Empty(t, r.faults(text), document)
	}
	for wrong, fault := range map[string]string{
		"`store/tuning/gone.go`":            "store/tuning/gone.go is not in the repository",
		"`store/lease.go` `submitTune`":     "store/lease.go does not declare submitTune",
		"`tuning.Gone`":                     "tuning.Gone is declared nowhere",
		"`jobs/worker/{tune,gone}`":         "jobs/worker/gone is not in the repository",
		"`api/tunes.go` `submitTune`":       "",
		"`POST /backtests/tune`, `DSN_URL`": "",
	} {
		require.Equal(t, fault, strings.Join(r.faults(wrong), "; "), wrong)
	}
}

// The table of rooms in the architecture lists every package, or a folder that it says to hold those below.
func TestTheTableOfRoomsListsEveryPackage(t *testing.T) {
	t.Parallel()
	r := readTree(t)
	body, err := os.ReadFile(filepath.Join(root, "ops/docs/architecture.md"))
	require.NoError(t, err)
	listed, below := map[string]bool{}, []string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \| .* \|$`).FindAllStringSubmatch(string(body), -1) {
		for _, found := range quotedName.FindAllStringSubmatch(row[1], -1) {
			for _, one := range expand(found[1]) {
				listed[one] = true
				if strings.HasSuffix(row[1], " and below") {
					below = append(below, one+"/")
				}
			}
		}
	}
	require.Greater(t, len(listed), 30)
	for folder := range r.packages {
		held := listed[folder]
		for _, one := range below {
			held = held || strings.HasPrefix(folder, one)
		}
		require.True(t, held, "%s is in no row of the table of packages", folder)
	}
	for one := range listed {
		require.True(t, r.paths[one], "the table lists %s, which is not there", one)
	}
}
