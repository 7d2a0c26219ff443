package main

import (
	"errors"
	"strings"

	"github.com/alecthomas/kong"

	"millrace/api/client"
)

// asFlags names the fields at fault of a server's answer as the flags that gave them: who typed --whole-units knows of no
// account.whole_units. A flag's tag api is its field; without one, the last word of the field is the flag's name.
func asFlags(node *kong.Node, err error) {
	var answered *client.Error
	if node == nil || !errors.As(err, &answered) {
		return
	}
	for i := range answered.Errors {
		answered.Errors[i].Field = flagOf(node, answered.Errors[i].Field)
	}
}

// flagOf is the flag or argument of a field, with what of the field is within it; the field where there is none.
func flagOf(node *kong.Node, field string) string {
	for _, flag := range node.Flags {
		of := flag.Tag.Get("api")
		if of == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(field, of); ok && (rest == "" || strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "[")) {
			return strings.TrimSpace("--" + flag.Name + " " + strings.TrimPrefix(rest, "."))
		}
	}
	for _, argument := range node.Positional {
		if argument.Tag.Get("api") == field {
			return strings.ToUpper(argument.Name)
		}
	}
	last := field[strings.LastIndexByte(field, '.')+1:]
	for _, flag := range node.Flags {
		if flag.Name == strings.ReplaceAll(last, "_", "-") {
			return "--" + flag.Name
		}
	}
	return field
}
