package openapi

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Schema is a JSON Schema of the dialect of OpenAPI 3.1.
type Schema map[string]any

// jsonForms is a type whose JSON has another shape than its struct: any one of the shapes returned.
type jsonForms interface{ JSONForms() []any }

// direction is which way values travel: a request may leave members out, a response has them all.
type direction int

const (
	request direction = iota
	response
)

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	rawType      = reflect.TypeFor[json.RawMessage]()
	textType     = reflect.TypeFor[encoding.TextMarshaler]()
	formsType    = reflect.TypeFor[jsonForms]()
)

// schemaPath is where a document has its schemas.
const schemaPath = "#/components/schemas/"

// components collects the schemas of named structs; their operations refer to them.
type components struct {
	enums   map[reflect.Type][]string
	renamed map[string]string
	schemas map[string]Schema
	names   map[componentKey]string

	unions   map[reflect.Type]Union
	closed   map[string][]string          // by type and member
	comments map[string]map[string]string // by package
	common   map[string]string            // by member
}

type componentKey struct {
	t  reflect.Type
	to direction
}

// schema is the schema of a type's JSON.
func (c *components) schema(t reflect.Type, to direction) Schema {
	switch t {
	case timeType:
		return Schema{"type": "string", "format": "date-time"}
	case durationType:
		return Schema{"type": "integer", "description": "nanoseconds"}
	case rawType:
		return Schema{}
	}
	if values, ok := c.enums[t]; ok {
		return Schema{"type": "string", "enum": c.values(values, to)}
	}
	if t.Kind() == reflect.Pointer {
		return nullable(c.schema(t.Elem(), to))
	}
	if t.Implements(formsType) {
		return c.forms(t, to)
	}
	if t.Implements(textType) {
		return Schema{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return Schema{"type": "boolean"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return Schema{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Schema{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return Schema{"type": "number"}
	case reflect.String:
		return Schema{"type": "string"}
	case reflect.Interface:
		return Schema{}
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return Schema{"type": "string", "contentEncoding": "base64"}
		}
		return Schema{"type": "array", "items": c.schema(t.Elem(), to)}
	case reflect.Map:
		return Schema{"type": "object", "additionalProperties": c.schema(t.Elem(), to)}
	case reflect.Struct:
		return c.reference(t, to)
	}
	panic(fmt.Sprintf("openapi: %s has no JSON form", t))
}

// values are an enumeration's values; a request may leave it empty, which asks for the default.
func (c *components) values(values []string, to direction) []string {
	if to == request {
		return append(slices.Clone(values), "")
	}
	return values
}

// forms is the schema of a type that encodes itself.
func (c *components) forms(t reflect.Type, to direction) Schema {
	shapes := reflect.Zero(t).Interface().(jsonForms).JSONForms()
	if len(shapes) == 1 {
		return c.schema(reflect.TypeOf(shapes[0]), to)
	}
	var any []Schema
	for _, shape := range shapes {
		any = append(any, c.schema(reflect.TypeOf(shape), to))
	}
	return Schema{"anyOf": any}
}

func nullable(s Schema) Schema {
	if kind, ok := s["type"].(string); ok && s["enum"] == nil {
		widened := Schema{}
		for k, v := range s {
			widened[k] = v
		}
		widened["type"] = []string{kind, "null"}
		return widened
	}
	if len(s) == 0 {
		return s
	}
	return Schema{"anyOf": []Schema{s, {"type": "null"}}}
}

// reference is a reference to the component of a struct; one without a name is written out.
func (c *components) reference(t reflect.Type, to direction) Schema {
	if t.Name() == "" {
		return c.object(t, to)
	}
	key := componentKey{t, to}
	name, known := c.names[key]
	if !known {
		name = c.name(t, to)
		c.names[key] = name
		c.schemas[name] = nil // taken, for structs that hold themselves
		if u, several := c.unions[t]; several && to == response {
			c.schemas[name] = c.union(t, u)
		} else {
			c.schemas[name] = c.object(t, to)
		}
	}
	return Schema{"$ref": schemaPath + name}
}

// name makes a component's name of a type's: List[types.Tune] is TuneList.
func (c *components) name(t reflect.Type, to direction) string {
	name, arguments, generic := strings.Cut(t.Name(), "[")
	name = c.titled(name)
	if generic {
		argument := strings.TrimSuffix(arguments, "]")
		argument = argument[strings.LastIndexAny(argument, "./")+1:]
		argument, _, _ = strings.Cut(argument, "·")
		name = c.titled(argument) + name
	}
	if to == request && !strings.HasSuffix(name, "Request") {
		name += "Request"
	}
	for _, taken := c.schemas[name]; taken; _, taken = c.schemas[name] {
		pkg := t.PkgPath()
		name = c.titled(pkg[strings.LastIndex(pkg, "/")+1:]) + name
	}
	return name
}

// titled is a Go name as a schema is called.
func (c *components) titled(name string) string {
	if known, ok := c.renamed[name]; ok {
		return known
	}
	return strings.ToUpper(name[:1]) + name[1:]
}

// object is the schema of a struct written out. Requests refuse members they do not know.
func (c *components) object(t reflect.Type, to direction) Schema {
	properties, required := Schema{}, []string{}
	c.members(t, to, properties, &required)
	s := Schema{"type": "object", "properties": properties}
	if text := c.comment(t, ""); text != "" {
		s["description"] = text
	}
	if to == request {
		s["additionalProperties"] = false
	} else if len(required) > 0 {
		s["required"] = required
	}
	return s
}

func (c *components) members(t reflect.Type, to direction, into Schema, required *[]string) {
	for i := range t.NumField() {
		field := t.Field(i)
		tag, tagged := field.Tag.Lookup("json")
		name, options, _ := strings.Cut(tag, ",")
		if field.Anonymous && name == "" && field.Type.Kind() == reflect.Struct {
			c.members(field.Type, to, into, required)
			continue
		}
		if !field.IsExported() || name == "-" {
			continue
		}
		if !tagged {
			panic(fmt.Sprintf("openapi: %s.%s has no json tag", t, field.Name))
		}
		s := c.schema(field.Type, to)
		if values, ok := c.closed[t.Name()+"."+name]; ok {
			s = closed(field.Type, values)
		}
		text := field.Tag.Get("doc")
		if text == "" {
			text = c.comment(t, field.Name)
		}
		if text == "" {
			text = c.common[name]
		}
		if text != "" {
			s = described(s, text)
		}
		into[name] = s
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}

// closed is the schema of a text with a closed set of values, of a pointer to one, or of a list of them.
func closed(t reflect.Type, values []string) Schema {
	switch t.Kind() {
	case reflect.Pointer:
		return nullable(closed(t.Elem(), values))
	case reflect.Slice:
		return Schema{"type": "array", "items": closed(t.Elem(), values)}
	}
	return Schema{"type": "string", "enum": values}
}

// comment is what the source says of a type or of its field.
func (c *components) comment(t reflect.Type, field string) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	if field != "" {
		name += "." + field
	}
	return c.comments[t.PkgPath()][name]
}

func described(s Schema, text string) Schema {
	with := Schema{"description": text}
	for k, v := range s {
		with[k] = v
	}
	return with
}
