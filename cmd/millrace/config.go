package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"
)

// configCmd is the verb `config`: what the program reads from its environment.
type configCmd struct {
	Markdown bool   `help:"Print the table of ops/docs/configuration.md, which has no values."`
	Check    string `enum:",api,worker" default:"" placeholder:"VERB" help:"Say what would keep api or worker from starting with the variables set here; the exit status is 2 if anything would."`
}

// Run prints the table, or what is wrong with it.
func (c *configCmd) Run(env *environment, parsed *kong.Kong) error {
	if c.Check != "" {
		profile, err := serverProblems(c.Check, true)
		if err != nil {
			return configError{err}
		}
		_, err = fmt.Fprintf(env.stdout, "millrace %s may start with these variables, in %s.\n", c.Check, profile)
		return err
	}
	table := settings(parsed.Model.Node)
	if c.Markdown {
		return writeSettings(env.stdout, table)
	}
	out := tabwriter.NewWriter(env.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(out, "VARIABLE\tVALUE\tFROM\tUSED BY")
	for _, s := range table {
		value, from, err := s.value(os.LookupEnv)
		if err != nil {
			return configError{err}
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", s.Variable, value, from, strings.Join(s.Verbs, ", "))
	}
	return out.Flush()
}

// setting is one variable: what the flags of the verbs say of it.
type setting struct {
	Variable, Flag, Default, Help string
	Verbs                         []string

	typed bool // a number, time or choice: not any text will do
}

// settings are all variables of the program, by name. They are read off the flags, so that there is
// no other list to keep.
func settings(root *kong.Node) []setting {
	found := map[string]*setting{}
	var walk func(node *kong.Node, verb string)
	walk = func(node *kong.Node, verb string) {
		for _, flag := range node.Flags {
			for _, variable := range flag.Envs {
				s := found[variable]
				if s == nil {
					s = &setting{Variable: variable, Flag: "--" + flag.Name, Default: flag.Default, Help: flag.Help, typed: typed(flag.Value)}
					found[variable] = s
				}
				if reader := cmp.Or(verb, "all"); !slices.Contains(s.Verbs, reader) {
					s.Verbs = append(s.Verbs, reader)
				}
			}
		}
		for _, child := range node.Children {
			walk(child, cmp.Or(verb, child.Name)) // the first word of the command
		}
	}
	walk(root, "")
	table := make([]setting, 0, len(found))
	for _, s := range found {
		table = append(table, *s)
	}
	slices.SortFunc(table, func(a, b setting) int { return cmp.Compare(a.Variable, b.Variable) })
	return table
}

// typed reports whether a value is read as more than text.
func typed(v *kong.Value) bool {
	kind := v.Target.Type()
	for kind.Kind() == reflect.Slice || kind.Kind() == reflect.Pointer {
		kind = kind.Elem()
	}
	return kind.Kind() != reflect.String || v.Enum != ""
}

// secret reports whether the value may not be shown.
func (s setting) secret() bool {
	if s.Variable == "MILLRACE_TLS_KEY" || strings.HasPrefix(s.Variable, "RETENTION_") {
		return false // it names a file itself, or is a number of days
	}
	for _, part := range []string{"TOKEN", "KEY", "DSN", "DATABASE_URL", "PASSWORD", "HEADERS", "SECRET"} {
		if strings.Contains(s.Variable, part) {
			return true
		}
	}
	return false
}

// value is what is set, without a secret, and where.
func (s setting) value(lookup func(string) (string, bool)) (value, from string, err error) {
	value, _ = lookup(s.Variable)
	from = "environment"
	if secret, file, err := (secretFiles{lookup}).read(s.Variable); err != nil {
		return "", "", err
	} else if file != "" {
		value, from = secret, file
	}
	switch {
	case value == "":
		return cmp.Or(s.Default, "–"), "default", nil
	case s.secret():
		return fmt.Sprintf("(%d characters)", len(value)), from, nil
	}
	return value, from, nil
}

func writeSettings(out io.Writer, table []setting) error {
	cell := strings.NewReplacer("|", `\|`, "\n", " ").Replace
	fmt.Fprint(out, "# Configuration\n\nEvery variable the program reads, made from its flags by `millrace config --markdown`; `millrace config` shows\nwhat is set here, without secrets. A flag goes before its variable. A secret (a token, key, password, DSN or database\nURL) can come from a file: `NAME_FILE` names the file of the variable `NAME`, and in systemd's `CREDENTIALS_DIRECTORY` the\nfile has the variable's own name.\n\n")
	fmt.Fprint(out, "| variable | flag | default | read by | |\n|---|---|---|---|---|\n")
	for _, s := range table {
		def := "–"
		if s.Default != "" {
			def = "`" + cell(s.Default) + "`"
		}
		if _, err := fmt.Fprintf(out, "| `%s` | `%s` | %s | %s | %s |\n", s.Variable, s.Flag, def, strings.Join(s.Verbs, ", "), cell(s.Help)); err != nil {
			return fmt.Errorf("write settings: %w", err)
		}
	}
	return nil
}
