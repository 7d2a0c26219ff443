package api

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/labstack/echo/v4"

	"millrace/api/console"
)

// docs handles GET /docs: the same document as /docs/openapi.json, for people.
func (s *Server) docs(c echo.Context) error { return s.pages.Document(c, s.docGroups) }

// docGroups lays the document out by tag, in the order of the table.
func docGroups(document []byte, routes []route) ([]console.DocGroup, error) {
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Parameters  []struct {
				Name, In, Description string
				Required              bool
				Schema                json.RawMessage
			}
			RequestBody *struct {
				Content map[string]struct{ Schema any }
			}
			Responses map[string]struct {
				Content map[string]struct{ Schema any }
			}
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("read the API's document: %w", err)
	}
	shapes := shaper{doc.Components.Schemas}
	var groups []console.DocGroup
	at := map[string]int{}
	for _, r := range routes {
		if r.about.page {
			continue
		}
		op := r.operation()
		template := strings.Join(bracketed(op.Path), "/")
		described := doc.Paths[template][strings.ToLower(op.Method)]
		shown := console.DocOperation{
			ID: described.OperationID, Method: op.Method, Path: template, Summary: op.Summary, Sample: op.Sample, Status: op.Status,
			Access: string(r.access),
		}
		for _, p := range described.Parameters {
			shown.Params = append(shown.Params, console.DocParam{Name: p.Name, In: p.In, Doc: p.Description, Required: p.Required, Schema: string(p.Schema)})
		}
		if described.RequestBody != nil {
			for _, media := range described.RequestBody.Content {
				shown.Body = shapes.text(media.Schema)
			}
		}
		if media, ok := described.Responses[fmt.Sprint(op.Status)].Content["application/json"]; ok {
			shown.Answer = shapes.text(media.Schema)
		}
		i, known := at[op.Tag]
		if !known {
			i = len(groups)
			at[op.Tag] = i
			groups = append(groups, console.DocGroup{Tag: op.Tag})
		}
		groups[i].Operations = append(groups[i].Operations, shown)
	}
	return groups, nil
}

// bracketed is the path with :name as {name}.
func bracketed(path string) []string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return parts
}

// shaper writes schemas as the JSON that they allow, with a word for each value.
type shaper struct{ schemas map[string]any }

func (s shaper) text(schema any) string {
	body, err := json.MarshalIndent(s.shape(schema, nil), "", "  ")
	if err != nil {
		return ""
	}
	return string(body)
}

func (s shaper) shape(schema any, within []string) any {
	object, _ := schema.(map[string]any)
	if ref, ok := object["$ref"].(string); ok {
		name := ref[strings.LastIndex(ref, "/")+1:]
		for _, outer := range within {
			if outer == name {
				return name
			}
		}
		return s.shape(s.schemas[name], append(within, name))
	}
	if choices, ok := object["anyOf"].([]any); ok {
		if len(choices) == 2 && fmt.Sprint(choices[1]) == "map[type:null]" {
			return s.shape(choices[0], within)
		}
		var all []any
		for _, choice := range choices {
			all = append(all, s.shape(choice, within))
		}
		return map[string]any{"any of": all}
	}
	if shapes, ok := object["oneOf"].([]any); ok {
		var names []string
		for _, shape := range shapes {
			ref, _ := shape.(map[string]any)["$ref"].(string)
			names = append(names, ref[strings.LastIndex(ref, "/")+1:])
		}
		return strings.Join(names, " | ")
	}
	if properties, ok := object["properties"].(map[string]any); ok {
		shape := map[string]any{}
		for name, member := range properties {
			shape[name] = s.shape(member, within)
		}
		return shape
	}
	if items, ok := object["items"]; ok {
		return []any{s.shape(items, within)}
	}
	if values, ok := object["additionalProperties"].(map[string]any); ok {
		return map[string]any{"…": s.shape(values, within)}
	}
	if values, ok := object["enum"].([]any); ok {
		var words []string
		for _, v := range values {
			if v != "" {
				words = append(words, fmt.Sprint(v))
			}
		}
		return strings.Join(words, " | ")
	}
	kind := "any"
	switch t := object["type"].(type) {
	case string:
		kind = t
	case []any:
		kind = fmt.Sprintf("%v or null", t[0])
	}
	if format, ok := object["format"].(string); ok {
		kind = format
	}
	return kind
}
