package openapi

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strings"
)

// Comments reads what the comments of a package say of its structs, as "Type", and of their members, as
// "Type.Field": so the document says what the code does.
func Comments(source fs.FS) (map[string]string, error) {
	files, err := fs.Glob(source, "*.go")
	if err != nil {
		return nil, fmt.Errorf("list sources: %w", err)
	}
	comments := map[string]string{}
	for _, name := range files {
		text, err := fs.ReadFile(source, name)
		if err != nil {
			return nil, fmt.Errorf("read source: %w", err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("read comments: %w", err)
		}
		for _, decl := range file.Decls {
			types, ok := decl.(*ast.GenDecl)
			if !ok || types.Tok != token.TYPE {
				continue
			}
			for _, spec := range types.Specs {
				commentsOf(spec.(*ast.TypeSpec), types.Doc, comments)
			}
		}
	}
	return comments, nil
}

func commentsOf(t *ast.TypeSpec, doc *ast.CommentGroup, into map[string]string) {
	if doc != nil {
		into[t.Name.Name] = line(doc)
	}
	object, ok := t.Type.(*ast.StructType)
	if !ok {
		return
	}
	for _, field := range object.Fields.List {
		text := line(field.Comment)
		if text == "" {
			text = line(field.Doc)
		}
		for _, name := range field.Names {
			if text != "" {
				into[t.Name.Name+"."+name.Name] = text
			}
		}
	}
}

// line is a comment on one line.
func line(c *ast.CommentGroup) string {
	if c == nil {
		return ""
	}
	return strings.Join(strings.Fields(c.Text()), " ")
}
