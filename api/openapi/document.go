package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// Operation is one route as the document describes it.
type Operation struct {
	Method, Path string // the path with its parameters as :name
	Summary      string
	About        string         // what else there is to say
	Failures     map[int]string // statuses of errors, and when they come
	Tag          string
	Security     []string // names of security schemes, any one of which will do; none: public
	Params       []Param  // of the query and the headers
	Body         any      // a value of the type of the JSON body; nil: none
	Form         []Part   // parts of a multipart body, which may be sent in place of JSON
	Status       int      // of success
	Answer       any      // a value of the type of the JSON answer
	DryAnswer    any      // a value of the type of the JSON answer, with 200, when nothing was to be done; nil: there is none
	Media        string   // of an answer that is not JSON
	Carries      any      // a value of the type of what an event stream carries
	Forms        []string // media types that the answer can have instead
	Sample       string   // a command that makes the request
}

// Param is a parameter of the query or a header.
type Param struct {
	Name     string
	In       string // "query" or "header"
	Doc      string
	Required bool
	Schema   Schema
}

// Part is a part of a form.
type Part struct {
	Name     string
	Doc      string
	File     bool
	Required bool
}

// Info is what a document says of its service.
type Info struct {
	Title, Version, Description string
	Problem                     any                          // a value of the type of every error's body
	Security                    map[string]Schema            // security schemes
	Enums                       map[reflect.Type][]string    // types with a closed set of values
	Names                       map[string]string            // of schemas, by the Go names of their types; others keep those
	Comments                    map[string]map[string]string // what the source says of types and fields, by package: see Comments
	Common                      map[string]string            // what members of a name are, where the source says nothing
	Unions                      map[reflect.Type]Union       // types whose values have one of several shapes
	Closed                      map[string][]string          // members with a closed set of values, by the Go name of their type and theirs: Tune.status
}

// components are those of a document that says this.
func (i Info) components() *components {
	return &components{
		enums: i.Enums, renamed: i.Names, schemas: map[string]Schema{}, names: map[componentKey]string{}, comments: i.Comments, common: i.Common, unions: i.Unions, closed: i.Closed,
	}
}

// Document makes the OpenAPI 3.1 document, as JSON. It fails on a path with two operations of one
// method, and panics on a type that has no JSON form: both are mistakes in the table.
func Document(info Info, operations []Operation) ([]byte, error) {
	c := info.components()
	problem := c.schema(reflect.TypeOf(info.Problem), response)
	paths := map[string]Schema{}
	for _, op := range operations {
		path, names := template(op.Path)
		item := paths[path]
		if item == nil {
			item = Schema{}
			paths[path] = item
		}
		method := strings.ToLower(op.Method)
		if item[method] != nil {
			return nil, fmt.Errorf("openapi: %s %s is there twice", op.Method, op.Path)
		}
		item[method] = c.operation(op, path, names, problem)
	}
	return json.MarshalIndent(map[string]any{
		"openapi":           "3.1.0",
		"jsonSchemaDialect": "https://spec.openapis.org/oas/3.1/dialect/base",
		"info":              Schema{"title": info.Title, "version": info.Version, "description": info.Description},
		"servers":           []Schema{{"url": "/"}},
		"paths":             paths,
		"components":        Schema{"schemas": c.schemas, "securitySchemes": info.Security},
	}, "", "  ")
}

// template writes Echo's :name as {name}, and lists the names.
func template(path string) (string, []string) {
	var names []string
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			names = append(names, name)
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/"), names
}

func (c *components) operation(op Operation, path string, names []string, problem Schema) Schema {
	o := Schema{"operationId": operationID(op.Method, path), "summary": op.Summary, "tags": []string{op.Tag}}
	if op.About != "" {
		o["description"] = op.About
	}
	var params []Schema
	for _, name := range names {
		params = append(params, Schema{"name": name, "in": "path", "required": true, "description": named(path, name), "schema": Schema{"type": "string"}})
	}
	for _, p := range op.Params {
		param := Schema{"name": p.Name, "in": p.In, "schema": p.Schema}
		if p.Required {
			param["required"] = true
		}
		if p.Doc != "" {
			param["description"] = p.Doc
		}
		params = append(params, param)
	}
	if params != nil {
		o["parameters"] = params
	}
	if op.Form != nil || op.Body != nil {
		forms := Schema{}
		if op.Form != nil {
			forms["multipart/form-data"] = Schema{"schema": form(op.Form)}
		}
		if op.Body != nil {
			forms["application/json"] = Schema{"schema": c.schema(reflect.TypeOf(op.Body), request)}
		}
		o["requestBody"] = Schema{"content": forms, "required": true}
	}
	success := Schema{"description": http.StatusText(op.Status)}
	switch {
	case op.Answer != nil:
		success = content("application/json", c.schema(reflect.TypeOf(op.Answer), response))
		success["description"] = http.StatusText(op.Status)
	case op.Media != "":
		shape := Schema{"type": "string"}
		if op.Carries != nil {
			// The schema of what stands in the data of one event, by a name that generators pass over.
			shape["x-event-schema"] = c.schema(reflect.TypeOf(op.Carries), response)
		}
		success = content(op.Media, shape)
		success["description"] = http.StatusText(op.Status)
	}
	if also, ok := success["content"].(Schema); ok {
		for _, media := range op.Forms {
			also[media] = Schema{"schema": Schema{"type": "string", "contentMediaType": media}}
		}
	}
	failure := content("application/problem+json", problem)
	failure["description"] = "What is wrong, naming the field and the limit"
	responses := Schema{strconv.Itoa(op.Status): success, "default": failure}
	if op.DryAnswer != nil {
		dry := content("application/json", c.schema(reflect.TypeOf(op.DryAnswer), response))
		dry["description"] = "What would be done, with dry_run=true; nothing was"
		responses["200"] = dry
	}
	for status, when := range op.Failures {
		declared := content("application/problem+json", problem)
		declared["description"] = when
		responses[strconv.Itoa(status)] = declared
	}
	o["responses"] = responses
	security := []Schema{}
	for _, scheme := range op.Security {
		security = append(security, Schema{scheme: []string{}})
	}
	o["security"] = security
	if op.Sample != "" {
		o["x-codeSamples"] = []Schema{{"lang": "Shell", "label": "curl", "source": op.Sample}}
	}
	return o
}

// named says what a parameter of the path names: {id} after "tunes" is the id of a tune.
func named(path, name string) string {
	if name != "id" {
		return "the " + strings.ReplaceAll(name, "_", " ")
	}
	before, _, _ := strings.Cut(path, "/{id}")
	what := before[strings.LastIndex(before, "/")+1:]
	switch {
	case what == "wfo":
		what = "walk-forward"
	case strings.HasSuffix(what, "ies"):
		what = strings.TrimSuffix(what, "ies") + "y"
	default:
		what = strings.TrimSuffix(what, "s")
	}
	return "the id of the " + what
}

func content(media string, schema Schema) Schema {
	return Schema{"content": Schema{media: Schema{"schema": schema}}}
}

func form(parts []Part) Schema {
	properties, required := Schema{}, []string{}
	for _, part := range parts {
		s := Schema{"type": "string", "description": part.Doc}
		if part.File {
			s["contentMediaType"] = "application/octet-stream"
		}
		properties[part.Name] = s
		if part.Required {
			required = append(required, part.Name)
		}
	}
	return Schema{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

// operationID is the method and the words of the path: getBacktestsTunesById.
func operationID(method, path string) string {
	id := strings.ToLower(method)
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == '-' || r == '.' || r == '_' }) {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			part = "by-" + strings.TrimSuffix(name, "}")
		}
		for word := range strings.SplitSeq(part, "-") {
			id += strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return id
}
