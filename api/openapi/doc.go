// Package openapi makes an OpenAPI 3.1 document of a table of operations and the Go types that their
// handlers bind and render, so that the document cannot say anything else than the code does.
//
// A type's schema follows the rules of its JSON encoding: members and their names are those of its
// json tags, a member that may be left out ("omitempty", "omitzero") is not required, and a pointer
// may be null. A type that encodes itself in another form says so with JSONForms.
package openapi
