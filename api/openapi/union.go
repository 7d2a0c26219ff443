package openapi

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Union is a type whose values have one of several shapes. One member of every shape names it.
type Union struct {
	Member string
	Shapes []Shape
}

// Shape is one of a union's: the members of the type, some of them narrower.
type Shape struct {
	Name    string              // of its schema
	Doc     string              // what a value of it is
	Values  []string            // of the union's member; no two shapes have one in common
	Closed  map[string][]string // what further members may be
	Members map[string]any      // members of a narrower type, by a value of it
}

// has reports whether a value of the shape may be named by what begins with prefix.
func (s Shape) has(prefix string) bool {
	return slices.ContainsFunc(s.Values, func(v string) bool { return strings.HasPrefix(v, prefix) })
}

// union is the schema of a union: one of its shapes, each a component of its own.
func (c *components) union(t reflect.Type, u Union) Schema {
	var shapes []Schema
	mapping := Schema{}
	for _, shape := range u.Shapes {
		c.schemas[shape.Name] = c.shape(t, u.Member, shape)
		at := schemaPath + shape.Name
		shapes = append(shapes, Schema{"$ref": at})
		for _, value := range shape.Values {
			mapping[value] = at
		}
	}
	return Schema{
		"description": c.comment(t, ""), "oneOf": shapes, "discriminator": Schema{"propertyName": u.Member, "mapping": mapping},
	}
}

func (c *components) shape(t reflect.Type, member string, shape Shape) Schema {
	s := c.object(t, response)
	s["description"] = shape.Doc
	members := s["properties"].(Schema)
	narrow := func(name string, to Schema) {
		if before, ok := members[name].(Schema); ok {
			if text, ok := before["description"].(string); ok {
				to = described(to, text)
			}
		}
		members[name] = to
	}
	narrow(member, Schema{"type": "string", "enum": shape.Values})
	for _, name := range slices.Sorted(maps.Keys(shape.Closed)) {
		narrow(name, Schema{"type": "string", "enum": shape.Closed[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(shape.Members)) {
		narrow(name, c.schema(reflect.TypeOf(shape.Members[name]), response))
	}
	return s
}
