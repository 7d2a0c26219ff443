package api

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api/types"
)

// soundsClosed are the names of members whose texts are usually of a closed set.
var soundsClosed = regexp.MustCompile(`^(status|state|kind|action|type|role|source|source_type|outcome|stage|mode|side|verdict|severity|class|cause|` +
	`scheduler|provider|intent|collection|format|exit_reason|objective_type|search_type|missed_policy|topic|topics|types)$`)

// A member of the wire types whose values are a closed set says which in the document, or here why it is open.
func TestMembersWithAClosedSetOfValuesSayWhich(t *testing.T) {
	closed, open := closedMembers(), maps.Clone(openMembers())
	unused := maps.Clone(closed)
	for member := range textMembers(t) {
		delete(unused, member)
		_, name, _ := strings.Cut(member, ".")
		if !soundsClosed.MatchString(name) {
			continue
		}
		reason := open[member]
		delete(open, member)
		require.True(t, (len(closed[member]) > 0) != (reason != ""), "%s: name its values in closedMembers, or in openMembers why it has no closed set", member)
	}
	require.Empty(t, unused, "members that are gone, or are not texts")
	delete(open, "Problem.type")
	require.Empty(t, open, "members that are gone, or are not texts")
}

// textMembers are the members of the wire types that are texts, lists of them or pointers to them.
func textMembers(t *testing.T) map[string]bool {
	found := map[string]bool{}
	source := types.Source()
	names, err := fs.Glob(source, "*.go")
	require.NoError(t, err)
	for _, name := range names {
		raw, err := fs.ReadFile(source, name)
		require.NoError(t, err)
		file, err := parser.ParseFile(token.NewFileSet(), name, raw, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			body, ok := spec.Type.(*ast.StructType)
			if !ok {
				return true
			}
			for _, field := range body.Fields.List {
				if field.Tag == nil || !isText(field.Type) {
					continue
				}
				tag, _, _ := strings.Cut(reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json"), ",")
				found[spec.Name.Name+"."+tag] = true
			}
			return true
		})
	}
	require.Greater(t, len(found), 100)
	return found
}

func isText(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "string"
	case *ast.StarExpr:
		return isText(e.X)
	case *ast.ArrayType:
		return isText(e.Elt)
	}
	return false
}
