package types

import (
	"maps"
	"slices"
	"strings"
)

// Document lists, for the manual, what of the language's names is supported, ignored and refused.
func Document() string {
	var b strings.Builder
	b.WriteString("### Functions\n\n")
	groups(&b, Functions())
	b.WriteString("\n### Variables\n\n")
	groups(&b, slices.Collect(maps.Keys(variables())))
	b.WriteString("\n### Ignored\n\nCalls that only draw, alert or log are read and dropped: ")
	b.WriteString(list(ignored))
	b.WriteString(".\n\n### Refused\n\nA refused name is an error only where its value reaches an order.\n\n| name | why | instead |\n|---|---|---|\n")
	for _, r := range refusals {
		b.WriteString("| " + code(r.name) + " | " + r.Message + " | " + r.Advice + " |\n")
	}
	return b.String()
}

// groups writes a line for each prefix.
func groups(b *strings.Builder, names []string) {
	by := map[string][]string{}
	for _, name := range names {
		if _, refused := Refused(name); refused || strings.HasSuffix(name, "@4") {
			continue
		}
		prefix, rest, found := strings.Cut(name, ".")
		if !found {
			prefix, rest = "", name
		}
		by[prefix] = append(by[prefix], rest)
	}
	b.WriteString("| prefix | names |\n|---|---|\n")
	for _, prefix := range slices.Sorted(maps.Keys(by)) {
		label := "none"
		if prefix != "" {
			label = "`" + prefix + ".`"
		}
		slices.Sort(by[prefix])
		b.WriteString("| " + label + " | " + strings.Join(by[prefix], ", ") + " |\n")
	}
}

// list spells names; one that ends in a dot stands for all below it.
func list(names []string) string {
	spelled := make([]string, len(names))
	for i, name := range names {
		spelled[i] = code(name)
	}
	return strings.Join(spelled, ", ")
}

func code(name string) string {
	if strings.HasSuffix(name, ".") || strings.HasSuffix(name, "_") {
		name += "*"
	}
	return "`" + name + "`"
}
