package conventions_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// avoided are words with a plainer term in the field, and that term.
var avoided = []struct {
	words   string // regular expression of lower-case words, with single spaces
	instead string
}{
	{`lets? in`, "enqueue next, admit"},
	{`tells?|told|telling`, "report, record, emit, return, distinguish"},
	{`turns?`, "signal, share of the queue, message, change, become"},
	{`settles?|settled|settling`, "what it does: finish, resolve, reconcile"},
	{`speechless`, "unreportable"},
	{`afterglow`, "completion grace"},
	{`hopeless`, "permanent (error)"},
	{`keepers?`, "workspace admin"},
	{`at work`, "running"},
	{`goes on`, "continues"},
	{`lies idle`, "is idle"},
	{`for want of`, "without"},
	{`nought`, "zero"},
	{`anew`, "again"},
	{`whoever`, "the caller, the client"},
	{`whatever it be`, "any"},
	{`for ?ever`, "permanently, until stopped"},
	{`winner s course|winner's course`, "equity of the best trial"},
	{`what was asked`, "configuration"},
	{`what and how`, "settings"},
	{`what broke`, "failures"},
}

// inBacktest are the same for identifiers of the engine, where they have a precise term. Elsewhere they
// are ordinary words.
var inBacktest = map[string]string{
	"gauge": "equity statistics", "fall": "drawdown", "mark": "new peak", "rest": "idle bars", "pen": "signal writer",
}

// fixtures are names that a test's helper type must not have: a fixture says what it is.
var fixtures = []string{"desk", "rig", "floor", "stage", "river"}

// applied is the last migration that databases have: it cannot change, its words included.
const applied = 29

// quoted is text that is not ours to reword, by file: what a model, a page or a specification says.
var quoted = map[string][]string{
	"store/walkforward/folds.go":     {"told_at"}, // a column
	"store/walkforward/fold_test.go": {"told_at"},
}

// finding is one avoided word.
type finding struct{ file, at, text, instead string }

func (f finding) String() string {
	return fmt.Sprintf("%s:%s: %q: say %s", f.file, f.at, f.text, f.instead)
}

func TestNamesAndTextUseTheFieldsTerms(t *testing.T) {
	t.Parallel()
	for _, f := range findings(t) {
		t.Error(f)
	}
}

func TestAvoidedWordsAreFound(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"A caller is told of it.": 1, "the last one lets in the next": 1, "It runs for ever, or forever.": 2,
		"a client that leaves is no failure": 1, "there is no failure": 0, "it is no longer there": 0, "return the rest": 0,
		"made anew, for\n// want of a row": 2, "TestWhoeverLeavesIsNoFailure": 2, "afterglowSeconds": 1, "settledLog": 1, "fallback": 0,
	} {
		require.Len(t, inText(text), want, text)
	}
}

// findings are all avoided words of the tree.
func findings(t *testing.T) []finding {
	t.Helper()
	var all []finding
	require.NoError(t, filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "conventions") {
				return filepath.SkipDir
			}
			return nil
		}
		file := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		switch filepath.Ext(name) {
		case ".go":
			all = append(all, inGo(t, path, file)...)
		case ".sql":
			if number, err := strconv.Atoi(strings.Split(name, "_")[0]); err == nil && number <= applied {
				return nil
			}
			all = append(all, inFile(t, path, file)...)
		case ".md", ".html", ".tmpl", ".js", ".yml", ".yaml", ".py":
			all = append(all, inFile(t, path, file)...)
		}
		return nil
	}))
	return all
}

func inFile(t *testing.T, path, file string) []finding {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	var found []finding
	for i, paragraph := range strings.Split(string(text), "\n\n") {
		for _, f := range inText(unquoted(file, paragraph)) {
			f.file, f.at = file, "paragraph "+strconv.Itoa(i+1)
			found = append(found, f)
		}
	}
	return found
}

// inGo finds avoided words in the names, comments and texts of a Go file.
func inGo(t *testing.T, path, file string) []finding {
	t.Helper()
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, path, nil, parser.ParseComments)
	require.NoError(t, err)
	var found []finding
	add := func(pos token.Pos, text string) {
		for _, f := range inText(unquoted(file, text)) {
			f.file, f.at = file, strconv.Itoa(files.Position(pos).Line)
			found = append(found, f)
		}
	}
	for _, group := range tree.Comments {
		add(group.Pos(), group.Text())
	}
	engine := filepath.Dir(file) == "jobs/backtest"
	ast.Inspect(tree, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				add(n.Pos(), n.Value)
			}
		case *ast.TypeSpec:
			if strings.HasSuffix(file, "_test.go") && slices.Contains(fixtures, strings.ToLower(n.Name.Name)) {
				found = append(found, finding{file, strconv.Itoa(files.Position(n.Pos()).Line), n.Name.Name, "what the fixture is"})
			}
		case *ast.Ident:
			add(n.Pos(), n.Name)
			for word := range strings.FieldsSeq(plain(n.Name)) {
				if instead, ok := inBacktest[word]; ok && engine && !strings.HasSuffix(file, "_test.go") {
					found = append(found, finding{file, strconv.Itoa(files.Position(n.Pos()).Line), n.Name, instead})
				}
			}
		}
		return true
	})
	return found
}

// unquoted is text without what the file may quote.
func unquoted(file, text string) string {
	for _, quote := range quoted[file] {
		text = strings.ReplaceAll(text, quote, "")
	}
	return text
}

var (
	avoidedWords = compile()
	// isNo is "X is no Y", which means that X is not a Y; "there is no Y" and "is no longer" are plain.
	isNo = regexp.MustCompile(`\b([a-z]+) is no ([a-z]+)`)
)

func compile() []*regexp.Regexp {
	var all []*regexp.Regexp
	for _, a := range avoided {
		all = append(all, regexp.MustCompile(`\b(?:`+a.words+`)\b`))
	}
	return all
}

func inText(text string) []finding {
	words := plain(text)
	var found []finding
	for i, re := range avoidedWords {
		for _, match := range re.FindAllString(words, -1) {
			found = append(found, finding{text: match, instead: avoided[i].instead})
		}
	}
	for _, match := range isNo.FindAllStringSubmatch(words, -1) {
		if match[1] != "there" && !slices.Contains([]string{"longer", "more", "less", "later", "earlier", "other"}, match[2]) {
			found = append(found, finding{text: match[0], instead: "is not a"})
		}
	}
	return found
}

// plain is text in lower-case words with single spaces; a name in camel case is its words.
func plain(text string) string {
	var b strings.Builder
	last := ' '
	for _, r := range text {
		switch {
		case unicode.IsUpper(r):
			if unicode.IsLower(last) || unicode.IsDigit(last) {
				b.WriteByte(' ')
			}
			b.WriteRune(unicode.ToLower(r))
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '\'':
			b.WriteRune(r)
		case last != ' ':
			b.WriteByte(' ')
			r = ' '
		default:
			r = ' '
		}
		last = r
	}
	return b.String()
}
