package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Channel is a stream of a union's values, or a sender of them, as the AsyncAPI document describes it.
type Channel struct {
	Name     string // of the channel, in the document
	Path     string // with its parameters as :name; "" where each receiver has an address of its own
	Summary  string
	About    string
	Prefix   string    // only values whose name begins with it are carried; "": all
	Only     []string  // names of the messages that are carried; nil: all that the prefix admits
	Beside   []Message // what is carried beside the union's values
	Security []string
	Method   string // of HTTP, by which it is opened or sent
}

// Message is what a channel carries beside a union's values.
type Message struct {
	Name    string
	Summary string
	Payload any // a value of its type
	Headers any // a value of the type of its headers; nil: none are described
}

// Async makes the AsyncAPI 3.0 document of channels that carry the values of a union, given by a value of
// its type, as JSON.
func Async(info Info, union any, channels []Channel) ([]byte, error) {
	c := info.components()
	t := reflect.TypeOf(union)
	u, known := info.Unions[t]
	if !known {
		return nil, fmt.Errorf("asyncapi: %s is not a union", t)
	}
	c.schema(t, response)
	messages, listed, operations := Schema{}, Schema{}, Schema{}
	for _, shape := range u.Shapes {
		messages[shape.Name] = Schema{
			"name": shape.Name, "title": shape.Name, "summary": shape.Doc, "contentType": "application/json", "payload": Schema{"$ref": schemaPath + shape.Name},
		}
	}
	for _, ch := range channels {
		own, to := Schema{}, []Schema{}
		add := func(name string) {
			own[name] = Schema{"$ref": "#/components/messages/" + name}
			to = append(to, Schema{"$ref": "#/channels/" + ch.Name + "/messages/" + name})
		}
		for _, shape := range u.Shapes {
			if ch.Only == nil && shape.has(ch.Prefix) {
				add(shape.Name)
			}
		}
		for _, m := range ch.Beside {
			messages[m.Name] = c.message(m)
			add(m.Name)
		}
		listed[ch.Name] = ch.schema(own)
		operation := Schema{
			"action": "send", "channel": Schema{"$ref": "#/channels/" + ch.Name}, "summary": ch.Summary, "messages": to,
			"bindings": Schema{"http": Schema{"method": ch.Method, "bindingVersion": "0.3.0"}},
		}
		if schemes := references(ch.Security); schemes != nil {
			operation["security"] = schemes
		}
		operations["send"+strings.ToUpper(ch.Name[:1])+ch.Name[1:]] = operation
	}
	for _, schema := range c.schemas {
		namedOnly(schema)
	}
	return json.MarshalIndent(map[string]any{
		"asyncapi": "3.0.0", "info": Schema{"title": info.Title, "version": info.Version, "description": info.Description},
		"defaultContentType": "application/json", "channels": listed, "operations": operations,
		"components": Schema{"messages": messages, "schemas": c.schemas, "securitySchemes": schemesOf(info.Security)},
	}, "", "  ")
}

func (ch Channel) schema(messages Schema) Schema {
	s := Schema{"title": ch.Summary, "description": ch.About, "messages": messages, "address": nil}
	if ch.Path == "" {
		return s
	}
	path, names := template(ch.Path)
	s["address"] = path
	if len(names) > 0 {
		parameters := Schema{}
		for _, name := range names {
			parameters[name] = Schema{"description": named(path, name)}
		}
		s["parameters"] = parameters
	}
	return s
}

func (c *components) message(m Message) Schema {
	s := Schema{"name": m.Name, "title": m.Name, "summary": m.Summary, "contentType": "application/json", "payload": c.schema(reflect.TypeOf(m.Payload), response)}
	if m.Headers != nil {
		s["headers"] = c.schema(reflect.TypeOf(m.Headers), response)
	}
	return s
}

// namedOnly has a union named by its member alone, as AsyncAPI's dialect has it.
func namedOnly(schema Schema) {
	if by, ok := schema["discriminator"].(Schema); ok {
		schema["discriminator"] = by["propertyName"]
	}
}

func references(schemes []string) []Schema {
	var all []Schema
	for _, name := range schemes {
		all = append(all, Schema{"$ref": "#/components/securitySchemes/" + name})
	}
	return all
}

// schemesOf are security schemes in AsyncAPI's words: a key in a header is httpApiKey there.
func schemesOf(schemes map[string]Schema) Schema {
	all := Schema{}
	for name, scheme := range schemes {
		s := Schema{}
		for k, v := range scheme {
			s[k] = v
		}
		if s["type"] == "apiKey" {
			s["type"] = "httpApiKey"
		}
		all[name] = s
	}
	return all
}
