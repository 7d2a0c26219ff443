package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/require"
)

// The document has every route but the pages, each with its types, and nothing else; and it is
// OpenAPI 3.1.
func TestTheDocumentIsTheTableOfRoutes(t *testing.T) {
	s := &Server{}
	routes := slices.Concat(s.routes(), s.pageRoutes(), s.riverRoutes(), s.docsRoutes())
	body, err := document(routes, "test")
	require.NoError(t, err)

	var doc struct {
		Paths map[string]map[string]struct {
			Summary     string
			OperationID string
			RequestBody any
			Parameters  []struct{ Name, In string }
			Responses   map[string]struct{ Content map[string]any }
			Security    []map[string][]string
		}
	}
	require.NoError(t, json.Unmarshal(body, &doc))
	documented := 0
	ids := map[string]bool{}
	for _, item := range doc.Paths {
		for _, op := range item {
			documented++
			require.False(t, ids[op.OperationID], op.OperationID)
			ids[op.OperationID] = true
		}
	}
	for _, r := range routes {
		if r.about.page {
			documented++
			require.True(t, r.path == "/docs" || strings.HasPrefix(r.path, "/admin"), "%s is not a page of the console", r.path)
			continue
		}
		name := r.method + " " + r.path
		path := strings.ReplaceAll(r.operation().Path, ":id", "{id}")
		for part := range strings.SplitSeq(r.path, "/") {
			if strings.HasPrefix(part, ":") {
				path = strings.ReplaceAll(path, part, "{"+part[1:]+"}")
			}
		}
		op, there := doc.Paths[path][strings.ToLower(r.method)]
		require.True(t, there, name)
		require.NotEmpty(t, op.Summary, "%s says nothing", name)
		success := op.Responses[statusText(r.operation().Status)]
		if r.operation().Status != http.StatusNoContent {
			require.NotEmpty(t, success.Content, "%s names no answer", name)
		}
		require.Equal(t, r.access == public, len(op.Security) == 0, name)
		if r.about.sample != "" {
			require.True(t, json.Valid([]byte(strings.ReplaceAll(r.about.sample, `"'"`, `"`))), name)
			require.NotNil(t, op.RequestBody, name)
		}
	}
	require.Len(t, routes, documented, "the document has a route that the table has not")

	describesItsParts(t, body)

	parsed, err := libopenapi.NewDocument(body)
	require.NoError(t, err)
	check, errs := validator.NewValidator(parsed)
	require.Empty(t, errs)
	valid, faults := check.ValidateDocument()
	for _, fault := range faults {
		t.Errorf("%s: %s", fault.Message, fault.Reason)
		for _, detail := range fault.SchemaValidationErrors {
			t.Errorf("  %s: %s", detail.FieldPath, detail.Reason)
		}
	}
	require.True(t, valid)
	again, err := document(routes, "test")
	require.NoError(t, err)
	require.True(t, bytes.Equal(body, again), "the document differs from run to run")
}

// describesItsParts looks for descriptions: of every operation, parameter, error and member.
func describesItsParts(t *testing.T, body []byte) {
	t.Helper()
	type described struct{ Description string }
	var doc struct {
		Paths map[string]map[string]struct {
			Description string
			Parameters  []struct{ Name, Description string }
			Responses   map[string]described
			Security    []any
		}
		Components struct {
			Schemas map[string]struct{ Properties map[string]described }
		}
	}
	require.NoError(t, json.Unmarshal(body, &doc))
	for path, item := range doc.Paths {
		for method, op := range item {
			name := method + " " + path
			require.NotEmpty(t, op.Description, name)
			for _, p := range op.Parameters {
				require.NotEmpty(t, p.Description, "%s: %s", name, p.Name)
			}
			for status, answer := range op.Responses {
				require.NotEmpty(t, answer.Description, "%s: %s", name, status)
			}
			if len(op.Security) > 0 {
				require.Contains(t, op.Responses, "401", name)
			}
		}
	}
	for name, schema := range doc.Components.Schemas {
		for member, said := range schema.Properties {
			require.NotEmpty(t, said.Description, "%s.%s: say what it is beside the field in api/types, or in allMembers", name, member)
		}
	}
}

func statusText(status int) string {
	text, _ := json.Marshal(status)
	return string(text)
}
